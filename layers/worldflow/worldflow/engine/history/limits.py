"""What a limit has said: who holds a place, and who waits for one, commit by commit.

A limit is beside the histories of runs, in a history of its own for each of its keys. A commit is one row, and says
what changed: who asked, who left, who was granted a place. Grants are recorded and not derived, so that code with
another order of grants reads the same history alike. `limit_state.py` reads the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from worldflow.engine.history.base import BaseEvent

__all__ = [
    "LAST_MOMENT",
    "Declared",
    "LimitNoted",
    "LimitRow",
    "Place",
    "Rate",
    "read_token",
    "run_token",
    "step_token",
]


LAST_MOMENT = 253_370_764_800.0
"""The beginning of the year 9999, in seconds since 1970."""


def run_token(run_id: str, created_at: datetime) -> str:
    """What a run is known by at its limit. Its id may be used again."""
    return f"{run_id}@{_stamp(created_at)}"


def step_token(run_id: str, created_at: datetime, step_id: str, attempt: int) -> str:
    """What an attempt is known by at its limit."""
    return f"{run_id}/{step_id}/{attempt}/{_stamp(created_at)}"


def read_token(token: str) -> tuple[str, str | None, int | None]:
    """The run, the step and the attempt of a token."""
    match token.split("/"):
        case [run_id, step_id, attempt, _]:
            return run_id, step_id, int(attempt)
    return token.rpartition("@")[0], None, None


def _stamp(moment: datetime) -> str:
    return f"{int(moment.timestamp() * 1_000):x}"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` in `seconds`, evenly spaced; `burst` may begin at once after a pause."""

    count: int
    seconds: float
    burst: int = 1

    @property
    def interval(self) -> float:
        """Seconds from one to the next."""
        return self.seconds / self.count


@dataclass(frozen=True, slots=True)
class Declared:
    """How much a limit lets through. None: as much as asks."""

    concurrency: int | None = None
    rate: Rate | None = None

    def dump(self) -> dict[str, Any]:
        """As JSON, without what is None."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def load(cls, fields: Mapping[str, Any] | None) -> Declared:
        """What `dump` returned."""
        fields = fields or {}
        rate = fields.get("rate")
        return cls(fields.get("concurrency"), Rate(rate["count"], rate["seconds"], rate["burst"]) if rate else None)


@dataclass(frozen=True, slots=True)
class Place:
    """A call's place at a limit, as its run has recorded it: all that is needed of it without the code."""

    limit: str
    """The limit's name."""
    key: str = ""
    priority: int = 0
    fairness: str | None = None
    declared: Declared = Declared()
    """As the code declared the limit when it made the call."""
    approximate: bool = False

    def dump(self) -> dict[str, Any]:
        """As JSON, without what goes without saying."""
        found: dict[str, Any] = {"limit": self.limit, **self.declared.dump()}
        own = {"key": self.key, "priority": self.priority, "fairness": self.fairness, "approximate": self.approximate}
        return found | {name: value for name, value in own.items() if value}

    @classmethod
    def load(cls, fields: Mapping[str, Any]) -> Place:
        """What `dump` returned."""
        return cls(
            fields["limit"],
            fields.get("key", ""),
            fields.get("priority", 0),
            fields.get("fairness"),
            Declared.load(fields),
            fields.get("approximate", False),
        )


class LimitRow(BaseEvent):
    """One commit to the history of a limit."""

    event_type: Literal["LimitRow"] = "LimitRow"
    snapshot: dict[str, Any] | None = None
    """The whole state: the first row of a history that continues another."""
    ends: Sequence[str] = ()
    """The tokens of those that leave, whether they hold a place or wait."""
    parks: Sequence[str] = ()
    """The tokens of those that leave for now, and may ask again."""
    asks: Sequence[Sequence[Any]] = ()
    """Token, priority, fairness and seconds of those that ask, in order; then False for one that does not report its
    end.
    """
    grants: Sequence[Sequence[Any]] = ()
    """Token and time (since 1970) of those that hold a place from then on."""
    declared: dict[str, Any] | None = None
    """What the code declares, since `declared_at`."""
    declared_at: float | None = None
    changed: dict[str, Any] | None = None
    """What an operator has set in place of that; `{}` takes it back."""
    change: str | None = None
    """The id of that change."""
    free: float | None = None
    """The new `next_free`, where the rate has become faster."""
    watch: str | None = None
    """The token of who looks from time to time whether holders are alive."""
    sealed: bool | None = None
    """The history ends here and is continued in the next."""

    def fields(self) -> dict[str, Any]:
        """What the row holds beyond what goes without saying."""
        own = {name: value for name, value in self.__dict__.items() if value != self.defaults.get(name)}
        return {"event_type": self.event_type, **own}


class LimitNoted(BaseEvent):
    """Stands in a list of limits, or of the keys of one: that there is such a one, or what is set for all keys."""

    event_type: Literal["LimitNoted"] = "LimitNoted"
    name: str | None = None
    changed: dict[str, Any] | None = None
    change: str | None = None
