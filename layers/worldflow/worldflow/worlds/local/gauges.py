"""What a LocalWorld has in hand at one moment, for monitoring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from worldflow.worlds.local.database import Database

SCHEMA = "create index if not exists runs_by_status on runs (status);"

_QUEUES = ("runs", "steps", "dead", "unreadable")


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueGauges:
    waiting: int = 0
    in_flight: int = 0
    oldest: float = 0.0
    """Seconds since the oldest message that waits was sent or due; 0 if there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gauges:
    runs: Mapping[str, int]
    """How many there are of each status."""
    queues: Mapping[str, QueueGauges]
    """By name: those of runs and steps, of the dead, and of messages that no code could read."""
    delayed: int
    """Messages that are due later: timers, retries, schedules."""
    oldest_step: float
    """Seconds since the oldest step attempt that has not ended was sent; 0 if there is none. Inline steps have none."""
    is_served: bool


def measure(database: Database, now: datetime, is_served: bool) -> Gauges:
    time = now.timestamp()
    runs = database.rows("select status, count(*) from runs group by status")
    arrived = "coalesce(arrived_at, visible_at)"
    found = database.rows(
        "select queue, sum(not in_flight and visible_at <= ?), sum(in_flight), sum(visible_at > ? and not in_flight), "
        f"min(case when not in_flight and visible_at <= ? then {arrived} end), "
        f"min(case when in_flight or visible_at <= ? then {arrived} end) from messages group by queue",
        *(time,) * 4,
    )
    rows = {queue: tuple(float(value or 0) for value in values) for queue, *values in found}
    none = (0.0,) * 5

    def since(moment: float) -> float:
        return max(time - moment, 0.0) if moment else 0.0

    def of(queue: str) -> QueueGauges:
        waiting, in_flight, _, oldest, _ = rows.get(queue, none)
        return QueueGauges(waiting=int(waiting), in_flight=int(in_flight), oldest=since(oldest))

    return Gauges(
        runs={status: int(count) for status, count in runs},
        queues={queue: of(queue) for queue in _QUEUES},
        delayed=int(sum(values[2] for values in rows.values())),
        oldest_step=since(rows.get("steps", none)[4]),
        is_served=is_served,
    )
