"""A table of DynamoDB."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from worldflow.aws_setup.definitions import Properties
from worldflow.aws_setup.parts import Fault, covers, find
from worldflow.engine.errors import ConfigurationError

_PATIENCE = 120
"""Seconds that a new table may take to offer its backups."""

_SET_LATER = {"PointInTimeRecoverySpecification", "TimeToLiveSpecification"}
"""Properties that have requests of their own. CreateTable takes all others as they are."""


@dataclass(frozen=True)
class Table:
    """A table of DynamoDB. `properties` are those of AWS::DynamoDB::Table."""

    client: Any
    name: str
    properties: Properties

    def __str__(self) -> str:
        return f"table {self.name}"

    def exists(self) -> bool:
        return self._describe() is not None

    def faults(self) -> Iterator[Fault]:
        table = self._describe()
        if table is None:
            yield self._fault("missing", self._create)
            return
        if table["KeySchema"] != self.properties["KeySchema"]:
            yield self._fault("different keys", partial(self._refuse, f"{self} has different keys"))
            return
        billing = self.properties["BillingMode"]
        if table.get("BillingModeSummary", {}).get("BillingMode") != billing:
            yield self._fault("provisioned capacity", partial(self._update, BillingMode=billing))
        indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", [])}
        for index in self.properties.get("GlobalSecondaryIndexes", []):
            name = index["IndexName"]
            if name not in indexes:
                yield self._fault(f"no index {name}", partial(self._add_index, index))
            elif not covers(indexes[name], index):
                yield self._fault(
                    f"different index {name}", partial(self._refuse, f"{self} has a different index {name}")
                )
        if not self._has_recovery():
            yield self._fault("no point-in-time recovery", self._enable_recovery)
        if not self._has_expiry():
            expiry = self.properties["TimeToLiveSpecification"]["AttributeName"]
            yield self._fault(f"no expiry by {expiry}", self._enable_expiry)

    def remove(self) -> None:
        self.client.delete_table(TableName=self.name)
        waiter = self.client.get_waiter("table_not_exists")
        waiter.wait(TableName=self.name, WaiterConfig={"Delay": 2, "MaxAttempts": 90})

    def _fault(self, what: str, fix: Callable[[], object]) -> Fault:
        return Fault(str(self), what, fix)

    def _describe(self) -> dict[str, Any] | None:
        answer = find(self.client.describe_table, TableName=self.name)
        return answer["Table"] if answer else None

    def _create(self) -> None:
        request = {name: value for name, value in self.properties.items() if name not in _SET_LATER}
        self.client.create_table(TableName=self.name, **request)
        self._enable_recovery()
        if "TimeToLiveSpecification" in self.properties:
            self._enable_expiry()

    def _update(self, **change: Any) -> None:
        self._settle()
        self.client.update_table(TableName=self.name, **change)
        self._settle()

    def _add_index(self, index: Properties) -> None:
        table = self._describe() or {"AttributeDefinitions": []}
        keys = {key["AttributeName"] for key in index["KeySchema"]}
        added = [
            attribute for attribute in self.properties["AttributeDefinitions"] if attribute["AttributeName"] in keys
        ]
        attributes = {attribute["AttributeName"]: attribute for attribute in [*table["AttributeDefinitions"], *added]}
        self._update(
            AttributeDefinitions=list(attributes.values()),
            GlobalSecondaryIndexUpdates=[{"Create": index}],
        )

    def _has_recovery(self) -> bool:
        answer = self.client.describe_continuous_backups(TableName=self.name)["ContinuousBackupsDescription"]
        recovery = answer.get("PointInTimeRecoveryDescription", {})
        return bool(recovery.get("PointInTimeRecoveryStatus") == "ENABLED")

    def _enable_recovery(self) -> None:
        recovery = self.properties["PointInTimeRecoverySpecification"]
        self._settle()
        for attempt in range(1, _PATIENCE + 1):
            try:
                self.client.update_continuous_backups(TableName=self.name, PointInTimeRecoverySpecification=recovery)
                return
            except self.client.exceptions.ContinuousBackupsUnavailableException:
                # A new table has none yet.
                if attempt == _PATIENCE:
                    raise
                time.sleep(1)

    def _has_expiry(self) -> bool:
        """Whether items expire as they should, or nothing says that they should."""
        expiry = self.properties.get("TimeToLiveSpecification")
        if expiry is None:
            return True
        answer = self.client.describe_time_to_live(TableName=self.name)["TimeToLiveDescription"]
        is_on = answer.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
        return is_on and bool(answer.get("AttributeName") == expiry["AttributeName"])

    def _enable_expiry(self) -> None:
        self._settle()
        expiry = self.properties["TimeToLiveSpecification"]
        self.client.update_time_to_live(TableName=self.name, TimeToLiveSpecification=expiry)

    def _settle(self) -> None:
        """Waits until the table takes another change. That is long for a new index on many items."""
        while True:
            table = self._describe() or {}
            indexes = table.get("GlobalSecondaryIndexes", [])
            if {table.get("TableStatus"), *(index["IndexStatus"] for index in indexes)} == {"ACTIVE"}:
                return
            time.sleep(1)

    def _refuse(self, why: str) -> None:
        raise ConfigurationError(f"{why}, which cannot be changed: delete it yourself, or choose another table")
