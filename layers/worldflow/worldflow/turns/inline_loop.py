"""The event loop of inline steps, kept from one turn to the next: to make one takes longer than a short step."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class InlineLoop:
    """Runs coroutines as `asyncio.run` does. May be used from several threads, which then have loops of their own."""

    def __init__(self, handler: Callable[[Any, dict[str, Any]], None]) -> None:
        """
        handler: the loop's exception handler.
        """
        self._handler = handler
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._running: set[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = set()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine. Tasks that it leaves behind are cancelled."""
        if not self._lock.acquire(blocking=False):
            with asyncio.Runner() as runner:
                runner.get_loop().set_exception_handler(self._handler)
                return self._complete(runner.get_loop(), coroutine)
        try:
            loop = self._loop = self._loop or self._new()
            try:
                return self._complete(loop, coroutine)
            finally:
                left = [task for task in self._tasks if not task.done()]
                self._tasks.clear()
                if left:
                    self._cancel(loop, left)
        finally:
            self._lock.release()

    def _complete(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> T:
        task = loop.create_task(coroutine, context=contextvars.copy_context())
        self._running.add((loop, task))
        try:
            return loop.run_until_complete(task)
        finally:
            self._running.discard((loop, task))

    def cancel(self) -> None:
        """Cancels the coroutines that run, in whatever thread."""
        for loop, task in tuple(self._running):
            with contextlib.suppress(RuntimeError):  # it has just been closed
                loop.call_soon_threadsafe(task.cancel)

    def _new(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(self._handler)
        tasks = self._tasks

        def note(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
            task = asyncio.Task(coroutine, loop=loop, **options)
            tasks.append(task)
            return task

        loop.set_task_factory(note)  # which does not hold `self`: it ends before the loop does
        weakref.finalize(self, loop.close)
        return loop

    def _cancel(self, loop: asyncio.AbstractEventLoop, tasks: list[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks))
        for task in tasks:
            if not task.cancelled() and (error := task.exception()):
                what = {
                    "message": "unhandled exception in a task that an inline step left running, when it was cancelled",
                    "exception": error,
                }
                loop.call_exception_handler({**what, "task": task})
        self._tasks.clear()

    def close(self) -> None:
        """Closes the loop, unless it runs: then it is closed with the object."""
        if self._lock.acquire(blocking=False):
            try:
                if self._loop:
                    self._loop.close()
                self._loop = None
            finally:
                self._lock.release()
