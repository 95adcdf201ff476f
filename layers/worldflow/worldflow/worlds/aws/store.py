"""The items of an `AWSWorld`, in the table of runs.

An item of a schedule is also in the index by time, apart from all runs and ordered by the schedules' ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from worldflow.worlds.aws.access import AWSAccess, as_attributes, values_of
from worldflow.worlds.items import Expected, Item
from worldflow.worlds.schedules import PREFIX

_SHARD = "schedules"


class AWSItems:
    def __init__(self, access: AWSAccess) -> None:
        self._access = access

    def get(self, key: str) -> Item | None:
        return self._access.get(key)

    def put(self, key: str, item: Item | None, expected: Expected | None) -> bool:
        condition, values, names = _condition(expected) if expected else (None, {}, {})
        if item is None:
            return self._access.delete(key, condition, values, names)
        listed = {"shard": _SHARD, "created_at": key.removeprefix(PREFIX)} if key.startswith(PREFIX) else {}
        item = {"run_id": key, **item, **listed}
        return self._access.put(self._access.settings.runs_table, item, condition, values, names)

    def update(self, key: str, fields: Item, defaults: Item) -> Item:
        assignments = [f"{name} = :{name}" for name in fields]
        assignments += [f"{name} = if_not_exists({name}, :{name})" for name in defaults]
        values = {f":{name}": value for name, value in {**fields, **defaults}.items()}
        answer = self._access.dynamodb.update_item(
            TableName=self._access.settings.runs_table,
            Key=as_attributes({"run_id": key}),
            UpdateExpression="SET " + ", ".join(assignments),
            ExpressionAttributeValues=as_attributes(values),
            ReturnValues="ALL_NEW",
        )
        return values_of(answer["Attributes"])

    def list(self, prefix: str, limit: int, after: str) -> Sequence[Item]:
        if prefix != PREFIX:
            raise ValueError(f"items of {prefix!r} are in no index")
        condition, values = "#shard = :shard", {":shard": _SHARD}
        if after:  # a key cannot be empty
            condition, values = f"{condition} AND created_at > :after", {**values, ":after": after}
        found = self._access.query(
            TableName=self._access.settings.runs_table,
            IndexName="by_time",
            KeyConditionExpression=condition,
            ExpressionAttributeNames={"#shard": "shard"},  # a reserved word
            ExpressionAttributeValues=as_attributes(values),
            Limit=limit,
        )
        # The index has the keys, and may still have one that is gone.
        items = (self.get(item["run_id"]) for item in found)
        return list(islice((item for item in items if item), limit))


def _condition(expected: Expected) -> tuple[str, dict[str, Any], dict[str, str]]:
    """The condition in DynamoDB's words, its values and its names."""
    conditions = ["attribute_not_exists(run_id)"] if expected.absent else []
    values = {f":value{number}": value for number, value in enumerate(dict.fromkeys(expected.one_of))}
    if values:
        conditions.append(f"#field IN ({', '.join(values)})")
    if expected.below is not None:
        conditions.append("#field < :below")
        values[":below"] = expected.below
    return " OR ".join(conditions), values, {"#field": expected.field} if values else {}
