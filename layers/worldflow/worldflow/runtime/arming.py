"""Arming a schedule: what makes it due follows its record."""

from __future__ import annotations

from worldflow.worlds.base import World
from worldflow.worlds.schedule_records import ScheduleRecord
from worldflow.worlds.schedules import get_schedule, remove_schedule


def arm(world: World, record: ScheduleRecord) -> None:
    """Arms the schedule as its record has it when this returns: another process may change and arm it meanwhile."""
    while True:
        world.arm_schedule(record)
        current = get_schedule(world, record.schedule_id)
        if current is None:
            remove_schedule(world, record.schedule_id)
            return
        if _timing(current) == _timing(record):
            return
        record = current


def _timing(record: ScheduleRecord) -> tuple[object, ...]:
    return record.schedule, record.timezone, record.is_active, record.counts_from
