"""A table of DynamoDB, as the template makes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from worldflow.aws_setup.parts import Fault, covers, find
from worldflow.engine.errors import ConfigurationError

_PATIENCE = 120
"""Seconds that a new table may take to offer its backups."""


@dataclass(frozen=True)
class Table:
    """A table of DynamoDB: on demand, encrypted by a KMS key, with point-in-time recovery.

    keys: the key's attributes and their types.
    indexes: the keys of its global indexes, all text; each holds the attributes `listed` besides.
    expiry: the attribute by which items expire.
    """

    client: Any
    name: str
    keys: Mapping[str, str]
    indexes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    listed: Sequence[str] = ()
    expiry: str | None = None

    def __str__(self) -> str:
        return f"table {self.name}"

    def exists(self) -> bool:
        return self._describe() is not None

    def faults(self) -> Iterator[Fault]:
        table = self._describe()
        if table is None:
            yield self._fault("missing", self._create)
            return
        if table["KeySchema"] != _key_schema(self.keys):
            yield self._fault("other keys", partial(self._refuse, f"{self} has other keys"))
            return
        if table.get("BillingModeSummary", {}).get("BillingMode") != "PAY_PER_REQUEST":
            yield self._fault("provisioned capacity", partial(self._update, BillingMode="PAY_PER_REQUEST"))
        indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", [])}
        for name in self.indexes:
            if name not in indexes:
                yield self._fault(f"no index {name}", partial(self._add_index, name))
            elif not covers(indexes[name], self._index(name)):
                yield self._fault(f"another index {name}", partial(self._refuse, f"{self} has another index {name}"))
        if not self._has_recovery():
            yield self._fault("no point-in-time recovery", self._enable_recovery)
        if self.expiry and not self._has_expiry():
            yield self._fault(f"no expiry by {self.expiry}", self._enable_expiry)

    def remove(self) -> None:
        self.client.delete_table(TableName=self.name)
        waiter = self.client.get_waiter("table_not_exists")
        waiter.wait(TableName=self.name, WaiterConfig={"Delay": 2, "MaxAttempts": 90})

    def _fault(self, what: str, mend: Callable[[], object]) -> Fault:
        return Fault(str(self), what, mend)

    def _describe(self) -> dict[str, Any] | None:
        answer = find(self.client.describe_table, TableName=self.name)
        return answer["Table"] if answer else None

    def _index(self, name: str) -> dict[str, Any]:
        return {
            "IndexName": name,
            "KeySchema": _key_schema(self.indexes[name]),
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(self.listed)},
        }

    def _create(self) -> None:
        indexed = {key: "S" for keys in self.indexes.values() for key in keys}
        request = {
            "TableName": self.name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": _attributes({**self.keys, **indexed}),
            "KeySchema": _key_schema(self.keys),
        }
        if self.indexes:
            request["GlobalSecondaryIndexes"] = [self._index(name) for name in self.indexes]
        self.client.create_table(**request)
        self._enable_recovery()
        if self.expiry:
            self._enable_expiry()

    def _update(self, **change: Any) -> None:
        self._settle()
        self.client.update_table(TableName=self.name, **change)
        self._settle()

    def _add_index(self, name: str) -> None:
        table = self._describe() or {"AttributeDefinitions": []}
        known = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]}
        self._update(
            AttributeDefinitions=_attributes(known | dict.fromkeys(self.indexes[name], "S")),
            GlobalSecondaryIndexUpdates=[{"Create": self._index(name)}],
        )

    def _has_recovery(self) -> bool:
        answer = self.client.describe_continuous_backups(TableName=self.name)["ContinuousBackupsDescription"]
        recovery = answer.get("PointInTimeRecoveryDescription", {})
        return bool(recovery.get("PointInTimeRecoveryStatus") == "ENABLED")

    def _enable_recovery(self) -> None:
        self._settle()
        for attempt in range(1, _PATIENCE + 1):
            try:
                self.client.update_continuous_backups(
                    TableName=self.name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
                )
                return
            except self.client.exceptions.ContinuousBackupsUnavailableException:
                # A table that has just been made has none yet.
                if attempt == _PATIENCE:
                    raise
                time.sleep(1)

    def _has_expiry(self) -> bool:
        answer = self.client.describe_time_to_live(TableName=self.name)["TimeToLiveDescription"]
        is_on = answer.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
        return is_on and answer.get("AttributeName") == self.expiry

    def _enable_expiry(self) -> None:
        self._settle()
        self.client.update_time_to_live(
            TableName=self.name, TimeToLiveSpecification={"AttributeName": self.expiry, "Enabled": True}
        )

    def _settle(self) -> None:
        """Waits until the table takes another change. That is long for a new index on many items."""
        while True:
            table = self._describe() or {}
            indexes = table.get("GlobalSecondaryIndexes", [])
            if {table.get("TableStatus"), *(index["IndexStatus"] for index in indexes)} == {"ACTIVE"}:
                return
            time.sleep(1)

    def _refuse(self, why: str) -> None:
        raise ConfigurationError(f"{why}, which cannot be changed: delete that yourself, or choose another table")


def _key_schema(names: Iterable[str]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]


def _attributes(types: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]
