"""Where the values of a stream go that a step or a workflow writes."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from concurrent.futures import Future
from typing import Protocol

from worldflow.engine.history import Json


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
