"""The state of the whole: counts, schedules, queues, dead letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worldflow.console import viewing
from worldflow.engine.errors import FieldError, InvalidInputError, RunNotFoundError
from worldflow.runtime import schedules as schedules_of
from worldflow.worlds.base import Redrives, World
from worldflow.worlds.local.gauges import Gauges
from worldflow.worlds.local.world import LocalWorld
from worldflow.worlds.records import STATUSES, RunRecord
from worldflow.worlds.schedules import ScheduleRecord

COUNTED = 1_000
"""Runs of a status that are counted where a World has no counts: a request."""


@dataclass(frozen=True, slots=True)
class Count:
    status: str
    number: int
    is_more: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    queues: Mapping[str, tuple[int, int, float | None]]
    """Messages that wait, those in flight, and the age of the oldest in seconds, by the names of queues."""
    gauges: Gauges | None
    """Of a LocalWorld."""
    blocked: Sequence[tuple[RunRecord, str]]
    redrives: bool


@dataclass(frozen=True, slots=True)
class Scheduled:
    schedules: Sequence[tuple[ScheduleRecord, Any]]
    cursor: str | None


def counts(world: World) -> list[Count]:
    """How many runs there are of each status."""
    if isinstance(world, LocalWorld):
        runs: Mapping[str, int] = world.measure().runs
        return [Count(status, runs.get(status, 0)) for status in STATUSES]
    found = []
    for status in STATUSES:
        page = world.list_runs(status=status, limit=COUNTED)
        found.append(Count(status, len(page.runs), page.cursor is not None))
    return found


def schedules(world: World, cursor: str | None) -> Scheduled:
    page = schedules_of.list_page(world, 50, cursor)
    now = world.now()
    return Scheduled([(record, record.next_due(now)) for record in page.schedules], page.cursor)


def act_on_schedule(world: World, schedule_id: str, action: str) -> str:
    """Pauses, resumes or deletes a schedule. Returns what it did."""
    match action:
        case "pause" | "resume":
            schedules_of.update(world, schedule_id, paused=action == "pause")
            return f"Schedule {schedule_id} is {'paused' if action == 'pause' else 'active'}."
        case "delete":
            schedules_of.delete(world, schedule_id)
            return f"Deleted schedule {schedule_id}. Runs that it started continue."
    raise InvalidInputError(f"there is no action {action!r}", [FieldError("action", "no such action")])


def health(world: World) -> Health:
    gauges = world.measure() if isinstance(world, LocalWorld) else None
    listed = world.list_runs(status="blocked", limit=50).runs
    blocked = [(run, _why(world, run.run_id)) for run in listed]
    return Health(_queues(world, gauges), gauges, blocked, isinstance(world, Redrives))


def _queues(world: World, gauges: Gauges | None) -> Mapping[str, tuple[int, int, float | None]]:
    if gauges:
        return {name: (queue.waiting, queue.in_flight, queue.oldest) for name, queue in gauges.queues.items()}
    try:
        from worldflow.console.queues import queues_of
        from worldflow.worlds.aws.world import AWSWorld
    except ModuleNotFoundError:  # boto3
        return {}
    return queues_of(world) if isinstance(world, AWSWorld) else {}


def _why(world: World, run_id: str) -> str:
    try:
        return viewing.read_record(world, run_id).blocked_reason or ""
    except RunNotFoundError:
        return ""


def redrive(world: World) -> str:
    """Puts dead letters back into their queues. Returns what it did."""
    if not isinstance(world, Redrives):
        raise InvalidInputError("this World has no dead letters", [FieldError("action", "no such action")])
    done = world.redrive()
    return f"Put {done.moved} messages back; {done.unreadable} are not Worldflow's, {done.in_flight} are in flight."
