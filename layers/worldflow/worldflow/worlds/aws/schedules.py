"""The schedules of an `AWSWorld`: records in the table of runs, and one schedule of EventBridge Scheduler for each.

It sends a `ScheduleDue` to the queue of timers, and puts the moment that it was due in its place.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from worldflow.engine.errors import ConflictError, FieldError, InvalidInputError
from worldflow.worlds.aws.access import AWSAccess
from worldflow.worlds.schedules import ScheduleRecord, Schedules

DUE = "<aws.scheduler.scheduled-time>"
"""What Scheduler replaces by the moment that was scheduled."""

_SHARD = "schedules"
"""Where the schedules are in the index by time: apart from all runs, and ordered by their ids."""


class AWSSchedules(Schedules):
    def __init__(self, access: AWSAccess) -> None:
        self._access = access

    def get(self, schedule_id: str) -> ScheduleRecord | None:
        item = self._access.get(_key(schedule_id))
        return ScheduleRecord.model_validate_json(item["schedule"]) if item else None

    def put(self, record: ScheduleRecord, replacing: ScheduleRecord | None) -> None:
        item = {
            "run_id": _key(record.schedule_id),
            "schedule": record.model_dump_json(exclude_none=True),
            "version": record.version,
            "shard": _SHARD,
            "created_at": record.schedule_id,
        }
        condition, values = "attribute_not_exists(run_id)", {}
        if replacing:
            condition, values = "version = :version", {":version": replacing.version}
        if not self._access.put(self._access.settings.runs_table, item, condition, values):
            raise ConflictError(f"schedule {record.schedule_id!r} was changed by another process")

    def list(self, limit: int, after: str) -> Sequence[ScheduleRecord]:
        condition, values = "#shard = :shard", {":shard": {"S": _SHARD}}
        if after:  # a key cannot be empty
            condition, values = f"{condition} AND created_at > :after", {**values, ":after": {"S": after}}
        found = self._access.query(
            TableName=self._access.settings.runs_table,
            IndexName="by_time",
            KeyConditionExpression=condition,
            ExpressionAttributeNames={"#shard": "shard"},  # a reserved word
            ExpressionAttributeValues=values,
            Limit=limit,
        )
        # The index has the ids, and may still have one that is gone.
        records = (self.get(item["created_at"]) for item in found)
        return list(islice((record for record in records if record), limit))

    def arm(self, record: ScheduleRecord) -> None:
        access = self._access
        message = {"v": 1, "kind": "schedule_due", "schedule_id": record.schedule_id, "due": DUE}
        request: dict[str, Any] = {
            "Name": _name(record.schedule_id),
            "GroupName": access.required("scheduler_group"),
            "ScheduleExpression": record.schedule,
            "ScheduleExpressionTimezone": record.timezone,
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "State": "DISABLED" if record.paused else "ENABLED",
            "Target": access.wake(json.dumps(message)),
        }
        if record.schedule.startswith("rate"):
            # Scheduler would fire at once, and count from there.
            request["StartDate"] = record.recurrence().after(access.now())
        try:
            self._create_or_update(request)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationException":
                raise
            reason = error.response["Error"]["Message"]
            raise InvalidInputError(
                f"EventBridge Scheduler rejects {record.schedule!r}: {reason}", [FieldError("schedule", reason)]
            ) from None

    def _create_or_update(self, request: dict[str, Any]) -> None:
        try:
            self._access.scheduler.create_schedule(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConflictException":
                raise
            self._access.scheduler.update_schedule(**request)

    def rearm(self, schedule_id: str, due: datetime) -> None:
        """Scheduler goes on by itself."""

    def remove(self, schedule_id: str) -> None:
        access = self._access
        # The record last: with it, whoever died between the two can be asked again.
        try:
            access.scheduler.delete_schedule(Name=_name(schedule_id), GroupName=access.required("scheduler_group"))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
        access.dynamodb.delete_item(TableName=access.settings.runs_table, Key={"run_id": {"S": _key(schedule_id)}})


def _key(schedule_id: str) -> str:
    return f"schedule#{schedule_id}"


def _name(schedule_id: str) -> str:
    return f"schedule-{schedule_id}"
