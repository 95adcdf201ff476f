"""Calls that a workflow makes and never awaits: what was called does not happen, and nothing else says so.

Python warns of a forgotten `await` when the coroutine is collected. Here the loop notes each call from the moment it is
made until it is first awaited, given to a task or closed, and the end of the run looks at what is left. So it does not
depend on the garbage collector whether a run fails.

A call that is dropped at once where it was made, or whose variable is given another value there, was forgotten. So was
any other that is left, but for a `wait_for_signal`, which loses nothing. Of these it cannot be said once something has
failed or was cancelled, or while tasks are not over: `limited(semaphore, charge(order))` may be given up before its
turn comes, by a timeout around it or a circuit breaker before it. Then it is nobody's mistake.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from opcode import opname
from types import CodeType, FrameType
from typing import Any, NamedTuple

from worldflow.engine.errors import SerializationError, UnawaitedCallError, WorldflowError
from worldflow.engine.here import COLLECTOR, running_loop

_NAMED = 4
"""Further calls that a message names."""


Made = tuple[str, str, CodeType, int]
"""What makes an `Origin`, and takes less time to make."""


class Origin(NamedTuple):
    """What was called, and where. The line is worked out when it is asked for, which hardly ever happens."""

    kind: str
    name: str
    code: CodeType
    instruction: int

    @property
    def place(self) -> str:
        line = self.code.co_firstlineno
        for start, end, number in self.code.co_lines():
            if start <= self.instruction < end and number is not None:
                line = number
        return f"{self.code.co_filename}:{line}"

    @property
    def call(self) -> str:
        return f"{self.name}(...)" if self.kind in ("step", "workflow") else self.name

    def __str__(self) -> str:
        what = f"{self.kind} {self.name!r}" if self.kind in ("step", "workflow") else self.name
        return f"{what} was called at {self.place}"


def never_awaited(origins: Iterable[Origin]) -> UnawaitedCallError:
    """The error of a run that ends with calls that nobody awaited."""
    first, *others = origins
    more = "".join(f"; {other}" for other in others[:_NAMED])
    if others:
        calls = "1 more call was" if len(others) == 1 else f"{len(others)} more calls were"
        more = f". {calls} never awaited: {more[2:]}"
    return UnawaitedCallError(
        f"{first} but never awaited, so it did not run: write `await {first.call}`, pass it to "
        f"asyncio.create_task() or gather(), or close() it if it should not run{more}"
    )


def returned(result: Any, forgotten: Sequence[Origin]) -> WorldflowError:
    """The error of a workflow that returns something to be awaited, in place of what comes of it."""
    if origin := getattr(result, "origin", None):
        made = Origin(*origin)
        return UnawaitedCallError(
            f"{made}, but the workflow returned the call instead of its result: write `return await {made.call}`"
        )
    if isinstance(result, Coroutine):
        result.close()  # nobody else will
    if forgotten:
        return never_awaited(forgotten)
    what = getattr(result, "__qualname__", None) or type(result).__name__
    return SerializationError(
        f"the workflow returned an awaitable ({what}) instead of its result: write `return await ...`", "result"
    )


def given_away(origin: Made, to: str) -> UnawaitedCallError:
    """The error of a call that is an argument of another, in place of its result."""
    made = Origin(*origin)
    return UnawaitedCallError(f"{made}, but {to} was passed the call instead of its result: write `await {made.call}`")


def is_dropped_by_its_maker(made: Made, frame: FrameType) -> bool:
    """Whether `frame`, in which the last reference to a call goes, is where it was made, and drops or replaces a value
    there; and is not on its way out with an exception, say.
    """
    if running_loop() is COLLECTOR or frame.f_code is not made[2]:
        return False
    return opname[frame.f_code.co_code[frame.f_lasti]].startswith(("POP_TOP", "STORE_", "DELETE_"))
