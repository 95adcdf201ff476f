"""Schedules: creating and changing them, and starting their runs when they are due.

A schedule's record is the truth; what makes it due (`Schedules.arm`) follows it. So the record is written first, and
what is armed after it. After a crash between the two, or an error, the caller repeats the request, which arms it again.

**When it is due** its run gets an id made of the schedule's id and the moment. There are three writes, and those of the
record are made on the condition that no other process has written it meanwhile:

    1. the record says that this run is about to be started
    2. the run is started, which does nothing if there is such a run
    3. the record says that this run was the last to be started

A crash between any two leaves the message unacknowledged. It comes again, finds what it was about to do on the record,
and does the rest. A message that finds another run there does the rest for that one first, so that two messages at once
agree on which of them starts its run and which of them overlaps with it. Without the first write they would both start
one; without the third, a run that was not started yet would look like one whose record is gone.

A copy of a message finds its run on the record, or a later one, and starts nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from worldflow.engine.durations import Duration
from worldflow.engine.errors import (
    ConflictError,
    InvalidInputError,
    ScheduleExistsError,
    ScheduleNotFoundError,
)
from worldflow.engine.history import Json
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import firing, starting
from worldflow.runtime.arming import arm
from worldflow.runtime.firing import CONFLICT_LIMIT
from worldflow.runtime.schedule_fields import (
    Remaining,
    check,
    check_gathering,
    check_id,
    decode,
    encode,
    has_form,
    read_catch_up,
    read_jitter,
    read_remaining,
)
from worldflow.worlds.base import World
from worldflow.worlds.payloads import fetch, stash
from worldflow.worlds.records import check_limit
from worldflow.worlds.schedule_records import Overlap, ScheduleRecord
from worldflow.worlds.schedules import SchedulePage, get_schedule, list_schedules, put_schedule, remove_schedule

_DEFINITION = ("workflow", "schedule", "timezone", "overlap", "jitter", "catch_up", "limited_to", "paused")


# --- what the outside asks for -------------------------------------------------------------------------------------


def create(
    world: World,
    schedule_id: str,
    workflow: Workflow[..., Any] | str,
    input: Mapping[str, Any] | None = None,
    *,
    schedule: str,
    timezone: str = "UTC",
    overlap: Overlap = "skip",
    jitter: Duration | None = None,
    catch_up: Duration | None = None,
    remaining: int | None = None,
    paused: bool = False,
) -> tuple[ScheduleRecord, bool]:
    """Creates a schedule, unless the very same exists. Returns its record, and whether it is new.

    The fields are those of `Orchestrator.create_schedule`. Raises `InvalidInputError` for what does not fit, and
    `ScheduleExistsError` for the id of a schedule that is defined otherwise.
    """
    now = world.now()
    check_id(schedule_id)
    check(schedule, timezone, overlap, now)
    jitter = None if jitter is None else read_jitter(jitter)
    check_gathering(workflow, overlap, jitter)
    runs = None if remaining is None else read_remaining(remaining)
    name, arguments = encode(workflow, input or {})
    record = ScheduleRecord(
        schedule_id=schedule_id,
        workflow=name,
        input=_stash(world, schedule_id, arguments),
        schedule=schedule,
        timezone=timezone,
        overlap=overlap,
        jitter=jitter,
        catch_up=None if catch_up is None else read_catch_up(catch_up),
        limited_to=runs,
        remaining=runs,
        paused=paused,
        created_at=now,
        updated_at=now,
        counts_from=now.replace(microsecond=0),
        version=uuid.uuid4().hex,
    )
    try:
        put_schedule(world, record, replacing=None)
    except ConflictError:
        existing = get(world, schedule_id)
        (theirs, *others), (ours, *rest) = _definition(world, existing), _definition(world, record)
        if others != rest or not (theirs == ours or has_form(workflow, input or {}, theirs)):
            raise ScheduleExistsError(schedule_id) from None
        record, created = existing, False
    else:
        created = True
    try:
        arm(world, record)
    except InvalidInputError:
        remove_schedule(world, schedule_id)
        raise
    return record, created


def _definition(world: World, record: ScheduleRecord) -> list[Any]:
    # The input itself: no two encodings of it are the same.
    return [fetch(world, record.input), *(getattr(record, field) for field in _DEFINITION)]


def update(
    world: World,
    schedule_id: str,
    *,
    workflow: Workflow[..., Any] | str | None = None,
    input: Mapping[str, Any] | None = None,
    schedule: str | None = None,
    timezone: str | None = None,
    overlap: Overlap | None = None,
    jitter: Duration | None = None,
    catch_up: Duration | None = None,
    remaining: Remaining | None = None,
    paused: bool | None = None,
) -> ScheduleRecord:
    """Changes a schedule: the fields that are given, and no other. Returns its record.

    Raises `InvalidInputError` for what does not fit, and `ScheduleNotFoundError`.
    """
    given = {"schedule": schedule, "timezone": timezone, "overlap": overlap, "paused": paused}
    changes: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    if jitter is not None:
        changes["jitter"] = read_jitter(jitter)
    if catch_up is not None:
        changes["catch_up"] = read_catch_up(catch_up)
    if remaining is not None:
        changes["remaining"] = changes["limited_to"] = read_remaining(remaining)
    for _ in range(CONFLICT_LIMIT):
        existing = get(world, schedule_id)
        if workflow is not None or input is not None:
            known = starting.resolve(workflow or existing.workflow, None)
            values = decode(known, fetch(world, existing.input)) if input is None else input
            changes["workflow"], arguments = encode(known, values)
            changes["input"] = _stash(world, schedule_id, arguments)
        now = world.now()
        if schedule not in (None, existing.schedule):
            changes["counts_from"] = now.replace(microsecond=0)
        record = existing.model_copy(update={**changes, "updated_at": now, "version": uuid.uuid4().hex}).fitted()
        check(record.schedule, record.timezone, record.overlap, now)
        if jitter is not None or overlap is not None:
            check_gathering(starting.resolve(record.workflow, None), record.overlap, record.jitter)
        try:
            put_schedule(world, record, replacing=existing)
        except ConflictError:
            continue
        try:
            arm(world, record)
        except InvalidInputError:
            put_schedule(world, existing, replacing=record)
            raise
        return record
    raise ConflictError(f"schedule {schedule_id!r} is being changed by too many processes at once")


def get(world: World, schedule_id: str) -> ScheduleRecord:
    """The record of a schedule. Raises `ScheduleNotFoundError`."""
    record = get_schedule(world, schedule_id)
    if record is None:
        raise ScheduleNotFoundError(schedule_id)
    return record


def read(world: World, schedule_id: str) -> ScheduleRecord:
    """The record of a schedule, with its input also where that is large. Raises `ScheduleNotFoundError`."""
    record = get(world, schedule_id)
    return record.model_copy(update={"input": fetch(world, record.input)})


def list_page(world: World, limit: int = 50, cursor: str | None = None) -> SchedulePage:
    """Schedules in the order of their ids, without their inputs. Raises `InvalidInputError` for a limit below 1."""
    check_limit(limit)
    found = list_schedules(world, limit + 1, cursor or "")
    shown = [record.model_copy(update={"input": None}) for record in found[:limit]]
    return SchedulePage(shown, shown[-1].schedule_id if len(found) > limit else None)


def delete(world: World, schedule_id: str) -> None:
    """Deletes a schedule; runs that it started continue. Raises `ScheduleNotFoundError`."""
    existed = get_schedule(world, schedule_id)
    remove_schedule(world, schedule_id)
    if not existed:
        raise ScheduleNotFoundError(schedule_id)


def take_up(world: World, record: ScheduleRecord) -> None:
    """Arms a schedule as its record has it, and starts the run that was about to be started, or that waits for one that
    has ended: after a restore.
    """
    with suppress(ConflictError):
        firing.take_up(world, record.schedule_id)
    arm(world, get_schedule(world, record.schedule_id) or record)


def _stash(world: World, schedule_id: str, values: Json) -> Json:
    return stash(world, f"schedules/{schedule_id}", values, "input")
