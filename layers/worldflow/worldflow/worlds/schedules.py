"""Where schedules live: what starts runs again and again, and what makes them due.

get / put / list / remove    the record of a schedule: what to start, when, and what it started last
arm                          sees to it that a `ScheduleDue` arrives at each of its moments
rearm                        said when one has arrived, to a World where that is armed for one moment at a time
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from worldflow.engine.history import Json

if TYPE_CHECKING:
    from worldflow.worlds.recurrence import Recurrence

Overlap = Literal["skip", "allow"]


class ScheduleRecord(BaseModel):
    """What a schedule is, and what came of it last."""

    model_config = ConfigDict(extra="allow", frozen=True, ser_json_inf_nan="constants", defer_build=True)

    schedule_id: str
    workflow: str
    input: Json = None
    """The arguments by name, or a reference to them."""
    schedule: str
    timezone: str = "UTC"
    overlap: Overlap = "skip"
    paused: bool = False
    created_at: datetime
    updated_at: datetime
    """When the definition, which is all above, was last changed."""
    counts_from: datetime
    """Where a rate begins to count, in whole seconds."""
    last_due: datetime | None = None
    """The latest moment that was dealt with, by a run or by skipping it."""
    last_run_id: str | None = None
    """The run that was started last."""
    starting: str | None = None
    """The run that is about to be started, for `last_due`."""
    version: str
    """Another one with every write."""

    def recurrence(self) -> Recurrence:
        from worldflow.worlds.recurrence import parse  # which what only handles messages does without

        return parse(self.schedule, self.timezone, self.counts_from)

    def next_due(self, after: datetime) -> datetime | None:
        """When it is due next, unless it is paused."""
        return None if self.paused else self.recurrence().after(after)

    def describe(self, now: datetime) -> dict[str, Any]:
        """The record as JSON values, as the API and the command line show it, with `next_due`."""
        described = self.model_dump(mode="json", exclude_none=True, exclude={"counts_from", "starting", "version"})
        due = self.next_due(now)
        return described | ({"next_due": f"{due:%Y-%m-%dT%H:%M:%SZ}"} if due else {})


@dataclass(frozen=True, slots=True)
class SchedulePage:
    """Some schedules by their ids, in order. `cursor` asks for those that follow, if any."""

    schedules: Sequence[ScheduleRecord]
    cursor: str | None = None


class Schedules(ABC):
    """The schedules of a World."""

    @abstractmethod
    def get(self, schedule_id: str) -> ScheduleRecord | None:
        """The record of a schedule. A consistent read."""

    @abstractmethod
    def put(self, record: ScheduleRecord, replacing: ScheduleRecord | None) -> None:
        """Stores a record in place of another or, with None, a new one.

        Raises `ConflictError` if `replacing` is not what is stored.
        """

    @abstractmethod
    def list(self, limit: int, after: str) -> Sequence[ScheduleRecord]:
        """The first records whose ids are greater than `after`, by their ids."""

    @abstractmethod
    def arm(self, record: ScheduleRecord) -> None:
        """Makes the schedule due at its moments from now on, or never while it is paused; in place of what was armed.

        Raises `InvalidInputError` for an expression that the World does not take after all.
        """

    @abstractmethod
    def rearm(self, schedule_id: str, due: datetime) -> None:
        """Makes the schedule due at the moment that follows `due`, if nothing else does. Skips what is past."""

    @abstractmethod
    def remove(self, schedule_id: str) -> None:
        """Removes the record and what is armed, as far as they are there."""
