"""`map_steps`: one function for each of many items, so many at a time, and so many failures.

Plain asyncio, which a workflow's loop replays. Two kinds of tasks in a `TaskGroup`: one takes items and starts a task
for each, in their order; those call the function and note what came of it. Whichever note decides the whole sets
`_decided`, after which nothing is started any more, and what still runs is cancelled and awaited.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Generic, TypeVar

from worldflow.engine.errors import MapFailedError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFailure(Generic[T]):
    """An item of `map_steps` that failed: its `index` among the items, the `item`, and the `error`."""

    index: int
    item: T
    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class MapResult(Generic[T, R]):
    """The outcome of `map_steps`.

    results: one for each item, in their order; None for an item that failed or is unfinished.
    succeeded: the results of those that succeeded, in the order of the items.
    failures: the items that failed, in their order.
    unfinished: the indexes of the items that were cancelled or never started, because the outcome was clear before.
    """

    results: list[R | None]
    succeeded: list[R]
    failures: list[MapFailure[T]]
    unfinished: list[int]

    @property
    def total(self) -> int:
        """The number of items: of an async iterable, those that were taken from it."""
        return len(self.results)


async def map_steps(
    f: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    concurrency: int | None = None,
    min_successful: int | None = None,
    tolerated_failures: int | None = None,
    tolerated_failure_percentage: float | None = None,
) -> MapResult[T, R]:
    """Calls `f` for each item and returns what came of each, once all have ended or the outcome is clear.

    f: a step, a workflow (each call is then a child), or an async function of one argument.
    items: started in their order. Of an async iterable, the next one is taken when it can start. A set is refused: its
        order differs between processes.
    concurrency: how many run at a time. Default: all.
    min_successful: returns as soon as this many have succeeded, and cancels the others.
    tolerated_failures: how many may fail. Default: none, or with `min_successful` as many as leave it reachable.
    tolerated_failure_percentage: how many of 100 items may fail, instead of a number. Of an async iterable, this is
        known once its items have come to an end.
    Raises `MapFailedError`, which has the `result`, once too many have failed; the others are cancelled.
    """
    _check(f, concurrency, min_successful, tolerated_failures, tolerated_failure_percentage)
    if min_successful is None and tolerated_failure_percentage is None:
        tolerated_failures = tolerated_failures or 0
    total = None
    if not isinstance(items, AsyncIterable):
        items = _listed(items)
        total = len(items)
    mapping = _Mapping(f, total, min_successful, tolerated_failures, tolerated_failure_percentage)
    return await mapping.run(items, concurrency)


class _Mapping(Generic[T, R]):
    def __init__(
        self,
        f: Callable[[T], Awaitable[R]],
        total: int | None,
        min_successful: int | None,
        tolerated_failures: int | None,
        tolerated_percentage: float | None,
    ) -> None:
        self._f = f
        self._total = total
        """How many items there are; None until that is known."""
        self._min_successful = min_successful
        self._tolerated_failures = tolerated_failures
        self._tolerated_percentage = tolerated_percentage
        self._started = 0
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._results: dict[int, R] = {}
        self._failures: dict[int, MapFailure[T]] = {}
        self._decided: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        """Done when the outcome is clear: with why it is a failure, if so."""
        self._broken: BaseException | None = None
        """Why the whole cannot go on, whatever comes of the items."""
        self._stopping = False
        """Whether what is cancelled from here on is cancelled by this."""

    async def run(self, items: list[T] | AsyncIterable[T], concurrency: int | None) -> MapResult[T, R]:
        self._decide()
        if not self._decided.done():
            window = asyncio.Semaphore(concurrency or sys.maxsize)
            async with asyncio.TaskGroup() as group:
                feeder = group.create_task(self._feed(group, window, _iterated(items)))
                try:
                    await asyncio.wait([self._decided])
                finally:
                    self._stopping = True
                feeder.cancel()
                for task in self._tasks:
                    task.cancel()
        if self._broken is not None:
            raise self._broken
        problem, result = self._decided.result(), self._result()
        if problem is None:
            return result
        counts = (result.total, len(result.succeeded), len(result.failures))
        if not result.failures:
            raise MapFailedError(problem, *counts, result=result)
        first = result.failures[0]
        problem += f"; the first is item {first.index} ({type(first.error).__name__})"
        raise MapFailedError(problem, *counts, result=result) from first.error

    async def _feed(self, group: asyncio.TaskGroup, window: asyncio.Semaphore, items: AsyncIterator[T]) -> None:
        try:
            while True:
                await window.acquire()
                if self._decided.done():
                    return
                item = await anext(items)
                if self._decided.done():
                    return
                index, self._started = self._started, self._started + 1
                task = group.create_task(self._call(index, item, window))
                self._tasks[task] = None
                task.add_done_callback(self._tasks.pop)
        except StopAsyncIteration:
            self._total = self._started
            self._decide()
        except (Exception, asyncio.CancelledError) as error:
            if self._stopping:
                raise
            self._break(error)

    async def _call(self, index: int, item: T, window: asyncio.Semaphore) -> None:
        try:
            call = self._f(item)
            if isawaitable(call):
                self._results[index] = await call
            else:
                what = getattr(self._f, "__name__", self._f)
                self._break(TypeError(f"map_steps() takes a step, a workflow or an async function; {what} is none"))
                return
        except (Exception, asyncio.CancelledError) as error:
            if self._stopping and isinstance(error, asyncio.CancelledError):
                raise
            self._failures[index] = MapFailure(index=index, item=item, error=error)
        self._decide()
        window.release()

    def _break(self, error: BaseException) -> None:
        if not self._decided.done():
            self._broken = error
            self._decided.set_result(None)

    def _decide(self) -> None:
        if self._decided.done():
            return
        succeeded, failed = len(self._results), len(self._failures)
        if self._min_successful is not None and succeeded >= self._min_successful:
            self._decided.set_result(None)
        elif problem := self._problem(failed):
            self._decided.set_result(problem)
        elif self._total is not None and succeeded + failed == self._total:
            self._decided.set_result(None)

    def _problem(self, failed: int) -> str | None:
        """Why the whole has failed, if it has."""
        of_all = f"{failed:,} of {self._started:,} items that started failed"
        if self._total is not None:
            of_all = f"{failed:,} of {self._total:,} items failed"
        if self._tolerated_failures is not None and failed > self._tolerated_failures:
            return f"{of_all}, and {self._tolerated_failures:,} may fail"
        if self._total is None:
            return None
        percentage = self._tolerated_percentage
        if percentage is not None and failed * 100 > percentage * self._total:
            return f"{of_all}, and {percentage:g}% may fail"
        if self._min_successful is not None and self._total - failed < self._min_successful:
            return f"{of_all}, and {self._min_successful:,} have to succeed"
        return None

    def _result(self) -> MapResult[T, R]:
        total = self._started if self._total is None else self._total
        return MapResult(
            results=[self._results.get(index) for index in range(total)],
            succeeded=[self._results[index] for index in sorted(self._results)],
            failures=[self._failures[index] for index in sorted(self._failures)],
            unfinished=[n for n in range(total) if n not in self._results and n not in self._failures],
        )


def _iterated(items: list[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    return aiter(items) if isinstance(items, AsyncIterable) else _Listed(items)


class _Listed(AsyncIterator[T]):
    """A list, to be iterated like the others. No generator: those may have to be closed."""

    def __init__(self, items: list[T]) -> None:
        self._items = iter(items)

    async def __anext__(self) -> T:
        for item in self._items:
            return item
        raise StopAsyncIteration


def _listed(items: Iterable[T]) -> list[T]:
    if isinstance(items, (set, frozenset)):
        raise TypeError(
            f"map_steps() takes its items in an order, and that of a {type(items).__name__} differs between processes: "
            f"pass sorted(items)"
        )
    if isinstance(items, (str, bytes)) or not isinstance(items, Iterable):
        raise TypeError(f"map_steps() takes an iterable of items, or an async iterable, not {type(items).__name__}")
    return list(items)


def _check(
    f: object,
    concurrency: int | None,
    min_successful: int | None,
    tolerated_failures: int | None,
    tolerated_percentage: float | None,
) -> None:
    if not callable(f):
        raise TypeError(f"map_steps() takes a step, a workflow or an async function, not {f!r}")
    _check_count("concurrency", concurrency, 1)
    _check_count("min_successful", min_successful, 1)
    _check_count("tolerated_failures", tolerated_failures, 0)
    if tolerated_percentage is None:
        return
    if tolerated_failures is not None:
        raise ValueError("map_steps() takes tolerated_failures or tolerated_failure_percentage, not both")
    is_number = isinstance(tolerated_percentage, (int, float)) and not isinstance(tolerated_percentage, bool)
    if not is_number or not 0 <= tolerated_percentage <= 100:
        raise ValueError(
            f"map_steps(tolerated_failure_percentage=...) must be from 0 to 100, not {tolerated_percentage!r}"
        )


def _check_count(name: str, count: int | None, least: int) -> None:
    is_one = isinstance(count, int) and not isinstance(count, bool) and count >= least
    if count is not None and not is_one:
        raise ValueError(f"map_steps({name}=...) must be an integer of at least {least}, not {count!r}")
