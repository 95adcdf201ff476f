"""What `map_steps` does: calls a function for each of many items, with bounds on concurrency and failures.

Plain asyncio, which a workflow's loop replays. Two kinds of tasks in a `TaskGroup`: one takes items and starts a task
for each, in their order; those call the function and record its outcome. The outcome that decides the whole sets
`_decided`: nothing is started after that, and what still runs is cancelled and awaited.

Many items are mapped in pages: see `paging.py`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Generic, TypeVar

from worldflow.engine.errors import MapFailedError
from worldflow.engine.workflow.limits import is_count

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


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSummary:
    """The outcome of `map_steps` in pages. The results of the items are in the runs of the pages.

    total: the number of items.
    succeeded: how many succeeded.
    failed: how many failed.
    failures: up to 100 of those that failed, in their order. An `item` is as its JSON has it, or None if that has more
        than 1,000 characters.
    pages: the ids of the runs of the pages that have ended, in the order of the items. Their queries `results` and
        `failures` return all of their items' results and failures.
    """

    total: int
    succeeded: int
    failed: int
    failures: list[MapFailure[Any]]
    pages: list[str]

    @property
    def unfinished(self) -> int:
        """How many items were cancelled or never started, because the outcome was clear before."""
        return self.total - self.succeeded - self.failed


class Source:
    """Items that are read in pages: see `worldflow.sources`."""

    def _as_json(self) -> dict[str, Any]:
        """The source as JSON."""
        raise NotImplementedError


class Mapping(Generic[T, R]):
    """One call of `map_steps`, whose items are those that it takes."""

    _first = 0
    """The index of the first item."""

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
        """An error that ends the map regardless of the items' outcomes."""
        self._stopping = False
        """Whether this map is cancelling its own tasks."""

    async def run(self, items: list[T] | AsyncIterable[T], concurrency: int | None) -> MapResult[T, R]:
        """Takes the items, and returns the outcome. Raises `MapFailedError`."""
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
        counts = (result.total, *self._counts())
        if not result.failures:
            raise MapFailedError(problem, *counts, result=result)
        first = result.failures[0]
        problem += f"; the first is item {first.index} ({type(first.error).__name__})"
        raise MapFailedError(problem, *counts, result=result) from self._cause(first)

    async def _feed(self, group: asyncio.TaskGroup, window: asyncio.Semaphore, items: AsyncIterator[T]) -> None:
        try:
            while True:
                await window.acquire()
                if self._decided.done():
                    return
                item = await anext(items)
                if self._decided.done():
                    return
                index = self._begin(item)
                task = group.create_task(self._call(index, item, window))
                self._tasks[task] = None
                task.add_done_callback(self._tasks.pop)
        except StopAsyncIteration:
            self._come_to_end()
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
            self._failures[index] = MapFailure(index=self._first + index, item=item, error=error)
        self._decide()
        window.release()

    def _cause(self, first: MapFailure[T]) -> BaseException:
        return first.error

    def _begin(self, item: T) -> int:
        """Counts an item that is started, and returns its number."""
        self._started += 1
        return self._started - 1

    def _come_to_end(self) -> None:
        self._total = self._started

    def _counts(self) -> tuple[int, int]:
        """How many items succeeded and failed."""
        return len(self._results), len(self._failures)

    def _begun(self) -> int:
        """How many items were started."""
        return self._started

    def _is_over(self) -> bool:
        """Whether all items have ended."""
        return self._total is not None and sum(self._counts()) == self._total

    def _break(self, error: BaseException) -> None:
        if not self._decided.done():
            self._broken = error
            self._decided.set_result(None)

    def _decide(self) -> None:
        if self._decided.done():
            return
        succeeded, failed = self._counts()
        if self._min_successful is not None and succeeded >= self._min_successful:
            self._decided.set_result(None)
        elif problem := self._problem(failed):
            self._decided.set_result(problem)
        elif self._is_over():
            self._decided.set_result(None)

    def _problem(self, failed: int) -> str | None:
        """Why the whole has failed, if it has."""
        of_all = f"{failed:,} of {self._begun():,} items that started failed"
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
    return aiter(items) if isinstance(items, AsyncIterable) else Listed(items)


class Listed(AsyncIterator[T]):
    """A list, to be iterated like the others. No generator: those may have to be closed."""

    def __init__(self, items: list[T]) -> None:
        self._items = iter(items)

    async def __anext__(self) -> T:
        for item in self._items:
            return item
        raise StopAsyncIteration


def listed(items: Iterable[T]) -> list[T]:
    """The items as a list. Raises `TypeError` for what has no order, or is no iterable."""
    if isinstance(items, (set, frozenset)):
        raise TypeError(
            f"map_steps() takes its items in an order, and that of a {type(items).__name__} differs between processes: "
            f"pass sorted(items)"
        )
    if isinstance(items, (str, bytes)) or not isinstance(items, Iterable):
        raise TypeError(f"map_steps() takes an iterable of items, or an async iterable, not {type(items).__name__}")
    return list(items)


def check_count(name: str, count: int | None, least: int) -> None:
    """Raises `ValueError` for an option that is not at least `least`."""
    if count is not None and not is_count(count, least):
        raise ValueError(f"map_steps({name}=...) must be an integer of at least {least}, not {count!r}")
