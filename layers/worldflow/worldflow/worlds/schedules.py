"""Schedules start runs again and again.

get_schedule / put_schedule / list_schedules / remove_schedule  the record: what to start, when, and the last run
arm_schedule                                                    lets a `ScheduleDue` arrive at each of its moments
rearm_schedule                                                  when one has arrived, arms the next
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from worldflow.engine.errors import ConflictError
from worldflow.engine.history import Json
from worldflow.worlds.items import ABSENT, Expected, Item, Items

if TYPE_CHECKING:
    from worldflow.worlds.recurrence import Recurrence

Overlap = Literal["skip", "allow", "buffer_one", "buffer_all", "cancel_other", "terminate_other"]

MAKES_WAY: frozenset[Overlap] = frozenset({"cancel_other", "terminate_other"})
"""Under these the run before is asked to end."""

WAITS: frozenset[Overlap] = MAKES_WAY | {"buffer_one", "buffer_all"}
"""Under these a moment may wait for the end of the run before."""

BUFFER_LIMIT = 1_000
"""Moments that may wait."""


def fitting(moments: Sequence[datetime], overlap: Overlap) -> list[datetime]:
    """Of moments that are to wait for the end of a run, oldest first, those that may."""
    match overlap:
        case "buffer_all":
            return list(moments[:BUFFER_LIMIT])
        case "buffer_one":
            return list(moments[:1])
        case "cancel_other" | "terminate_other":
            return list(moments[-1:])
    return []


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
    """Seconds within which its runs begin after they are due."""
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
    """The latest moment that was dealt with: by a run, or since it was skipped, is missed or waits."""
    last_run_id: str | None = None
    """The run that was started last."""
    starting: str | None = None
    """The run that is about to be started."""
    remaining: int | None = None
    """How many more runs are started; None: no limit. Triggered runs and those of a backfill do not count."""
    buffered: list[datetime] = []
    """The moments that wait for the last run to end, oldest first."""
    skipped: int = 0
    """Moments for which no run was started since the run before had not ended."""
    missed: int = 0
    """Moments for which no run was started since they were older than `catch_up`."""
    version: str
    """Another one with every write."""

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
        """A moment that comes now is missed if it is not later than this."""
        return now - timedelta(seconds=self.catch_up) if self.catch_up else None

    def fitted(self) -> ScheduleRecord:
        """The record with as many moments waiting as its definition allows; the others are skipped."""
        kept = fitting(self.buffered, self.overlap) if self.is_active else []
        if kept == self.buffered:
            return self
        return self.model_copy(update={"buffered": kept, "skipped": self.skipped + len(self.buffered) - len(kept)})

    def begins_at(self, due: datetime) -> datetime | None:
        """When the run of a moment begins, if not at once: the same whoever asks, and each time."""
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


_HIDDEN = {"counts_from", "starting", "version", "limited_to", "buffered", "skipped", "missed"}


@dataclass(frozen=True, slots=True)
class SchedulePage:
    """Some schedules by their ids, in order. `cursor` asks for those that follow, if any."""

    schedules: Sequence[ScheduleRecord]
    cursor: str | None = None


class Schedules(Items):
    """What makes the schedules of a World due."""

    @abstractmethod
    def arm_schedule(self, record: ScheduleRecord) -> None:
        """Makes the schedule due at its moments from now on, or never unless it is active; in place of what was armed.

        Raises `InvalidInputError` for an expression that the World does not take after all.
        """

    @abstractmethod
    def disarm_schedule(self, schedule_id: str) -> None:
        """The schedule is not due any more."""

    def rearm_schedule(self, schedule_id: str, due: datetime) -> None:
        """Makes the schedule due at the moment that follows `due`, if nothing else does. Skips past moments, but for
        those that its `catch_up` does not take for missed.

        For a World that arms one moment at a time.
        """


PREFIX = "schedule#"
"""What the keys of the items of schedules begin with."""


def get_schedule(world: Items, schedule_id: str) -> ScheduleRecord | None:
    """The record of a schedule. A consistent read."""
    item = world.get_item(PREFIX + schedule_id)
    return _record(item) if item else None


def put_schedule(world: Items, record: ScheduleRecord, replacing: ScheduleRecord | None) -> None:
    """Stores a record in place of another or, with None, a new one.

    Raises `ConflictError` if `replacing` is not what is stored.
    """
    item = {"schedule": record.model_dump_json(exclude_none=True), "version": record.version}
    expected = Expected(field="version", one_of=(replacing.version,)) if replacing else ABSENT
    if not world.put_item(PREFIX + record.schedule_id, item, expected):
        raise ConflictError(f"schedule {record.schedule_id!r} was changed by another process")


def list_schedules(world: Items, limit: int, after: str) -> Sequence[ScheduleRecord]:
    """The first records whose ids are greater than `after`, by their ids."""
    return [_record(item) for item in world.list_items(PREFIX, limit, after)]


def remove_schedule(world: Schedules, schedule_id: str) -> None:
    """Removes the record and what is armed, as far as they are there."""
    with world.together():
        world.disarm_schedule(schedule_id)  # the record last: after a failure between the two, this can be repeated
        world.put_item(PREFIX + schedule_id, None)


def _record(item: Item) -> ScheduleRecord:
    return ScheduleRecord.model_validate_json(item["schedule"])
