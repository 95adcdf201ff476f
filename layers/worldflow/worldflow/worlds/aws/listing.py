"""The lists of an `AWSWorld`'s runs: those of all shards of an index, newest first.

Without a filter, each shard is asked for as many runs as the page holds. With one that would not do: DynamoDB counts
what it reads and filters afterwards, so each request reads what it may, 1 MB. A page makes a limited number of requests
however rare the matches are; it holds what they found, perhaps nothing, and its cursor continues where they ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from worldflow.engine.history import Attribute
from worldflow.worlds.aws.access import AWSAccess, as_attributes, values_of
from worldflow.worlds.aws.items import SHARDS, listed
from worldflow.worlds.records import RunPage, RunRecord, Status, time_text

REQUESTS = 40
"""The most requests of one page. They read some tens of thousands of runs, in a third of an API function's time."""

NEWEST = "9"
"""Later than the `created_at` of any run."""


class AWSListing:
    def __init__(self, access: AWSAccess) -> None:
        self._access = access

    def page(
        self,
        status: Status | None,
        workflow: str | None,
        attributes: Mapping[str, Attribute],
        limit: int,
        cursor: str | None,
    ) -> RunPage:
        before = cursor or NEWEST
        limited = {} if workflow or attributes else {"Limit": limit + 1}
        shards = [
            _Shard(self._access, _request(str(shard), status, workflow, attributes, before) | limited)
            for shard in range(SHARDS)
        ]
        for shard in shards:
            shard.read()
        for _ in range(REQUESTS - SHARDS):
            behind = max(shards, key=lambda shard: shard.reached)
            if not behind.reached or sum(shard.count(behind.reached) for shard in shards) > limit:
                break
            behind.read()
        # What one shard has of a time that another was not read up to may not be all that there is of it.
        reached = max(shard.reached for shard in shards)
        found = [item for shard in shards for item in shard.items if item["created_at"] >= reached]
        found.sort(key=lambda item: str(item["created_at"]), reverse=True)
        more = found[limit - 1]["created_at"] if len(found) > limit else reached
        return RunPage([listed(item) for item in found[:limit]], more or None)

    def walk(self, status: Status, created_before: datetime | None) -> Iterator[RunRecord]:
        before = time_text(created_before) if created_before else NEWEST
        first = _first_shard(self._access.now())
        for shard in (*range(first, SHARDS), *range(first)):
            request = _request(str(shard), status, None, {}, before)
            items = self._access.query(TableName=self._access.settings.runs_table, ScanIndexForward=True, **request)
            yield from map(listed, items)


def _first_shard(now: datetime) -> int:
    """Where a walk begins: a caller that never has time for all shards starts each hour with another one. At the
    same hour of the next day it is another, too, since some look for different runs at each hour.
    """
    return (now.toordinal() + now.hour) % SHARDS


class _Shard:
    """What was read of one shard, newest first. `reached` is the `created_at` of the oldest item that DynamoDB looked
    at; empty when it has looked at all.
    """

    def __init__(self, access: AWSAccess, request: dict[str, Any]) -> None:
        self.items: list[dict[str, Any]] = []
        self.reached = NEWEST
        self._access = access
        self._request = request

    def read(self) -> None:
        """Makes one request."""
        table = self._access.settings.runs_table
        answer = self._access.dynamodb.query(TableName=table, ScanIndexForward=False, **self._request)
        self.items += map(values_of, answer["Items"])
        last = answer.get("LastEvaluatedKey")
        self.reached = last["created_at"]["S"] if last else ""
        self._request["ExclusiveStartKey"] = last

    def count(self, since: str) -> int:
        return sum(item["created_at"] >= since for item in self.items)


def _request(
    shard: str, status: Status | None, workflow: str | None, attributes: Mapping[str, Attribute], before: str
) -> dict[str, Any]:
    index, key = ("by_status", "status_shard") if status else ("by_time", "shard")
    names = {"#key": key}  # `shard` is a reserved word
    values = {":key": f"{status}#{shard}" if status else shard, ":before": before}
    filters = []
    if workflow:
        values[":workflow"] = workflow
        filters.append("workflow_name = :workflow")
    for n, (name, value) in enumerate(attributes.items()):
        names |= {"#attributes": "attributes", f"#a{n}": name}
        values[f":a{n}"] = json.dumps(value)
        filters.append(f"#attributes.#a{n} = :a{n}")
    return {
        "IndexName": index,
        "KeyConditionExpression": "#key = :key AND created_at < :before",
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": as_attributes(values),
        **({"FilterExpression": " AND ".join(filters)} if filters else {}),
    }
