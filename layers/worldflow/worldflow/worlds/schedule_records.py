"""The record of a schedule: its definition, and its state."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from worldflow.engine.history import Json

if TYPE_CHECKING:
    from worldflow.worlds.recurrence import Recurrence

Overlap = Literal["skip", "allow", "buffer_one", "buffer_all", "cancel_other", "terminate_other"]

MAKES_WAY: frozenset[Overlap] = frozenset({"cancel_other", "terminate_other"})
"""With these the previous run is asked to end."""

WAITS: frozenset[Overlap] = MAKES_WAY | {"buffer_one", "buffer_all"}
"""With these a moment may wait for the end of the previous run."""

BUFFER_LIMIT = 1_000
"""Moments that may wait."""


def fitting(moments: Sequence[datetime], overlap: Overlap) -> list[datetime]:
    """Those of the waiting moments, oldest first, that `overlap` lets wait for the end of a run."""
    match overlap:
        case "buffer_all":
            return list(moments[:BUFFER_LIMIT])
        case "buffer_one":
            return list(moments[:1])
        case "cancel_other" | "terminate_other":
            return list(moments[-1:])
    return []


_HIDDEN = {"counts_from", "starting", "version", "limited_to", "buffered", "skipped", "missed"}


class ScheduleRecord(BaseModel):
    """The definition of a schedule, and its state."""

    model_config = ConfigDict(extra="allow", frozen=True, ser_json_inf_nan="constants", defer_build=True)

    schedule_id: str
    workflow: str
    input: Json = None
    """The arguments by name, or a reference to them."""
    schedule: str
    timezone: str = "UTC"
    overlap: Overlap = "skip"
    jitter: float | None = None
    """Seconds after their due time within which its runs begin."""
    catch_up: float | None = None
    """Seconds after which a moment is missed; None: never."""
    limited_to: int | None = None
    """The number of runs that `remaining` was last set to."""
    paused: bool = False
    created_at: datetime
    updated_at: datetime
    """When the definition, which is all above, was last changed."""
    counts_from: datetime
    """Where a rate begins to count, in whole seconds."""
    last_due: datetime | None = None
    """The latest moment that was handled: it started a run, was skipped or missed, or waits."""
    last_run_id: str | None = None
    """The run that was started last."""
    starting: str | None = None
    """The run that is about to be started."""
    remaining: int | None = None
    """How many more runs are started; None: no limit. Triggered runs and those of a backfill do not count."""
    buffered: list[datetime] = []
    """The moments that wait for the end of the last run, oldest first."""
    skipped: int = 0
    """Moments without a run, because the previous run had not ended."""
    missed: int = 0
    """Moments without a run, because they were older than `catch_up`."""
    version: str
    """Changes with every write."""

    def recurrence(self) -> Recurrence:
        from worldflow.worlds.recurrence import parse  # which what only handles messages does without

        return parse(self.schedule, self.timezone, self.counts_from)

    @property
    def finished(self) -> bool:
        """Whether it has started all runs that it was limited to."""
        return self.remaining == 0

    @property
    def is_active(self) -> bool:
        """Whether it starts runs: it is neither paused nor finished."""
        return not self.paused and not self.finished

    def next_due(self, after: datetime) -> datetime | None:
        """When it is due next, unless it is paused or finished."""
        return self.recurrence().after(after) if self.is_active else None

    def missed_until(self, now: datetime) -> datetime | None:
        """The time up to which moments that arrive now are missed; None without `catch_up`."""
        return now - timedelta(seconds=self.catch_up) if self.catch_up else None

    def fitted(self) -> ScheduleRecord:
        """The record with only as many waiting moments as its definition allows; the others are skipped."""
        kept = fitting(self.buffered, self.overlap) if self.is_active else []
        if kept == self.buffered:
            return self
        return self.model_copy(update={"buffered": kept, "skipped": self.skipped + len(self.buffered) - len(kept)})

    def begins_at(self, due: datetime) -> datetime | None:
        """When the run of a moment begins; None for at once. Always the same for one moment."""
        if not self.jitter:
            return None
        digest = hashlib.sha256(f"{self.schedule_id}:{due.timestamp():.0f}".encode()).digest()
        return due + timedelta(seconds=self.jitter * int.from_bytes(digest[:8]) / 2**64)

    def describe(self, now: datetime) -> dict[str, Any]:
        """The record as JSON values, as the API and the command line show it: with `next_due`, and with numbers of
        moments.
        """
        described = self.model_dump(mode="json", exclude_none=True, exclude=_HIDDEN)
        numbers = {"buffered": len(self.buffered), "skipped": self.skipped, "missed": self.missed}
        described |= {name: number for name, number in numbers.items() if number}
        due = self.next_due(now)
        return described | ({"next_due": f"{due:%Y-%m-%dT%H:%M:%SZ}"} if due else {})
