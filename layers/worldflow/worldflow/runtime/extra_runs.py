"""Runs of a schedule that somebody asks for, besides those that it starts when it is due.

Their ids follow from what is asked, so that the same request, sent again, starts nothing more. The schedule's record is
read and never written: neither `overlap` nor a pause stops these runs, and when the schedule is due next it does not
look at them.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from worldflow.engine.errors import FieldError, InvalidInputError, ScheduleNotFoundError
from worldflow.engine.history import Json
from worldflow.engine.ids import generation
from worldflow.runtime import starting
from worldflow.worlds import reading
from worldflow.worlds.base import World
from worldflow.worlds.messages import ScheduleDue
from worldflow.worlds.payloads import fetch
from worldflow.worlds.schedule_records import WAITS, ScheduleRecord
from worldflow.worlds.schedules import get_schedule

_TRIGGER_ID = re.compile(r"[A-Za-z0-9_.-]{1,40}")

BACKFILL_LIMIT = 100
"""Runs that one request may start: the API answers within 29 seconds."""


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
    values = fetch(world, record.input)
    return _start(world, record, values, f"{schedule_id}:trigger-{trigger_id or uuid.uuid4().hex}")


def backfill(world: World, schedule_id: str, start: datetime, end: datetime) -> list[tuple[str, bool]]:
    """Starts the runs of a schedule's moments from `start` until before `end`, as far as there are none.

    Returns the ids of the runs of all these moments, oldest first, and whether each is new. The ids are those that the
    runs have when the schedule is due, so that a request which died half way is repeated. Raises
    `ScheduleNotFoundError`, and `InvalidInputError` for times that do not fit or that have more than `BACKFILL_LIMIT`
    moments between them; then nothing is started.
    """
    record = _read(world, schedule_id)
    due = _moments_of(world, record, start, end)
    values = fetch(world, record.input)
    # The record may list such a moment as waiting: when its turn comes, its run exists, and the next waits for its end.
    notifies = schedule_id if record.overlap in WAITS else None
    return [_start(world, record, values, message.run_id, notifies) for message in due]


def preview(world: World, schedule_id: str, start: datetime, end: datetime) -> list[tuple[str, bool]]:
    """The ids of the runs that `backfill` would start or find, oldest first, and whether each would be new.

    Raises what `backfill` raises.
    """
    due = _moments_of(world, _read(world, schedule_id), start, end)
    return [(message.run_id, reading.find_run(world, message.run_id) is None) for message in due]


def _moments_of(world: World, record: ScheduleRecord, start: datetime, end: datetime) -> list[ScheduleDue]:
    begin, until = _past(start, "start", world.now()), _past(end, "end", world.now())
    if begin >= until:
        raise InvalidInputError(
            f"a backfill must end after its start, but {end} is not after {start}",
            [FieldError("end", "must be after start")],
        )
    moments = []
    for moment in _moments(record, begin, until):
        moments.append(moment)
        if len(moments) > BACKFILL_LIMIT:
            raise InvalidInputError(
                f"schedule {record.schedule_id!r} is due more than {BACKFILL_LIMIT} times between {start} and {end}: "
                f"backfill a shorter time, such as up to {moment:%Y-%m-%dT%H:%M:%SZ}, and then the rest",
                [
                    FieldError(
                        "end", f"must leave at most {BACKFILL_LIMIT} moments, as up to {moment:%Y-%m-%dT%H:%M:%SZ}"
                    )
                ],
            )
    return [ScheduleDue(schedule_id=record.schedule_id, due=moment) for moment in moments]


def _past(moment: datetime, field: str, now: datetime) -> datetime:
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise InvalidInputError(
            f"{field} must be a datetime with a time zone, such as datetime(2026, 1, 1, tzinfo=UTC), not {moment!r}",
            [FieldError(field, "must be a time with a time zone")],
        )
    try:
        utc = moment.astimezone(UTC)
        utc - timedelta(days=2)  # which what looks for moments on the clocks of a time zone may do
    except OverflowError:
        raise InvalidInputError(
            f"{field} {moment!r} cannot be converted to UTC", [FieldError(field, "must be a time in UTC")]
        ) from None
    if utc > now:
        raise InvalidInputError(
            f"a backfill is of the past, but its {field} {moment} is in the future: "
            "the schedule starts those runs itself",
            [FieldError(field, "must not be in the future")],
        )
    return utc


def _moments(record: ScheduleRecord, begin: datetime, until: datetime) -> Iterator[datetime]:
    recurrence = record.recurrence()
    moment = recurrence.after(begin - timedelta(microseconds=1))
    while moment and moment < until:
        yield moment
        moment = recurrence.after(moment)


def _read(world: World, schedule_id: str) -> ScheduleRecord:
    record = get_schedule(world, schedule_id)
    if record is None:
        raise ScheduleNotFoundError(schedule_id)
    return record


def _start(
    world: World, record: ScheduleRecord, values: dict[str, Json], run_id: str, notifies: str | None = None
) -> tuple[str, bool]:
    if world.get_run(run_id) is None and world.archive.get(run_id):
        return run_id, False  # it was started so long ago that it is archived
    run, created = starting.start(world, run_id, record.workflow, values, notifies_schedule=notifies)
    return generation(run.run_id)[0], created
