"""The async generators of a workflow that are left before their end, each closed as the task that began it.

Where a loop `break`s, the generator is closed by a task, as in asyncio. Unlike there, that task has the context in
which the generator ran, so that a context variable is reset where it was set. When the execution is discarded, or the
garbage collector finds the generator in a reference cycle, it is closed on the spot, decides nothing, and nobody hears
what its code raises.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any

from worldflow.engine.here import COLLECTOR, nothing_runs_but_the_collector, running_loop
from worldflow.engine.workflow.awaitables import CountingLoop, Task, close_generator, current_task_is

_SURPLUS = 64
"""Generators that are gone, which may be remembered."""


class Generators:
    """Those that one loop has begun. Python tells it of each that begins, and of each that is left."""

    def __init__(self, loop: CountingLoop) -> None:
        self._loop = loop
        self._limit = _SURPLUS
        # By id: when Python says that one is left, no weak reference leads to it any more.
        self._begun: dict[int, tuple[weakref.ref[AsyncGenerator[Any, Any]], Task]] = {}

    def __bool__(self) -> bool:
        return bool(self._begun)

    def begin(self, generator: AsyncGenerator[Any, Any]) -> None:
        task = asyncio.current_task(self._loop)
        if not isinstance(task, Task):
            return
        if len(self._begun) >= self._limit:
            self._begun = {key: begun for key, begun in self._begun.items() if begun[0]() is not None}
            self._limit = 2 * len(self._begun) + _SURPLUS
        self._begun[id(generator)] = (weakref.ref(generator), task)

    def leave(self, generator: AsyncGenerator[Any, Any]) -> None:
        """Called where the last reference to a generator goes, and by the garbage collector."""
        _, task = self._begun.pop(id(generator), (None, None))
        here: Any = running_loop()
        if here is COLLECTOR:
            with nothing_runs_but_the_collector():  # nor is there a current task
                _run_in(task, lambda: close_generator(generator))
        elif here is self._loop and self._loop.closed:
            self._close(generator, task)
        elif here is self._loop:
            self._loop.create_task(generator.aclose(), context=None if task is None else task.context)

    def close(self) -> None:
        """Closes those that are left when the tasks are over, the last first."""
        for reference, task in reversed(list(self._begun.values())):
            generator = reference()
            if generator is not None:
                self._close(generator, task)
        self._begun.clear()

    def _close(self, generator: AsyncGenerator[Any, Any], task: Task | None) -> None:
        with current_task_is(task, self._loop):
            _run_in(task, lambda: close_generator(generator))


def _run_in(task: Task | None, function: Callable[[], None]) -> None:
    if task is None:
        function()
        return
    try:
        task.context.run(function)
    except RuntimeError:  # it is entered already: the task is being ended, or the collector interrupts it
        function()
