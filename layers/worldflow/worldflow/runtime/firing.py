"""Starting the runs of schedules when they are due, or when the previous run has ended.

The record says what is about to be done before it is done: see `schedules.py`. Under the overlaps in `WAITS` it also
lists the moments that wait for the last run to end. A run that is started under one of these notifies its schedule when
it ends, after its own record says so. The notification may come before a moment is listed. So a process that lists a
moment, or starts a run while others wait, checks afterwards whether the last run is still open: either the check sees
the end, or the notification comes after the record was written and finds the moments on it.
"""

from __future__ import annotations

import logging
import uuid
from datetime import datetime

from worldflow.engine.errors import (
    ConflictError,
    RunExistsError,
)
from worldflow.engine.history import CancelRequested, TerminateRequested
from worldflow.runtime import starting
from worldflow.runtime.arming import arm
from worldflow.runtime.callers import asked_by
from worldflow.turns import generations
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived, ScheduleDue, ScheduleMessage
from worldflow.worlds.payloads import fetch
from worldflow.worlds.schedule_records import MAKES_WAY, WAITS, ScheduleRecord
from worldflow.worlds.schedules import get_schedule, put_schedule

_log = logging.getLogger("worldflow")


CONFLICT_LIMIT = 10
"""How often a write is retried that conflicted with another process."""

COUNT_LIMIT = 10_000
"""The most moments that one message counts as missed."""


def fire(world: World, message: ScheduleMessage) -> None:
    """Starts the run for which a schedule is due, unless the schedule is deleted or paused or its overlap forbids it;
    when the last run has ended, starts the run that waits for that.

    When it returns, the message may be acknowledged; if it raises, it must come again.
    """
    if isinstance(message, ScheduleDue):
        world.rearm_schedule(message.schedule_id, message.due)  # first: a message that fails stops none after it
    for _ in range(CONFLICT_LIMIT):
        try:
            if isinstance(message, ScheduleDue):
                _fire(world, message)
            else:
                take_up(world, message.schedule_id)
            return
        except ConflictError:
            continue
    raise ConflictError(f"schedule {message.schedule_id!r} is being changed by too many processes at once")


def take_up(world: World, schedule_id: str) -> ScheduleRecord | None:
    """Starts the run that was about to be started, and the one that waits for the last to end, if that has ended.

    Raises `ConflictError`.
    """
    record = get_schedule(world, schedule_id)
    if record and record.starting:
        record = _start(world, record, again=True)
    return _settle(world, record) if record else None


def _fire(world: World, message: ScheduleDue) -> None:
    record = get_schedule(world, message.schedule_id)
    if record and record.starting:
        record = _start(world, record, again=True)
    if record is None or message.due < record.created_at.replace(microsecond=0):
        _log.info("schedule %s was deleted: no run is started for %s", message.schedule_id, message.due)
    elif record.finished:
        _log.info("schedule %s is finished: no run is started for %s", message.schedule_id, message.due)
        arm(world, record)  # again: the process that started the last run may have died before that
    elif record.paused:
        _log.info("schedule %s is paused: no run is started for %s", message.schedule_id, message.due)
    elif (until := record.missed_until(world.now())) and message.due <= until:
        _miss(world, record, message.due, until)
    elif record.last_due and message.due <= record.last_due:
        _take_late(world, record, message)
    else:
        _take(world, record, message.due)


def _take(world: World, record: ScheduleRecord, due: datetime) -> None:
    """Starts the run of a moment, or lets it wait for the last run to end, or skips it."""
    waiting = [*record.buffered, due]
    running = None if record.overlap == "allow" else _open_run(world, record.last_run_id)
    if running:
        record = _write(world, record, last_due=due, buffered=waiting)
        said = "a run waits" if due in record.buffered else "no run is started"
        _log.info("schedule %s: run %s has not ended: %s for %s", record.schedule_id, running, said, due)
    elif record.overlap in MAKES_WAY:
        skipped = record.skipped + len(record.buffered)
        record = _begin(world, record, due, last_due=due, buffered=[], skipped=skipped)
    else:  # if others wait, the message that the last run has ended is on its way
        record = _begin(world, record, waiting[0], last_due=due, buffered=waiting[1:])
    _settle(world, record)


def _take_late(world: World, record: ScheduleRecord, message: ScheduleDue) -> None:
    """Handles a message for the last moment or an earlier one: a copy, unless each gets a run and this has none."""
    if record.overlap == "allow" and record.remaining is None:
        _start_run(world, record, message.run_id, message.due, again=True)
        return
    is_due = record.overlap in ("allow", "buffer_all") and message.due not in record.buffered
    if is_due and not _exists(world, message.run_id):
        if record.overlap == "allow":
            record = _begin(world, record, message.due)
        else:
            record = _write(world, record, buffered=sorted([*record.buffered, message.due]))
    _settle(world, record)


def _miss(world: World, record: ScheduleRecord, due: datetime, until: datetime) -> None:
    """Counts the moments from `due` to `until` as missed: no run is started for them."""
    if record.last_due and due <= record.last_due:
        return  # a copy, or it was counted with another
    recurrence, last, number = record.recurrence(), due, 1
    while number < COUNT_LIMIT and (moment := recurrence.after(last)) and moment <= until:
        last, number = moment, number + 1
    _log.warning("schedule %s: %d moments from %s to %s are missed", record.schedule_id, number, due, last)
    _write(world, record, last_due=last, missed=record.missed + number)


# --- what waits ---


def _settle(world: World, record: ScheduleRecord) -> ScheduleRecord:
    """Starts the first waiting run if the last one has ended; otherwise asks that one to end if the overlap says so."""
    while record.buffered and record.is_active:
        if running := _open_run(world, record.last_run_id):
            _make_way(world, record, running)
            break
        first, *waiting = record.buffered
        record = _begin(world, record, first, buffered=waiting)
    return record


def _make_way(world: World, record: ScheduleRecord, running: str) -> None:
    due = record.buffered[-1]
    reason = f"schedule {record.schedule_id!r} makes room for its run of {due:%Y-%m-%dT%H:%M:%SZ}"
    fact: CancelRequested | TerminateRequested
    match record.overlap:
        case "cancel_other":
            fact = CancelRequested(reason=reason)
        case "terminate_other":
            fact = TerminateRequested(reason=reason)
        case _:
            return
    successor = ScheduleDue(schedule_id=record.schedule_id, due=due).run_id
    world.send([FactArrived(run_id=running, fact=fact, nonce=successor)])


# --- one run ---


def _begin(world: World, record: ScheduleRecord, due: datetime, **changes: object) -> ScheduleRecord:
    """Starts the run of a moment."""
    if record.remaining is not None:
        changes["remaining"] = record.remaining - 1
    run_id = ScheduleDue(schedule_id=record.schedule_id, due=due).run_id
    return _start(world, _write(world, record, starting=run_id, **changes))


def _start(world: World, record: ScheduleRecord, *, again: bool = False) -> ScheduleRecord:
    """Starts the run that is about to be started, and records that it was."""
    assert record.starting
    due = ScheduleDue.of_run(record.schedule_id, record.starting).due
    _start_run(world, record, record.starting, due, again=again)
    record = _write(world, record, last_run_id=record.starting, starting=None)
    if record.finished:
        arm(world, record)
    return record


def _start_run(world: World, record: ScheduleRecord, run_id: str, due: datetime, *, again: bool) -> None:
    if again and world.get_run(run_id) is None and world.archive.get(run_id):
        return  # it was started so long ago that it is archived
    begins = record.begins_at(due)
    if begins and starting.gathering(record.workflow, run_id):
        begins = None  # the workflow was changed since the schedule was made, and now has its own waiting time
    notifies = record.schedule_id if record.overlap in WAITS else None
    values = fetch(world, record.input)
    try:
        with asked_by(None):  # the span that is current is of whatever fires schedules
            starting.start(world, run_id, record.workflow, values, start_at=begins, notifies_schedule=notifies)
    except RunExistsError as error:
        _log.error("schedule %s: %s", record.schedule_id, error)


def _exists(world: World, run_id: str) -> bool:
    """Whether there is a run, or was one that is archived."""
    return world.get_run(run_id) is not None or world.archive.get(run_id) is not None


def _write(world: World, record: ScheduleRecord, **changes: object) -> ScheduleRecord:
    """Stores a changed record, with no more moments waiting than it allows."""
    written = record.model_copy(update={**changes, "version": uuid.uuid4().hex}).fitted()
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
