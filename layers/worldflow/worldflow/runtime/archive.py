"""The archive: runs that ended long ago leave the tables, and can be read as before.

A run is archived in steps, each of which may be the last before the process dies:

    1. its archive is written: the record, and the history as it is stored
    2. it is sealed: its record says that it is archived, and the id of the run that would follow it is reserved, both
       or neither; from here on it is read from the archive, and a request to continue it is refused
    3. what it has beside the record is removed: tokens of hooks, timers that are still set, the step ledger, the
       history; its large data goes where the archive is
    4. the record is removed, and all that leads to it, in one go

What is cut short after the second step is taken up by the next pass, which finds the record. Before it nothing has
changed. So there is never a run that is half there: a reader has the history whole, if the record that it reads
afterwards is not sealed, and else has the archive; a turn that comes late does the same; and there is no history
without a record, which a new run of the same id would take for its own.

**Generations.** One in the middle is archived by itself. The first, which the id leads to, goes with the newest, in the
same steps, when no other is left. With them go the streams, which all generations share.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from worldflow.engine.errors import WorldflowError
from worldflow.engine.history import (
    Event,
    HookCreated,
    RunEnded,
    StepAbandoned,
    StepCancelRequested,
    StepCompleted,
    StepFailed,
    StepRetryScheduled,
    StepScheduled,
    TimerFired,
    TimerStarted,
)
from worldflow.engine.history.state import RunState
from worldflow.engine.ids import generation, generation_id, starts_key
from worldflow.worlds import items, streams
from worldflow.worlds.archives import Attempt, dump_archive, load_archive
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived
from worldflow.worlds.records import RunRecord, Status

LEAST_AGE = timedelta(days=1)
"""Sooner after its end no run is archived: what a process remembers of a run, it trusts for half as long."""

_STATUSES: tuple[Status, ...] = ("continued", "completed", "failed", "cancelled")

_log = logging.getLogger("worldflow")


@dataclass(slots=True)
class ArchiveReport:
    """What a pass has done."""

    archived: int = 0
    failed: int = 0
    """Runs that could not be archived; the log shows why."""
    complete: bool = True
    """False if time ran out."""


def archive_old_runs(
    world: World, *, older_than: timedelta, out_of_time: Callable[[], bool] = lambda: False
) -> ArchiveReport:
    """Archives the runs that ended longer ago than `older_than`, the oldest first.

    older_than: at least one day.
    out_of_time: called before each run; stops the pass if it returns True.
    """
    if older_than < LEAST_AGE:
        raise ValueError(
            f"older_than must be at least {LEAST_AGE.days} day, not {older_than}: a run cannot be archived earlier"
        )
    report, before = ArchiveReport(), world.now() - older_than
    for found in chain.from_iterable(world.walk_runs(status, created_before=before) for status in _STATUSES):
        if found.ended_at is None or found.ended_at > before:
            continue
        if out_of_time():
            report.complete = False
            return report
        try:
            report.archived += _archive(world, found.run_id, before)
        except Exception:
            _log.exception("run %s could not be archived", found.run_id)
            report.failed += 1
    return report


def _archive(world: World, run_id: str, before: datetime) -> int:
    """Archives a run, and with it what can only go together. Returns how many runs that were."""
    base, number = generation(run_id)
    newest = max(number, items.get_generation(world, base))
    if 1 < number < newest:
        return _archive_together(world, [run_id], before)
    done = 0
    for left in world.archive.remaining([generation_id(base, between) for between in range(2, newest)]):
        done += (archived := _archive_together(world, [left], before))
        if not archived:
            return done
    first_and_newest = list(dict.fromkeys([base, generation_id(base, newest)]))
    return done + _archive_together(
        world, first_and_newest, before, base=base, reserved=generation_id(base, newest + 1)
    )


def _archive_together(
    world: World, run_ids: Sequence[str], before: datetime, *, base: str | None = None, reserved: str | None = None
) -> int:
    records = [record for run_id in run_ids if (record := world.get_run(run_id))]
    if len(records) < len(run_ids) or not all(_is_over(record, before) for record in records):
        return 0  # the index is stale, or another of its generations has not ended
    names = records[0].streams
    if records[0].archived_at is None and not _seal(world, records, reserved):
        # They may have streams, which is not asked before: hardly any run has.
        names = streams.found_names(world, base) if base else None
        if names is None or not _seal(world, records, reserved, names):
            return 0
    for record in records:
        _clear(world, record.run_id)
        if record.gathered:
            world.archive.clear(starts_key(record.run_id), ())
    if base and names:
        streams.clear(world, base, names)
    world.archive.forget(run_ids, base, reserved)
    return len(records)


def _is_over(record: RunRecord, before: datetime) -> bool:
    return record.ended and record.ended_at is not None and record.ended_at <= before


def _seal(world: World, records: Sequence[RunRecord], reserved: str | None, names: Sequence[str] = ()) -> bool:
    """Writes the archives of runs and seals them. Returns False if they continue after all, or have streams.

    names: the streams of all their generations, which are archived too.
    """
    newest = records[-1].run_id if reserved else None
    sealed = [record.model_copy(update={"archived_at": world.now(), "newest_run_id": newest}) for record in records]
    if names:
        sealed[0] = sealed[0].model_copy(update={"streams": list(names)})
        for name in names:
            streams.archive(world, records[0].run_id, name)
    for record in sealed:
        events = world.load_history(record.run_id)
        if not events or events[0].seq != 1 or events[-1].seq != record.seq or not isinstance(events[-1], RunEnded):
            raise WorldflowError(f"the history and the record of run {record.run_id!r} do not match")
        _put(world, record, events)
    return world.archive.seal(sealed, reserved, streams.names_key(newest) if newest and not names else None)


def _put(world: World, record: RunRecord, events: Sequence[Event]) -> None:
    data = dump_archive(record, events)
    if world.archive.put(record.run_id, data):
        return
    other, _ = _load(world, record.run_id)
    is_another = other.created_at != record.created_at  # a run that had this id before
    keep_as = f"{other.created_at:%Y%m%dT%H%M%S.%fZ}" if is_another else None
    world.archive.put(record.run_id, data, replace=True, keep_as=keep_as)


def _load(world: World, run_id: str) -> tuple[RunRecord, list[Event]]:
    data = world.archive.get(run_id)
    if data is None:
        raise WorldflowError(f"run {run_id!r} is sealed, but has no archive")
    return load_archive(data)


def _clear(world: World, run_id: str) -> None:
    """Removes what a sealed run has beside its record, as its archive tells it."""
    _, events = _load(world, run_id)
    for token in {event.token for event in events if isinstance(event, HookCreated)}:
        items.delete_hook(world, token, run_id)
    for timer in _still_set(events, world.now()):
        world.cancel_delayed(FactArrived(run_id=run_id, fact=TimerFired(timer_id=timer.timer_id)), timer.due, timer.at)
    world.archive.clear(run_id, list(dict.fromkeys(_attempts(events))))


def _still_set(events: Sequence[Event], now: datetime) -> Iterator[TimerStarted]:
    """Timers that would fire yet. They were taken back, at the latest when the run ended; that may have been lost."""
    return (event for event in events if isinstance(event, TimerStarted) and event.due > now)


def _attempts(events: Sequence[Event]) -> Iterator[Attempt]:
    """The attempts that the step ledger may know of."""
    unwanted = set(RunState(events).steps) | {
        event.step_id for event in events if isinstance(event, (StepAbandoned, StepCancelRequested))
    }
    steps: dict[str, StepScheduled] = {}

    def attempt(scheduled: StepScheduled, number: int) -> Attempt:
        # That it is not wanted any more stands where its heartbeats are.
        beats = bool(scheduled.heartbeat_timeout) or scheduled.step_id in unwanted
        return Attempt(scheduled.step_id, number, bool(scheduled.at_most_once), beats)

    for event in events:
        match event:
            case StepScheduled():
                steps[event.step_id] = event
                yield attempt(event, 1)
            case StepRetryScheduled() | StepCompleted() | StepFailed() if event.attempt > 1:
                yield attempt(steps[event.step_id], event.attempt)


# --- what becomes of those that are archived -----------------------------------------------------------------------
