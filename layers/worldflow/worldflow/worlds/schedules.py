"""Schedules start runs again and again.

get_schedule / put_schedule / list_schedules / remove_schedule  the record: what to start, when, and the last run
arm_schedule                                                    lets a `ScheduleDue` arrive at each of its moments
rearm_schedule                                                  when one has arrived, arms the next
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from worldflow.engine.errors import ConflictError
from worldflow.worlds.items import ABSENT, Expected, Item, Items
from worldflow.worlds.schedule_records import ScheduleRecord


@dataclass(frozen=True, slots=True)
class SchedulePage:
    """Some schedules by their ids, in order. `cursor` asks for those that follow, if any."""

    schedules: Sequence[ScheduleRecord]
    cursor: str | None = None


class Schedules(Items):
    """What makes the schedules of a World due."""

    @abstractmethod
    def arm_schedule(self, record: ScheduleRecord) -> None:
        """Makes the schedule due at its moments from now on, in place of what was armed; an inactive one is never due.

        Raises `InvalidInputError` for an expression that the World does not take after all.
        """

    @abstractmethod
    def disarm_schedule(self, schedule_id: str) -> None:
        """The schedule is not due any more."""

    def rearm_schedule(self, schedule_id: str, due: datetime) -> None:
        """Makes the schedule due at the moment that follows `due`, if nothing else does. Skips past moments, except
        those within its `catch_up`.

        For a World that arms one moment at a time.
        """


PREFIX = "schedule#"
"""What the keys of the items of schedules begin with."""


def get_schedule(world: Items, schedule_id: str) -> ScheduleRecord | None:
    """The record of a schedule. A consistent read."""
    item = world.get_item(PREFIX + schedule_id)
    return _record(item) if item else None


def put_schedule(world: Items, record: ScheduleRecord, replacing: ScheduleRecord | None) -> None:
    """Stores a record in place of another or, with None, a new one.

    Raises `ConflictError` if `replacing` is not what is stored.
    """
    item = {"schedule": record.model_dump_json(exclude_none=True), "version": record.version}
    expected = Expected(field="version", one_of=(replacing.version,)) if replacing else ABSENT
    if not world.put_item(PREFIX + record.schedule_id, item, expected):
        raise ConflictError(f"schedule {record.schedule_id!r} was changed by another process")


def list_schedules(world: Items, limit: int, after: str) -> Sequence[ScheduleRecord]:
    """The first records whose ids are greater than `after`, by their ids."""
    return [_record(item) for item in world.list_items(PREFIX, limit, after)]


def remove_schedule(world: Schedules, schedule_id: str) -> None:
    """Removes the record and what is armed, as far as they are there."""
    with world.together():
        world.disarm_schedule(schedule_id)  # the record last: after a failure between the two, this can be repeated
        world.put_item(PREFIX + schedule_id, None)


def _record(item: Item) -> ScheduleRecord:
    return ScheduleRecord.model_validate_json(item["schedule"])
