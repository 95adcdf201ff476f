"""What becomes of a step whose await is cancelled.

`wait` is how a coroutine behaves that shields what it does and passes the cancellation on when that is done. The await
ends when the step's outcome is there. A result is returned, so that it can be undone, and the cancellation reaches the
task where it waits next. Without a result there is nothing to return, and the await is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal, get_args

from worldflow.engine.errors import ConfigurationError

Cancellation = Literal["try", "abandon", "wait"]

SURELY_LATER = timedelta(seconds=1)
"""An attempt that is due later than this has not begun, whichever of two processes is right about the time."""


def check_cancellation(value: object) -> None:
    """Raises `ConfigurationError` for what `cancellation` does not take."""
    *names, last = map(repr, get_args(Cancellation))
    if value not in get_args(Cancellation):
        raise ConfigurationError(f"@step(cancellation=...) takes {', '.join(names)} or {last}, not {value!r}")


async def awaited_to_its_end(outcome: asyncio.Future[Any], request: Callable[[], None]) -> Any:
    """What a step returns or raises, however often its await is cancelled meanwhile.

    request: called at the first cancellation. Raises `CancelledError` if the step has not begun.
    """
    cancelled: asyncio.CancelledError | None = None
    while not outcome.done():
        try:
            await asyncio.wait([outcome])
        except asyncio.CancelledError as error:
            if cancelled is None and not outcome.done():
                request()
            cancelled = cancelled or error
    if cancelled is None:
        return outcome.result()
    if (failure := outcome.exception()) is not None:
        raise cancelled from failure
    _cancel_again(cancelled)
    return outcome.result()


def _cancel_again(cancelled: asyncio.CancelledError) -> None:
    """Cancels the current task where it waits next, unless it is not to be cancelled any more by then: the block of
    `asyncio.timeout` or the `TaskGroup` that has cancelled it may end before.
    """
    task = asyncio.current_task()
    assert task is not None
    requests = task.cancelling()

    def cancel() -> None:
        if not task.done() and task.cancelling() >= requests:
            task.uncancel()  # it is the same request
            task.cancel(*cancelled.args)

    task.get_loop().call_soon(cancel)
