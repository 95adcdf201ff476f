"""What stands in a stream: values that steps and workflows write while a run is under way, and what readers get.

A stream is beside the history of its run, in commits of its own. The `seq` of a row is an offset, from 1: each value
has one, and so has each mark. Values that are written together are one row, which has the offset of the first of them;
a `StreamRowsEnd` that follows has that of the last. So the first and the last event of a commit say which offsets it
takes, as in a history.

What a workflow writes is decided in its history first, and is then written to the stream: the values in both places are
the same, in the same order, so that their number says how far the one has followed the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Literal

from typing_extensions import TypeVar

from worldflow.engine.history.base import BaseEvent, Decision, Json

__all__ = [
    "StreamClosed",
    "StreamItem",
    "StreamReset",
    "StreamRow",
    "StreamRows",
    "StreamRowsEnd",
    "StreamTaken",
    "StreamWritten",
]

T = TypeVar("T", default=Any)


class StreamWritten(Decision):
    """The workflow writes to a stream, or closes it."""

    event_type: Literal["StreamWritten"] = "StreamWritten"
    stream: str
    values: Json = None
    count: int = 0
    """How many values these are."""
    closed: bool | None = None
    """Nothing more is to come after them."""

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, "", self.stream)

    @property
    def entries(self) -> int:
        """Its values, and that it closes the stream."""
        return self.count + bool(self.closed)


class _Row(BaseEvent):
    """What stands in a stream: there may be much of it."""

    def fields(self) -> dict[str, Any]:
        """What the row holds beyond what goes without saying."""
        own = {name: value for name, value in self.__dict__.items() if value != self.defaults.get(name)}
        return {"event_type": self.event_type, **own}


class _Written(_Row):
    """A row, and who wrote it."""

    writer: str = ""
    """The execution that wrote it, by an id that no other has: how a process recognizes its own rows."""
    step_id: str | None = None
    """None for the workflow itself."""
    attempt: int = 0
    generation: int = 1
    """Which run of those that follow each other under one id."""
    origin: int | None = None
    """The generation in which the step was called first, where that is another."""
    total: int = 0
    """Bytes of all values of the stream up to here."""

    @property
    def step(self) -> tuple[int, str] | None:
        """Which step it is of, whatever generation it runs in."""
        return None if self.step_id is None else (self.origin or self.generation, self.step_id)

    @property
    def turn(self) -> tuple[int, int]:
        """Attempts of one step in the order in which they replace each other."""
        return self.generation, self.attempt


class StreamRows(_Written):
    """Values that were written together."""

    event_type: Literal["StreamRows"] = "StreamRows"
    values: Json = None
    count: int = 1


class StreamRowsEnd(_Row):
    """The offset of the last value of the row before."""

    event_type: Literal["StreamRowsEnd"] = "StreamRowsEnd"


class StreamTaken(_Written):
    """An attempt goes on where an earlier one wrote, which may write no more; or a retry where a failed run wrote."""

    event_type: Literal["StreamTaken"] = "StreamTaken"
    since: int | None = None
    """What the step, or the workflow, has written from this offset on is void. None if it stands."""


class StreamClosed(_Written):
    """Nothing more is to come."""

    event_type: Literal["StreamClosed"] = "StreamClosed"


StreamRow = StreamRows | StreamRowsEnd | StreamTaken | StreamClosed


@dataclass(frozen=True, slots=True)
class StreamItem(Generic[T]):
    """A value of a stream."""

    offset: int
    value: T
    step_id: str | None = None
    """The step that wrote it; None for the workflow."""
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The values that a step wrote from offset `since` on are void: a later attempt of it begins anew."""

    offset: int
    step_id: str | None
    """None for the workflow, of a run that failed and is retried from before it wrote them."""
    attempt: int | None
    """The attempt that begins."""
    since: int
