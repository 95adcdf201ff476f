"""What a workflow awaits: the tasks, futures and timers of its loop, and the calls of steps.

`asyncio.wait` and `TaskGroup` keep tasks in sets, whose order is that of their hashes, and those of asyncio are memory
addresses. All here hash by order of creation, which is the same on every replay.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from worldflow.engine.here import refuse_the_collector
from worldflow.engine.unawaited import Made, Origin, is_dropped_by_its_maker

T = TypeVar("T")

_CLOSE_LIMIT = 100

_ENDLESS: deque[Any] = deque(maxlen=1_000)
"""Coroutines that would not end: Python would print something about each that it drops."""


class CountingLoop(asyncio.AbstractEventLoop):
    """What the loop of a workflow has for those that are awaited on it."""

    closed: bool
    calls: Iterator[int]
    """The orders of calls."""
    unawaited: dict[int, tuple[Made, int | None]]
    """The calls that nobody has awaited yet, by their order: where each was made, and `upsets` then. None for one that
    was dropped where it was made.
    """
    upsets: int
    """How often something was cancelled or failed, so that code may have had reason not to go on as it meant to."""


class Timer(asyncio.TimerHandle):
    __slots__ = ("timer_id",)
    timer_id: str


class Future(asyncio.Future[Any]):
    def __init__(self, order: int, loop: CountingLoop) -> None:
        self._order = order
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._order

    __eq__ = object.__eq__

    # Refused in what is collected before anything changes: a future that is done wakes nobody a second time.

    def set_result(self, result: Any) -> None:
        refuse_the_collector()
        super().set_result(result)

    def set_exception(self, exception: Any) -> None:
        refuse_the_collector()
        super().set_exception(exception)

    def cancel(self, msg: Any | None = None) -> bool:
        refuse_the_collector()
        return super().cancel(msg)


class Never(Future):
    """In place of a task that cannot begin."""

    def get_name(self) -> str:
        return "never"

    def set_name(self, name: object) -> None:
        pass


class Task(asyncio.Task[Any]):
    def __init__(self, order: int, coro: Any, context: contextvars.Context, **kwargs: Any) -> None:
        self._order = order
        self.context = context
        super().__init__(coro, context=context, **kwargs)

    def __hash__(self) -> int:
        return self._order

    __eq__ = object.__eq__

    def cancel(self, msg: Any | None = None) -> bool:
        refuse_the_collector()
        self.get_loop().upsets += 1  # type: ignore[attr-defined]
        return super().cancel(msg)


class Call(Coroutine[Any, Any, T]):
    """A coroutine that hashes by order of creation within its run. One with an `origin` must be awaited before its run
    ends: see `unawaited.py`.
    """

    __slots__ = ("_coroutine", "_is_taken", "_loop", "_order", "origin")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, T],
        loop: CountingLoop,
        origin: Made | None = None,
    ) -> None:
        self._is_taken = True
        self._coroutine = coroutine
        self._loop = loop
        self._order = order = next(loop.calls)
        self.origin = origin
        if not loop.closed:
            self._is_taken = False
            if origin is not None:
                loop.unawaited[order] = (origin, loop.upsets)

    def __del__(self) -> None:
        if not self._is_taken:
            self._coroutine.close()  # Python does not warn of one that is closed
            if self.origin and is_dropped_by_its_maker(self.origin, sys._getframe(1)):
                self._loop.unawaited[self._order] = (self.origin, None)

    def __hash__(self) -> int:
        return self._order

    def __eq__(self, other: object) -> bool:
        return self is other

    if not TYPE_CHECKING:  # to a type checker it would have every attribute, and be a generator, too

        def __getattr__(self, name: str) -> Any:
            problem = f"{type(self).__name__!r} object has no attribute {name!r}"
            if not name.startswith("_") and name != "origin" and self.origin:
                advice = f"the call has no attribute {name!r}; its result may have it"
                problem = f"{Origin(*self.origin)} but not awaited: {advice}"
            raise AttributeError(problem, name=name, obj=self)

    def _take(self) -> None:
        self._is_taken = True
        self._loop.unawaited.pop(self._order, None)

    def __await__(self) -> Generator[Any, Any, T]:
        self._take()
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        if not self._is_taken:
            self._take()
        return self._coroutine.send(value)

    def throw(self, *args: Any) -> Any:
        self._take()
        return self._coroutine.throw(*args)

    def close(self) -> None:
        self._take()
        self._coroutine.close()


class _Disposed(BaseException):
    """Ends the code of an execution that is disposed of.

    It is not `GeneratorExit`, which Python does not pass on into an async generator that is being iterated: that one
    would be dropped where it stands, and what it awaits closed with a complaint that nobody can catch.
    """


def close(task: Task, loop: CountingLoop) -> None:
    """Ends a task's coroutine, whatever the user's code makes of it. To be called in its context."""
    with current_task_is(task, loop):
        _end(task.get_coro())


def close_generator(generator: AsyncGenerator[Any, Any]) -> None:
    """Closes an async generator, whatever the user's code makes of it."""
    closing = generator.aclose()
    try:
        closing.send(None)
    except BaseException:
        pass
    else:
        _end(closing)
    if generator.ag_frame is not None:  # type: ignore[attr-defined]
        _ENDLESS.append(generator)


def _end(coro: Any) -> None:
    try:
        for _ in range(_CLOSE_LIMIT):  # it may await something in a `finally`, and is ended there again
            coro.throw(_Disposed)
        _ENDLESS.append(coro)
    except BaseException:
        pass


@contextmanager
def current_task_is(task: Task | None, loop: CountingLoop) -> Iterator[None]:
    outer = _swap_current_task(loop, task)
    try:
        yield
    finally:
        _swap_current_task(loop, outer)


def _swap_current_task(loop: CountingLoop, task: asyncio.Task[Any] | None) -> asyncio.Task[Any] | None:
    outer = asyncio.current_task(loop)
    if outer is not None:
        asyncio.tasks._leave_task(loop, outer)
    if task is not None:
        asyncio.tasks._enter_task(loop, task)
    return outer
