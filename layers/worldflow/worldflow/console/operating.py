"""The state of the whole: counts, limits, queues, dead letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from worldflow.console import viewing
from worldflow.engine.errors import FieldError, InvalidInputError, RunNotFoundError
from worldflow.runtime import limits as limits_of
from worldflow.runtime import sweep
from worldflow.worlds.base import Redrives, World
from worldflow.worlds.local.gauges import Gauges
from worldflow.worlds.local.world import LocalWorld
from worldflow.worlds.records import STATUSES, RunRecord

if TYPE_CHECKING:
    from worldflow.worlds.aws.health import StackHealth

OVERDUE = timedelta(hours=2)
"""After the last sweep: they are an hour apart."""

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
    oldest_step: float | None
    """Seconds since the oldest attempt of a step that has not ended was sent; None if that is not known."""
    oldest: RunRecord | None
    """The open run that was created first."""
    swept_at: datetime | None
    """When all open runs were last looked at; None if that is not known."""
    blocked: Sequence[tuple[RunRecord, str]]
    redrives: bool
    now: datetime

    @property
    def is_swept(self) -> bool:
        """Whether the last sweep was as recent as it should be."""
        return self.swept_at is not None and self.now - self.swept_at < OVERDUE


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


def limits(world: World, name: str | None) -> dict[str, list[limits_of.LimitStatus]]:
    """The keys of all limits or of one, by the names of limits: first those at which most wait."""
    found: dict[str, list[limits_of.LimitStatus]] = {}
    for status in limits_of.get_limit(world, name) if name else limits_of.list_limits(world):
        found.setdefault(status.name, []).append(status)
    for keys in found.values():
        keys.sort(key=lambda one: (-len(one.waiting), -len(one.holders), one.key))
    return found


def health(world: World) -> Health:
    gauges, stack = world.measure() if isinstance(world, LocalWorld) else None, _stack(world)
    listed = world.list_runs(status="blocked", limit=50).runs
    blocked = [(run, _why(world, run.run_id)) for run in listed]
    queues: Mapping[str, tuple[int, int, float | None]] = {}
    step: float | None = None
    if gauges:
        step = gauges.oldest_step
        queues = {name: (queue.waiting, queue.in_flight, queue.oldest) for name, queue in gauges.queues.items()}
    elif stack:
        queues = stack.queues
        step = _oldest_step(queues)
    return Health(
        queues,
        gauges,
        step,
        stack.oldest if stack else next(world.walk_runs("running"), None),
        stack.swept_at if stack else sweep.last(world),
        blocked,
        isinstance(world, Redrives),
        world.now(),
    )


def _oldest_step(queues: Mapping[str, tuple[int, int, float | None]]) -> float | None:
    """The age of the oldest message of all queues of steps, if it is known: 0 where there is none."""
    ages = [
        age if waiting or in_flight else 0.0
        for name, (waiting, in_flight, age) in queues.items()
        if name.startswith("steps")
    ]
    known = [age for age in ages if age is not None]
    return max(known) if ages and len(known) == len(ages) else None


def _stack(world: World) -> StackHealth | None:
    try:
        from worldflow.worlds.aws.health import health_of
        from worldflow.worlds.aws.world import AWSWorld
    except ModuleNotFoundError:  # boto3
        return None
    return health_of(world) if isinstance(world, AWSWorld) else None


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
