"""Where the values of a stream go that a step or a workflow writes."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from concurrent.futures import Future
from typing import Protocol

from worldflow.engine.errors import SerializationError, StreamClosedError, StreamLimitError
from worldflow.engine.history import AnyDecision, Json, StreamWritten, dump_value

VALUE_LIMIT = 400 * 1024
"""Bytes of one value, as JSON."""

STREAM_LIMIT = 50 * 1024 * 1024
"""Bytes of all values of one stream, as JSON."""


class Outlet(Protocol):
    """One end of a stream, for one writer."""

    @property
    def written(self) -> int:
        """How many values stand that earlier attempts wrote."""

    def put(self, value: Json) -> Awaitable[None]:
        """Takes a value, or raises why it cannot. What it returns ends when there is room for more."""

    def close(self) -> Awaitable[None]:
        """Takes it that nothing more is to come."""

    def begin(self) -> Future[None] | None:
        """Opens the stream, where that cannot wait for the first value. Returns what opens it."""

    def flush(self) -> Future[None] | None:
        """Writes what is there without waiting for more. Returns what writes it, if there is anything."""

    def check(self) -> None:
        """Raises why something could not be written, if so."""


NAMES_LIMIT = 500
"""Streams that one workflow may open."""


class Done:
    """The awaitable of what is done already."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


DONE = Done()


class Nowhere:
    """The outlet of a step that was called by hand."""

    written = 0

    def put(self, value: Json) -> Awaitable[None]:
        return DONE

    def close(self) -> Awaitable[None]:
        return DONE

    def begin(self) -> None:
        return None

    def flush(self) -> None:
        return None

    def check(self) -> None:
        return None


class Loop(Protocol):
    """The loop of a workflow."""

    closed: bool

    def check_open(self) -> None:
        """Raises where it cannot be asked for anything."""


class Decider(Protocol):
    """The run of a workflow that writes."""

    @property
    def loop(self) -> Loop:
        """Its loop."""

    @property
    def decisions(self) -> list[AnyDecision]:
        """What was decided since the last fact."""

    def decide(self, decision: AnyDecision) -> None:
        """Decides something more. Nothing, where the run has ended."""


class WorkflowStreams:
    """The streams that a workflow writes."""

    def __init__(self, run: Decider) -> None:
        self._run = run
        self._outlets: dict[str, Decided] = {}
        self._last: dict[str, tuple[list[AnyDecision], int]] = {}
        """Where the decision is that wrote to a stream last: among which decisions, and its place."""

    def open(self, name: str) -> Outlet:
        """Raises `StreamLimitError`."""
        if name not in self._outlets and len(self._outlets) >= NAMES_LIMIT:
            raise StreamLimitError(f"a workflow may open at most {NAMES_LIMIT:,} streams")
        return self._outlets.setdefault(name, Decided(self, name))

    def write(self, stream: str, values: list[Json], *, close: bool) -> None:
        """Decides what a stream gets, in one decision with what it has got since the last fact."""
        decisions = self._run.decisions
        among, place = self._last.get(stream, (None, 0))
        if among is not decisions:
            self._run.decide(StreamWritten(stream=stream, values=values, count=len(values), closed=close or None))
            self._last[stream] = decisions, len(decisions) - 1
        elif not self._run.loop.closed:
            self._run.loop.check_open()
            before = decisions[place]
            assert isinstance(before, StreamWritten)
            before.values.extend(values)
            more = {"count": before.count + len(values), "closed": close or None}
            decisions[place] = before.model_copy(update=more)


class Decided:
    """The outlet of a workflow: what is written is a decision."""

    written = 0

    def __init__(self, streams: WorkflowStreams, name: str) -> None:
        self._streams = streams
        self._name = name
        self._size = 0
        self._is_closed = False

    def put(self, value: Json) -> Awaitable[None]:
        self._check_open()
        size = size_of(value, self._name)
        if self._size + size > STREAM_LIMIT:
            raise full(self._name)
        self._streams.write(self._name, [value], close=False)
        self._size += size
        return DONE

    def close(self) -> Awaitable[None]:
        self._check_open()
        self._streams.write(self._name, [], close=True)
        self._is_closed = True
        return DONE

    def begin(self) -> None:
        return None

    def flush(self) -> None:
        return None

    def check(self) -> None:
        return None

    def _check_open(self) -> None:
        if self._is_closed:
            raise closed(self._name)


def size_of(value: Json, name: str) -> int:
    """Bytes of a value. Raises `StreamLimitError` for too many, and `SerializationError`."""
    try:
        size = len(dump_value(value))
    except ValueError as error:
        raise SerializationError(str(error), name) from None
    if size > VALUE_LIMIT:
        raise StreamLimitError(
            f"a value of the stream {name!r} has {size:,} bytes of JSON; the limit is {VALUE_LIMIT:,}"
        )
    return size


def full(name: str) -> StreamLimitError:
    return StreamLimitError(f"the stream {name!r} is full: its values may have {STREAM_LIMIT:,} bytes of JSON")


def closed(name: str) -> StreamClosedError:
    return StreamClosedError(f"the stream {name!r} is closed")
