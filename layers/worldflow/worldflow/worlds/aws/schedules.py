"""The schedules of an `AWSWorld`: for each record one schedule of EventBridge Scheduler.

It sends a `ScheduleDue` to the queue of timers, and puts the moment that it was due in its place.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.worlds.aws.access import AWSAccess
from worldflow.worlds.schedule_records import ScheduleRecord

DUE = "<aws.scheduler.scheduled-time>"
"""What Scheduler replaces by the moment that was scheduled."""


class AWSSchedules:
    def __init__(self, access: AWSAccess) -> None:
        self._access = access

    def arm(self, record: ScheduleRecord) -> None:
        access = self._access
        message = {"v": 1, "kind": "schedule_due", "schedule_id": record.schedule_id, "due": DUE}
        request: dict[str, Any] = {
            "Name": _name(record.schedule_id),
            "GroupName": access.required("scheduler_group"),
            "ScheduleExpression": record.schedule,
            "ScheduleExpressionTimezone": record.timezone,
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "State": "ENABLED" if record.is_active else "DISABLED",
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

    def disarm(self, schedule_id: str) -> None:
        group = self._access.required("scheduler_group")
        try:
            self._access.scheduler.delete_schedule(Name=_name(schedule_id), GroupName=group)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise


def _name(schedule_id: str) -> str:
    return f"schedule-{schedule_id}"
