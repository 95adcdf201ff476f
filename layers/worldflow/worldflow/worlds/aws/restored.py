"""The tables of an `AWSWorld` after they were restored from a backup: read whole, and written past the conditions that
hold while runs continue, which would refuse to let a record go back.

Each write has a condition of its own: that nobody has changed since what this process has read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from botocore.exceptions import ClientError

from worldflow.engine.history import Event
from worldflow.engine.ids import is_of_run
from worldflow.worlds.archives import Attempt
from worldflow.worlds.aws.access import AWSAccess, as_attributes, is_missing, values_of
from worldflow.worlds.aws.archive import AWSArchive
from worldflow.worlds.aws.history import AWSHistory
from worldflow.worlds.aws.items import record_item
from worldflow.worlds.aws.messages import schedule_name
from worldflow.worlds.aws.payloads import AWSPayloads
from worldflow.worlds.items import generation_key
from worldflow.worlds.ledger import step_key
from worldflow.worlds.messages import Delayed
from worldflow.worlds.records import RunRecord, time_text

Item = dict[str, Any]

_BEGAN = "reconcile#"
"""The key of the item that says since when these tables are reconciled."""

_COMMIT = 500
"""Events of a history that are written together."""

_READ = ("run_id", "record", "record_seq", "reserved", "number", "hook", "abandoned")
"""What is read of the items of the table of runs."""


class AWSRestored:
    def __init__(self, access: AWSAccess) -> None:
        self._access = access
        self._history = AWSHistory(access, AWSPayloads(access))
        self._runs, self._events = access.settings.runs_table, access.settings.events_table

    # --- since when ---

    def began(self) -> datetime | None:
        """When these very tables began to be reconciled, if they have. Those that are restored from them have not."""
        item = self._access.get(_BEGAN)
        return datetime.fromisoformat(item["began_at"]) if item and item["tables"] == self._tables() else None

    def begin(self, now: datetime) -> None:
        self._put({"run_id": _BEGAN, "began_at": time_text(now), "tables": self._tables()})

    def _tables(self) -> str:
        """Which tables these are: others may get their names."""
        described = (self._access.dynamodb.describe_table(TableName=name) for name in (self._events, self._runs))
        return " ".join(
            f"{one['Table']['TableName']} {one['Table']['CreationDateTime'].timestamp()}" for one in described
        )

    # --- histories ---

    def histories(self) -> Iterator[tuple[str, list[Item]]]:
        """The histories as they are stored, run by run. Consistent reads. Streams and limits stay as restored."""
        items = self._scan(TableName=self._events, ConsistentRead=True)
        for run_id, commits in groupby(items, key=lambda item: str(item["run_id"])):
            if not is_of_run(run_id):
                continue
            yield run_id, sorted(commits, key=lambda item: int(item["seq"]))

    def events(self, commits: Sequence[Item]) -> list[Event] | None:
        """The events of commits as they are stored; None where what a commit refers to is gone."""
        try:
            return self._history.events_of(commits)
        except ClientError as error:
            if not is_missing(error):
                raise
            return None

    def load(self, run_id: str) -> list[Event] | None:
        """The events of a run, read again."""
        try:
            return self._history.load(run_id, 0, None)
        except ClientError as error:
            if not is_missing(error):
                raise
            return None

    def rewrite(self, run_id: str, known: Sequence[Event] | None, whole: Sequence[Event]) -> None:
        """Makes `whole` the history of a run.

        known: what is there and is the beginning of it; None where what is there is to be removed first.
        """
        if known is None:
            AWSArchive(self._access).remove_history(run_id)
        rest = list(whole[len(known or ()) :])
        for start in range(0, len(rest), _COMMIT):
            self._history.append(run_id, rest[start : start + _COMMIT])

    # --- the table of runs ---

    def items(self) -> Iterator[Item]:
        """All items of the table of runs, without what is not asked for here. Consistent reads."""
        names = {f"#n{number}": name for number, name in enumerate(_READ)}
        yield from self._scan(
            TableName=self._runs,
            ConsistentRead=True,
            ProjectionExpression=", ".join(names),
            ExpressionAttributeNames=names,
        )

    def replace(self, record: RunRecord, before: RunRecord) -> bool:
        """Puts a record in the place of another, whatever they reflect. Returns whether the other was there still."""
        return self._put(record_item(record), "record_seq = :seq", {":seq": before.seq})

    def remove(self, record: RunRecord) -> bool:
        return self._access.delete(record.run_id, "record_seq = :seq", {":seq": record.seq})

    def set_generation(self, base: str, number: int, before: int | None) -> bool:
        """Says that a generation is the newest, also where a newer one was."""
        key = generation_key(base)
        condition, values = "attribute_not_exists(run_id)", dict[str, Any]()
        if before is not None:
            condition, values = "#number = :before", {":before": before}
        names = {"#number": "number"} if before is not None else None
        if number == 1:
            return self._access.delete(key, condition, values, names)
        return self._put({"run_id": key, "number": number}, condition, values, names)

    def forget(self, key: str) -> None:
        """Deletes an item: an idempotency record, or an id that is reserved."""
        self._access.delete(key, "attribute_exists(run_id)")

    def is_claimed(self, run_id: str, step_id: str, attempt: int) -> bool:
        return self._access.get(step_key(run_id, step_id, attempt, "claim")) is not None

    def want_again(self, attempt_of: str, attempt: Attempt) -> None:
        """Takes back the word that an attempt is not wanted any more."""
        self._access.dynamodb.update_item(
            TableName=self._runs,
            Key=as_attributes({"run_id": step_key(attempt_of, attempt.step_id, attempt.number, "beat")}),
            UpdateExpression="REMOVE abandoned",
        )

    # --- EventBridge Scheduler ---

    def scheduled(self) -> Iterator[tuple[str, datetime]]:
        """The names of all schedules, and when each was made."""
        group = self._access.settings.scheduler_group
        if not group:
            return
        pages = self._access.scheduler.get_paginator("list_schedules").paginate(GroupName=group)
        for page in pages:
            for found in page["Schedules"]:
                yield found["Name"], found["CreationDate"].astimezone(UTC)

    def name(self, delayed: Delayed) -> str:
        """The name of the schedule that brings a message."""
        return schedule_name(delayed)

    def unschedule(self, name: str) -> None:
        try:
            self._access.scheduler.delete_schedule(Name=name, GroupName=self._access.required("scheduler_group"))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise

    # --- requests ---

    def _scan(self, **request: Any) -> Iterator[Item]:
        for page in self._access.dynamodb.get_paginator("scan").paginate(**request):
            yield from map(values_of, page["Items"])

    def _put(
        self,
        item: Item,
        condition: str | None = None,
        values: dict[str, Any] | None = None,
        names: dict[str, str] | None = None,
    ) -> bool:
        return self._access.put(self._runs, item, condition, values, names)
