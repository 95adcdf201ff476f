"""`map_steps` in pages: each page is a child run of the engine's own, which maps over the items of its page.

The calling run knows where each page begins and how many items it has. It adds up the counts that pages report, and
decides as they end. A page may have as many failures as the whole map has left when the page begins. So a page that
fails decides the whole, and fails as a run: retrying the caller starts it again.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

from worldflow.engine.errors import (
    ConfigurationError,
    FatalError,
    MapFailedError,
    StepNotFoundError,
    WorkflowNotFoundError,
)
from worldflow.engine.history import Failure, Json, dump_value
from worldflow.engine.history.failures import decode_exception, encode_exception
from worldflow.engine.workflow.context import _execution, publish, set_status, workflow_info
from worldflow.engine.workflow.definitions import (
    Step,
    Workflow,
    _workflows,
    check_usable,
    find_step,
    find_workflow,
)
from worldflow.engine.workflow.mapping import Listed, MapFailure, Mapping, MapSummary, Source, check_count, listed

MAX_PAGES = 5_000
"""Pages of one call. A page is two events, and a third when it changes the progress."""

MAX_PAGE_SIZE = 10_000
PAGE_SIZE, PAGES = 1_000, 10
"""The defaults of `page_size` and `pages`."""

KEPT = 100
"""Failures that the outcome lists."""

_KEPT_OF_PAGE = 40_000
"""Bytes of the failures that a page reports, which are in the caller's history."""

_ITEM, _ERROR = 1_000, 2_000
"""Bytes of the item and the error of a failure that is kept."""

Limits = tuple[int | None, int | None, float | None]
"""`min_successful`, `tolerated_failures` and `tolerated_failure_percentage`."""


async def map_pages(
    f: Callable[[Any], Awaitable[Any]],
    items: Iterable[Any] | AsyncIterable[Any] | Source,
    page_size: int | None,
    at_a_time: int | None,
    concurrency: int | None,
    limits: Limits,
) -> MapSummary:
    """See `map_steps`."""
    _execution("map_steps(page_size=...)")
    check_count("pages", at_a_time, 1)
    check_count("page_size", page_size, 1)
    size = page_size or PAGE_SIZE
    if size > MAX_PAGE_SIZE:
        raise ValueError(
            f"map_steps(page_size=...) must be at most {MAX_PAGE_SIZE:,}: a page's items are in one history"
        )
    function, encode = _sent(f)
    total = None
    pages: AsyncIterator[dict[str, Any]]
    if isinstance(items, AsyncIterable):
        pages = _Gathered(aiter(items), size, encode)
    elif isinstance(items, Source):
        of_source = await _walked(items, size)
        pages, total = Listed(of_source), sum(page["count"] for page in of_source)
    else:
        all_items = listed(items)
        total = len(all_items)
        _check_pages(math.ceil(total / size), size, math.ceil(total / MAX_PAGES))
        pages = Listed(list(_cut([encode(item) for item in all_items], size)))
    mapping = _Pages(function, total, limits, concurrency)
    return await mapping.run(pages, at_a_time or PAGES)  # type: ignore[return-value]


def _sent(f: Callable[..., Any]) -> tuple[dict[str, Any], Callable[[Any], Json]]:
    """The reference by which a page finds a function, and the encoder of its argument. Raises `TypeError` if a page
    could not find it.
    """
    if not isinstance(f, (Step, Workflow)):
        raise TypeError(
            f"map_steps() in pages calls its function in other runs, by its name: it takes a @step or a @workflow, "
            f"which {getattr(f, '__name__', f)} is not"
        )
    check_usable(f)
    known: Any = find_step(f.name) if isinstance(f, Step) else find_workflow(f.name, f.version)
    if known is not f:
        raise TypeError(
            f"map_steps() in pages calls {f.name} by its name, without options(...): give them to the decorator, or "
            f"map with a @workflow that calls it"
        )
    (name,) = f.signature.bind(None)
    function = {"step": f.name} if isinstance(f, Step) else {"workflow": f.name, "version": f.version}
    return function, lambda item: f.signature.encode({name: item})[name]


def _check_pages(pages: int, size: int, fits: int) -> None:
    """Raises `ValueError` for more than `MAX_PAGES`.

    fits: the page size that would fit.
    """
    if pages > MAX_PAGES and size < fits <= MAX_PAGE_SIZE:
        raise ValueError(
            f"map_steps(page_size={size}) would make more than {MAX_PAGES:,} pages: page_size={fits} would fit"
        )
    if pages > MAX_PAGES:
        raise ValueError(
            f"map_steps(page_size={size}) would make more than {MAX_PAGES:,} pages: divide the items, and map over "
            f"the parts with a @workflow that maps over each"
        )


# --- where the pages come from ---


async def _walked(source: Source, size: int) -> list[dict[str, Any]]:
    """The pages of a source, which a step finds in portions."""
    given, walk = source._as_json(), find_step("worldflow.walk_source")
    pages: list[dict[str, Any]] = []
    total, state = 0, None
    while True:
        portion = await walk(given, size, state)
        state = portion["next"]
        for count, *place in portion["pages"]:
            pages.append({"first": total, "count": count, "source": given, "pin": portion["pin"], "place": place})
            total += count
        is_full = total > 0.9 * size * len(pages)  # the pages ended by their number of items, not by their bytes
        _check_pages(len(pages), size, math.ceil(total / portion["share"] / MAX_PAGES) if is_full else 0)
        if state is None:
            return pages
        set_status(f"found {total:,} items")


def _cut(forms: list[Json], size: int) -> Iterator[dict[str, Any]]:
    for first in range(0, len(forms), size):
        part = forms[first : first + size]
        yield {"first": first, "count": len(part), "items": part}


class _Gathered(AsyncIterator[dict[str, Any]]):
    """The pages of an async iterable. A page is complete when its last item has arrived."""

    def __init__(self, items: AsyncIterator[Any], size: int, encode: Callable[[Any], Json]) -> None:
        self._items = items
        self._size = size
        self._encode = encode
        self._taken = 0

    async def __anext__(self) -> dict[str, Any]:
        first, forms = self._taken, list[Json]()
        try:
            while len(forms) < self._size:
                forms.append(self._encode(await anext(self._items)))
        except StopAsyncIteration:
            if not forms:
                raise
        self._taken += len(forms)
        _check_pages(math.ceil(self._taken / self._size), self._size, 10 * self._size)
        return {"first": first, "count": len(forms), "items": forms}


# --- the caller ---


class _Pages(Mapping[Any, Any]):
    """The mapping of the caller: over pages, and counted in items."""

    def __init__(self, function: dict[str, Any], total: int | None, limits: Limits, concurrency: int | None) -> None:
        super().__init__(_PAGE, total, *limits)
        self._function = function
        self._concurrency = concurrency
        self._items = self._succeeded = self._failed = 0
        """Numbers of items: in started pages, and of them succeeded and failed."""
        self._kept: list[MapFailure[Any]] = []
        self._runs: dict[int, str] = {}
        self._page_error: MapFailedError | None = None
        self._at_end = False
        self._shown = ""

    async def _call(self, index: int, item: Any, window: Any) -> None:
        limits = {"concurrency": self._concurrency, "may_fail": self._left(), "kept": KEPT - len(self._kept)}
        try:
            outcome = await _PAGE(self._function, item, limits)
        except MapFailedError as error:
            outcome = error._page
            self._page_error = self._page_error or error
        except (Exception, asyncio.CancelledError) as error:
            if self._stopping and isinstance(error, asyncio.CancelledError):
                raise
            self._break(error)
            return
        self._add(index, item["count"], outcome)
        self._decide()
        self._show()
        window.release()

    def _left(self) -> int | None:
        """How many items of a page may fail; None for any number."""
        bounds = [] if self._tolerated_failures is None else [self._tolerated_failures]
        if self._total is not None and self._min_successful is not None:
            bounds.append(self._total - self._min_successful)
        if self._total is not None and self._tolerated_percentage is not None:
            bounds.append(_most(self._tolerated_percentage, self._total))
        return max(0, min(bounds) - self._failed) if bounds else None

    def _add(self, index: int, count: int, outcome: dict[str, Any]) -> None:
        self._runs[index] = outcome["run"]
        self._succeeded += outcome["succeeded"]
        self._failed += outcome["failed"]
        more = outcome["total"] - count  # objects below the prefix that were added or deleted in the meantime
        self._items += more
        self._total = None if self._total is None else self._total + more
        for place, item, error in outcome["failures"][: KEPT - len(self._kept)]:
            failure = decode_exception(Failure.model_validate(error))
            self._kept.append(MapFailure(index=place, item=item, error=failure))

    def _show(self) -> None:
        """Sets the status text whenever the percentage has changed."""
        done = self._succeeded + self._failed
        text = f"{done:,} items" if self._total is None else f"{done:,} of {self._total:,} items"
        percent = str(done * 100 // self._total) if self._total else text
        if percent != self._shown:
            self._shown = percent
            set_status(text + (f", {self._failed:,} failed" if self._failed else ""))

    def _cause(self, first: MapFailure[Any]) -> BaseException:
        return self._page_error or first.error  # from which a retry finds the page

    def _begin(self, item: Any) -> int:
        self._items += item["count"]
        return super()._begin(item)

    def _come_to_end(self) -> None:
        self._total, self._at_end = self._items, True

    def _counts(self) -> tuple[int, int]:
        return self._succeeded, self._failed

    def _begun(self) -> int:
        return self._items

    def _is_over(self) -> bool:
        return self._at_end and len(self._runs) == self._started

    def _result(self) -> MapSummary:  # type: ignore[override]
        return MapSummary(
            total=self._items if self._total is None else self._total,
            succeeded=self._succeeded,
            failed=self._failed,
            failures=sorted(self._kept, key=lambda failure: failure.index),
            pages=[self._runs[index] for index in sorted(self._runs)],
        )


def _most(percentage: float, total: int) -> int:
    """How many items may fail: the greatest number that is not more than the percentage."""
    most = math.floor(percentage * total / 100)
    return most - 1 if most * 100 > percentage * total else most


# --- the page ---


class _Page(Mapping[Json, Any]):
    """The mapping of a page."""

    def __init__(self, f: Any, page: dict[str, Any], items: list[Json], may_fail: int | None) -> None:
        self._signature, self._called = f.signature, f
        self._read = self._signature.decode if "items" in page else self._signature.parse
        super().__init__(self._of_form, len(items), None, may_fail, None)
        self._first = page["first"]
        (self._name,) = self._signature.bind(None)

    async def _of_form(self, form: Json) -> Any:
        return await self._called(self._read({self._name: form})[self._name])

    def results(self) -> list[Json]:
        """The results so far, in the order of the items; None for an item without one."""
        encode = self._signature.result.encode
        return [encode(self._results[n]) if n in self._results else None for n in range(self._total or 0)]

    def failures(self) -> list[dict[str, Json]]:
        """The items that have failed so far."""
        found = [self._failures[index] for index in sorted(self._failures)]
        return [{"index": each.index, "item": each.item, "error": _described(each.error)} for each in found]

    def outcome(self, kept: int) -> dict[str, Any]:
        """The page's report to the caller.

        kept: how many failures it may list.
        """
        failures: list[list[Json]] = []
        room = _KEPT_OF_PAGE
        for index in sorted(self._failures)[:kept]:
            failures.append(_kept(self._failures[index]))
            room -= len(dump_value(failures[-1]))
            if room < 0:
                break
        succeeded, failed = self._counts()
        counts = {"total": self._total, "succeeded": succeeded, "failed": failed}
        return {**counts, "failures": failures, "run": workflow_info().run_id}


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _kept(failure: MapFailure[Json]) -> list[Json]:
    """A failure as a page reports it: its index, item and error, each of bounded size."""
    item = failure.item if len(dump_value(failure.item)) <= _ITEM else None
    return [failure.index, item, _bounded(failure.error).model_dump(mode="json", exclude_defaults=True)]


def _bounded(error: BaseException) -> Failure:
    """An error without its traceback, cut to its type and the start of its message if it is too long."""
    failure = encode_exception(error).model_copy(update={"traceback": ""})
    if len(failure.model_dump_json()) <= _ERROR:
        return failure
    return Failure(type=failure.type, message=failure.message[: _ERROR // 4])


def _found(function: dict[str, Any]) -> Any:
    """The function of a map. If it is not deployed, the run is blocked, like any run whose code is missing."""
    try:
        if "step" in function:
            return find_step(function["step"])
        return find_workflow(function["workflow"], function["version"])
    except StepNotFoundError as error:
        _execution("map_steps()").give_up(ConfigurationError(str(error)))
    except WorkflowNotFoundError as error:
        _execution("map_steps()").give_up(error)


async def map_page(function: dict[str, Any], page: dict[str, Any], limits: dict[str, Any]) -> dict[str, Any]:
    """Maps over the items of one page. Raises `MapFailedError` if more of them fail than may."""
    if workflow_info().parent_run_id is None:
        raise FatalError("worldflow.map_page is started by map_steps() only")
    f, items = _found(function), page.get("items")
    if items is None:
        items = await find_step("worldflow.read_page")(page["source"], page["pin"], page["place"])
    mapping = _Page(f, page, items, limits["may_fail"])
    publish("results", mapping.results)
    publish("failures", mapping.failures)
    try:
        await mapping.run(items, limits["concurrency"])
    except MapFailedError as error:
        failed = MapFailedError(str(error), error.total, error.succeeded, error.failed)
        failed._page = mapping.outcome(limits["kept"])
        raise failed from decode_exception(_bounded(error.result.failures[0].error))
    return mapping.outcome(limits["kept"])


_PAGE: Workflow[..., Any] = _workflows.add_own(Workflow(map_page, "worldflow.map_page"))
