"""Runs of a schedule that somebody asks for, besides those that it starts when it is due.

Their ids follow from what is asked, so that the same request, sent again, starts nothing more. The schedule's record is
read and never written: neither `overlap` nor a pause stops these runs, and when the schedule is due next it does not
look at them.
"""

from __future__ import annotations

import re
import uuid

from worldflow.engine.errors import FieldError, InvalidInputError, ScheduleNotFoundError
from worldflow.engine.ids import generation
from worldflow.runtime import starting
from worldflow.worlds.base import World
from worldflow.worlds.payloads import fetch
from worldflow.worlds.schedules import ScheduleRecord, get_schedule

_TRIGGER_ID = re.compile(r"[A-Za-z0-9_.-]{1,40}")


def trigger(world: World, schedule_id: str, trigger_id: str | None = None) -> tuple[str, bool]:
    """Starts a run of a schedule now. Returns the run's id, and whether it is new.

    trigger_id: part of the run's id, so that a request which is sent again starts no other run. Default: a new one.
    Raises `ScheduleNotFoundError`, and `InvalidInputError` for a `trigger_id` that does not fit.
    """
    if trigger_id is not None and not (isinstance(trigger_id, str) and _TRIGGER_ID.fullmatch(trigger_id)):
        rule = "up to 40 letters, digits and _.-"
        raise InvalidInputError(
            f"{trigger_id!r} is not a valid trigger_id: it must be {rule}",
            [FieldError("trigger_id", f"must be {rule}")],
        )
    record = _read(world, schedule_id)
    return _start(world, record, f"{schedule_id}:trigger-{trigger_id or uuid.uuid4().hex}")


def _read(world: World, schedule_id: str) -> ScheduleRecord:
    record = get_schedule(world, schedule_id)
    if record is None:
        raise ScheduleNotFoundError(schedule_id)
    return record


def _start(world: World, record: ScheduleRecord, run_id: str) -> tuple[str, bool]:
    if world.get_run(run_id) is None and world.archive.get(run_id):
        return run_id, False  # it was started so long ago that it is archived
    run, created = starting.start(world, run_id, record.workflow, fetch(world, record.input))
    return generation(run.run_id)[0], created
