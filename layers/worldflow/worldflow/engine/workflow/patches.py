"""What asyncio and Python do otherwise in a workflow. Outside of one, everything here is as it was.

`as_completed` makes tasks of its coroutines in the order given, where asyncio walks a set of them in the order of their
addresses. What `gather` returns hashes by order of creation, as tasks and futures of the loop do. `wrap_future`, whose
future another thread would set, is refused. What is collected changes no `Event`, `Lock`, `Semaphore` or `Queue` of a
workflow: others would be woken at a moment that no replay knows. And Python does not warn of a coroutine that was never
awaited where a `finally` could not await it, since its run was disposed of or it was collected.
"""

from __future__ import annotations

import asyncio
import functools
import warnings
from typing import Any

from worldflow.engine.errors import UnsupportedOperationError
from worldflow.engine.here import COLLECTOR, is_of_a_workflow, running_loop
from worldflow.engine.workflow.loop import THREAD, WorkflowLoop

_as_completed = asyncio.as_completed
_wrap_future = asyncio.wrap_future
_GatheringFuture: Any = asyncio.tasks._GatheringFuture  # type: ignore[attr-defined]
_warn_unawaited: Any = warnings._warn_unawaited_coroutine  # type: ignore[attr-defined]


@functools.wraps(_as_completed)
def _ordered_as_completed(fs: Any, *, timeout: float | None = None) -> Any:
    if running_loop() is not None and not asyncio.isfuture(fs) and not asyncio.iscoroutine(fs):
        fs = [asyncio.ensure_future(awaitable) for awaitable in dict.fromkeys(fs)]
    return _as_completed(fs, timeout=timeout)


@functools.wraps(_wrap_future)
def _refused_wrap_future(future: Any, *, loop: Any = None) -> Any:
    if running_loop() is not None and not asyncio.isfuture(future):
        raise UnsupportedOperationError(f"asyncio.wrap_future() is not available in a workflow: {THREAD}")
    return _wrap_future(future, loop=loop)


class _OrderedGatheringFuture(_GatheringFuture):  # type: ignore[misc]
    def __init__(self, children: Any, *, loop: Any) -> None:
        self._order = loop.next_future() if isinstance(loop, WorkflowLoop) else None
        super().__init__(children, loop=loop)

    def __hash__(self) -> int:
        return object.__hash__(self) if self._order is None else self._order

    __eq__ = object.__eq__


@functools.wraps(_warn_unawaited)
def _warn_outside_disposal(coro: Any) -> None:
    loop = running_loop()
    if loop is None or (loop is not COLLECTOR and not loop.closed):
        _warn_unawaited(coro)


def _refuses_the_collector(method: Any) -> Any:
    @functools.wraps(method)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        if running_loop() is COLLECTOR and is_of_a_workflow(self._loop):
            raise GeneratorExit
        return method(self, *args, **kwargs)

    return guarded


for _class, _methods in {
    asyncio.Event: ("set", "clear"),
    asyncio.Lock: ("release",),
    asyncio.Semaphore: ("release",),
    asyncio.Queue: ("put_nowait", "get_nowait", "task_done"),
}.items():
    for _method in _methods:
        setattr(_class, _method, _refuses_the_collector(getattr(_class, _method)))

asyncio.as_completed = asyncio.tasks.as_completed = _ordered_as_completed
asyncio.tasks._GatheringFuture = _OrderedGatheringFuture  # type: ignore[attr-defined]
asyncio.wrap_future = asyncio.futures.wrap_future = _refused_wrap_future
warnings._warn_unawaited_coroutine = _warn_outside_disposal  # type: ignore[attr-defined]
