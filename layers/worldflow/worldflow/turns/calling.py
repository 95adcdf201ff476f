"""How the function of a step is called.

An `async def` step runs in its own task, a plain one in a thread of the executor's. So there are two tasks, which tells
two cancellations apart. The outer task is the executor's: cancelling it stops the executor, and the attempt has no
outcome unless the step ends all the same. The inner task is the step's: its libraries may cancel it, with or without
`uncancel`, and whatever it returns or raises is the step's outcome.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from worldflow.engine.durations import spoken
from worldflow.engine.errors import StepTimeoutError
from worldflow.engine.workflow.definitions import Step
from worldflow.turns.threads import Threads


@dataclass(slots=True)
class Result:
    """What a step has returned or raised."""

    value: object = None
    error: BaseException | None = field(default_factory=asyncio.CancelledError)
    """At first, that of a task that is cancelled before it begins."""


async def call_step(
    threads: Threads, step: Step[..., object], arguments: dict[str, object], timeout: float | None
) -> Result:
    """What a step returns or raises: an `async def` one in its own task, a plain one in a thread.

    Cancelling it stops the executor. A thread is waited for, until the second cancellation.
    """
    if step.is_async:
        return await _awaited(lambda: step.signature.call(arguments), timeout)
    call, stopped = threads.call(_call_plain, step, arguments), False
    while not call.done():
        try:
            await asyncio.wait([call])
        except asyncio.CancelledError:
            if stopped:
                raise
            stopped = True
    result = call.result()
    if inspect.isawaitable(value := result.value):
        # A plain decorator around an `async def` returns its coroutine, which nobody has awaited yet.
        if stopped:
            raise asyncio.CancelledError
        return await _awaited(lambda: value, timeout)
    return result


async def call_step_within(
    around: Callable[[Callable[[], Awaitable[object]]], Awaitable[object]],
    threads: Threads,
    step: Step[..., object],
    arguments: dict[str, object],
    timeout: float | None,
) -> Result:
    """`call_step` within interceptors. They run in their own task, in whose context the step's task is made. The
    timeout is the step's alone, so that interceptors see its error.
    """

    async def proceed() -> object:
        ended = await call_step(threads, step, arguments, timeout)
        if ended.error is not None:
            raise ended.error
        return ended.value

    return await _awaited(lambda: around(proceed), None)


async def _awaited(begin: Callable[[], Awaitable[object]], timeout: float | None) -> Result:
    """The outcome of an awaitable in its own task."""
    result = Result()

    async def call() -> None:
        try:
            result.value = await begin()
            result.error = None
        except BaseException as error:
            result.error = error

    task = asyncio.create_task(call())
    stopped = timed_out = False
    while not task.done():
        try:
            await asyncio.wait([task], timeout=None if timed_out else timeout)
        except asyncio.CancelledError:
            if not task.done():
                stopped = task.cancel()
        else:
            if not task.done():
                timed_out = task.cancel()
    if stopped and result.error is not None:
        raise result.error if isinstance(result.error, KeyboardInterrupt) else asyncio.CancelledError
    if timed_out and timeout and isinstance(result.error, (asyncio.CancelledError, TimeoutError)):
        result.error = StepTimeoutError(f"it took longer than {spoken(timeout)}")
    elif (
        result.error is not None
        and isinstance(result.error.__cause__, StopIteration)
        and type(result.error) is RuntimeError
    ):
        result.error = result.error.__cause__  # which no coroutine raises as it is
    return result


def _call_plain(step: Step[..., object], arguments: dict[str, object]) -> Result:
    """A function's result or its exception, which is not raised: no future takes a `StopIteration`."""
    try:
        return Result(step.signature.call(arguments), None)
    except BaseException as error:
        return Result(None, error)
