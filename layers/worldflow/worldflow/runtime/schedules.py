"""Schedules: creating and changing them, and starting their runs when they are due.

A schedule's record is the truth; what makes it due (`Schedules.arm`) follows it. So the record is written first, and
what is armed after it. Who dies between the two, or gets an error, asks again: the same request arms it again.

**When it is due** its run gets an id made of the schedule's id and the moment. Three writes, each of them on the
condition that nobody has written the record meanwhile:

    1. the record says that this run is about to be started
    2. the run is started, which does nothing if there is such a run
    3. the record says that this run was the last to be started

A crash between any two leaves the message unacknowledged. It comes again, finds what it was about to do on the record,
and does the rest. A message that finds another run there does the rest for that one first, so that two messages at once
agree on which of them starts its run and which of them overlaps with it. Without the first write they would both start
one; without the third nobody could tell a run that was not started yet from one whose record is gone.

A copy of a message finds its run on the record, or a later one, and starts nothing.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

from worldflow.engine.durations import Duration, seconds
from worldflow.engine.errors import (
    ConflictError,
    FieldError,
    InvalidInputError,
    ScheduleExistsError,
    ScheduleNotFoundError,
)
from worldflow.engine.history import Json
from worldflow.engine.values.serialization import ANYTHING
from worldflow.engine.workflow.definitions import Workflow, check_usable
from worldflow.runtime import starting
from worldflow.runtime.firing import CONFLICT_LIMIT, _start
from worldflow.worlds.base import World
from worldflow.worlds.payloads import fetch, stash
from worldflow.worlds.records import check_limit
from worldflow.worlds.schedules import (
    Overlap,
    SchedulePage,
    ScheduleRecord,
    get_schedule,
    list_schedules,
    put_schedule,
    remove_schedule,
)

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,49}")
_DEFINITION = ("workflow", "schedule", "timezone", "overlap", "jitter", "paused")

JITTER_LIMIT = 86_400
"""Seconds."""

_log = logging.getLogger("worldflow")


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
    paused: bool = False,
) -> tuple[ScheduleRecord, bool]:
    """Creates a schedule, unless the very same exists. Returns its record, and whether it is new.

    The fields are those of `Orchestrator.create_schedule`. Raises `InvalidInputError` for what does not fit, and
    `ScheduleExistsError` for the id of a schedule that is defined otherwise.
    """
    now = world.now()
    _check_id(schedule_id)
    _check(schedule, timezone, overlap, now)
    name, arguments = _encode(workflow, input or {})
    record = ScheduleRecord(
        schedule_id=schedule_id,
        workflow=name,
        input=_stash(world, schedule_id, arguments),
        schedule=schedule,
        timezone=timezone,
        overlap=overlap,
        jitter=_jitter(jitter, workflow),
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
        if others != rest or not (theirs == ours or _has_form(workflow, input or {}, theirs)):
            raise ScheduleExistsError(schedule_id) from None
        record, created = existing, False
    else:
        created = True
    try:
        _arm(world, record)
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
    paused: bool | None = None,
) -> ScheduleRecord:
    """Changes a schedule: the fields that are given, and no other. Returns its record.

    Raises `InvalidInputError` for what does not fit, and `ScheduleNotFoundError`.
    """
    given = {"schedule": schedule, "timezone": timezone, "overlap": overlap, "paused": paused}
    changes: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    for _ in range(CONFLICT_LIMIT):
        existing = get(world, schedule_id)
        if workflow is not None or input is not None:
            known = starting.resolve(workflow or existing.workflow, None)
            values = _decode(known, fetch(world, existing.input)) if input is None else input
            changes["workflow"], arguments = _encode(known, values)
            changes["input"] = _stash(world, schedule_id, arguments)
        if jitter is not None:
            changes["jitter"] = _jitter(jitter, starting.resolve(workflow or existing.workflow, None))
        now = world.now()
        if schedule not in (None, existing.schedule):
            changes["counts_from"] = now.replace(microsecond=0)
        record = existing.model_copy(update={**changes, "updated_at": now, "version": uuid.uuid4().hex})
        _check(record.schedule, record.timezone, record.overlap, now)
        try:
            put_schedule(world, record, replacing=existing)
        except ConflictError:
            continue
        try:
            _arm(world, record)
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


def _arm(world: World, record: ScheduleRecord) -> None:
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
    return record.schedule, record.timezone, record.paused, record.counts_from


def take_up(world: World, record: ScheduleRecord) -> None:
    """Arms a schedule as its record has it, and starts the run that was about to be started: after a restore."""
    if record.starting:
        try:
            record = _start(world, record, again=True)
        except ConflictError:
            record = get(world, record.schedule_id)
    _arm(world, record)


# --- when it is due ------------------------------------------------------------------------------------------------


# --- what fits -----------------------------------------------------------------------------------------------------


def _check_id(schedule_id: str) -> None:
    if not isinstance(schedule_id, str) or not _ID.fullmatch(schedule_id):
        # It is part of the names of runs and of EventBridge Scheduler's schedules.
        rule = "up to 50 letters, digits and _.-, starting with a letter or digit"
        raise InvalidInputError(
            f"{schedule_id!r} is not a valid schedule_id: it must be {rule}",
            [FieldError("schedule_id", f"must be {rule}")],
        )


def _check(schedule: str, timezone: str, overlap: str, now: datetime) -> None:
    from worldflow.worlds.recurrence import parse  # which firing does without

    if overlap not in get_args(Overlap):
        raise InvalidInputError(f"{overlap!r} is not a valid overlap", [FieldError("overlap", "must be skip or allow")])
    if parse(schedule, timezone, now).after(now) is None:
        raise InvalidInputError(
            f"{schedule!r} is never due again", [FieldError("schedule", "must be due at some time in the future")]
        )


def _jitter(jitter: Duration | None, workflow: Workflow[..., Any] | str) -> float | None:
    """A jitter in seconds; None for one of no length."""
    if jitter is None:
        return None
    try:
        length = seconds(jitter)
    except ValueError as error:
        raise InvalidInputError(
            f"jitter: {error}", [FieldError("jitter", "must be a duration, such as '5m'")]
        ) from None
    if length > JITTER_LIMIT:
        raise InvalidInputError(
            f"a jitter of {jitter!r} is too long: it must be at most 1d", [FieldError("jitter", "must be at most 1d")]
        )
    if length and isinstance(workflow, Workflow) and workflow.starts.gather:
        raise InvalidInputError(
            f"{workflow.name} gathers starts, which has its own waiting time: leave out the jitter",
            [FieldError("jitter", "must not be given for a workflow with a debounce or a batch")],
        )
    return length or None


def _encode(workflow: Workflow[..., Any] | str, values: Mapping[str, Any]) -> tuple[str, dict[str, Json]]:
    """The workflow's name and its arguments as JSON. Where its code is not in this process they are not checked."""
    if isinstance(workflow, str):
        return workflow, ANYTHING.encode(dict(values))
    check_usable(workflow)
    return workflow.name, workflow.signature.encode(workflow.signature.validate(values))


def _has_form(workflow: Workflow[..., Any] | str, values: Mapping[str, Any], form: Json) -> bool:
    """Whether an earlier version may have written `form` for these arguments."""
    if isinstance(workflow, str):
        return False
    return workflow.signature.is_form(workflow.signature.validate(values), form)


def _decode(workflow: Workflow[..., Any] | str, values: Mapping[str, Json]) -> Mapping[str, Any]:
    return values if isinstance(workflow, str) else workflow.signature.decode(values)


def _stash(world: World, schedule_id: str, values: Json) -> Json:
    return stash(world, f"schedules/{schedule_id}", values, "input")
