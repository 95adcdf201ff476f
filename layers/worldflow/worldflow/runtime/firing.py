"""Starting the runs of schedules when they are due."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime

from worldflow.engine.errors import (
    ConflictError,
    RunExistsError,
)
from worldflow.runtime import starting
from worldflow.runtime.callers import asked_by
from worldflow.turns import generations
from worldflow.worlds.base import World
from worldflow.worlds.messages import ScheduleDue
from worldflow.worlds.payloads import fetch
from worldflow.worlds.schedules import ScheduleRecord, get_schedule, put_schedule

_log = logging.getLogger("worldflow")


CONFLICT_LIMIT = 10
"""How often a write is retried that conflicted with another process."""


def fire(world: World, message: ScheduleDue) -> None:
    """Starts the run for which a schedule is due, unless it is deleted, paused, or overlaps with the run before.

    When it returns, the message may be acknowledged; if it raises, it must come again.
    """
    world.rearm_schedule(message.schedule_id, message.due)  # first: a message that fails stops none after it
    for _ in range(CONFLICT_LIMIT):
        try:
            _fire(world, message)
            return
        except ConflictError:
            continue
    raise ConflictError(f"schedule {message.schedule_id!r} is being changed by too many processes at once")


def _fire(world: World, message: ScheduleDue) -> None:
    record = get_schedule(world, message.schedule_id)
    if record and record.starting:
        record = _start(world, record, again=True)
    if record is None or message.due < record.created_at.replace(microsecond=0):
        _log.info("schedule %s was deleted: no run is started for %s", message.schedule_id, message.due)
    elif record.paused:
        _log.info("schedule %s is paused: no run is started for %s", message.schedule_id, message.due)
    elif record.last_due and message.due <= record.last_due:
        if record.overlap == "allow":
            _start_run(
                world, record, message.run_id, message.due, again=True
            )  # it is late or, if there is such a run, a copy
    elif record.overlap == "skip" and (running := _open_run(world, record.last_run_id)):
        _log.info(
            "schedule %s: run %s has not ended: no run is started for %s", message.schedule_id, running, message.due
        )
        _write(world, record, last_due=message.due)
    else:
        _start(world, _write(world, record, last_due=message.due, starting=message.run_id))


def _start(world: World, record: ScheduleRecord, *, again: bool = False) -> ScheduleRecord:
    """Starts the run that is about to be started, and records that it was."""
    assert record.starting and record.last_due
    _start_run(world, record, record.starting, record.last_due, again=again)
    return _write(world, record, last_run_id=record.starting, starting=None)


def _start_run(world: World, record: ScheduleRecord, run_id: str, due: datetime, *, again: bool) -> None:
    if again and world.get_run(run_id) is None and world.archive.get(run_id):
        return  # it was started so long ago that it is archived
    begins = record.begins_at(due)
    if begins and starting.gathering(record.workflow):
        begins = None  # it was changed since the schedule was made: its runs wait as it says itself
    try:
        with asked_by(None):  # the span that is current is of whatever fires schedules
            starting.start(world, run_id, record.workflow, fetch(world, record.input), start_at=begins)
    except RunExistsError as error:
        _log.error("schedule %s: %s", record.schedule_id, error)


def _write(world: World, record: ScheduleRecord, **changes: object) -> ScheduleRecord:
    written = record.model_copy(update={**changes, "version": uuid.uuid4().hex})
    put_schedule(world, written, replacing=record)
    return written


def _open_run(world: World, run_id: str | None) -> str | None:
    """The newest generation of a run, if it has not ended."""
    run = world.get_run(run_id) if run_id else None
    if run is None:
        return None
    newest = generations.newest_generation(world, run)
    # One that continues has a successor, or is about to.
    return newest.run_id if not newest.ended or newest.status == "continued" else None
