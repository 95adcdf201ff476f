"""The event loop of inline steps, kept from one turn to the next: to make one takes longer than a short step."""

from __future__ import annotations

import asyncio
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

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine. Tasks that it leaves behind are cancelled."""
        if not self._lock.acquire(blocking=False):
            with asyncio.Runner() as runner:
                runner.get_loop().set_exception_handler(self._handler)
                return runner.run(coroutine)
        try:
            loop = self._loop = self._loop or self._new()
            task = loop.create_task(coroutine, context=contextvars.copy_context())
            try:
                return loop.run_until_complete(task)
            finally:
                left = [task for task in self._tasks if not task.done()]
                self._tasks.clear()
                if left:
                    self._cancel(loop, left)
        finally:
            self._lock.release()

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
                what = {"message": "unhandled exception when what a step left behind was cancelled", "exception": error}
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
