"""`map_steps`, as workflows call it: see `mapping.py`, and `paging.py` for items in pages."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, TypeVar, overload

from worldflow.engine.workflow.mapping import Mapping, MapResult, MapSummary, Source, check_count, listed

T = TypeVar("T")
R = TypeVar("R")


@overload
async def map_steps(
    f: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    concurrency: int | None = None,
    min_successful: int | None = None,
    tolerated_failures: int | None = None,
    tolerated_failure_percentage: float | None = None,
) -> MapResult[T, R]: ...
@overload
async def map_steps(
    f: Callable[[T], Awaitable[Any]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    page_size: int,
    pages: int | None = None,
    concurrency: int | None = None,
    min_successful: int | None = None,
    tolerated_failures: int | None = None,
    tolerated_failure_percentage: float | None = None,
) -> MapSummary: ...
@overload
async def map_steps(
    f: Callable[[Any], Awaitable[Any]],
    items: Source,
    *,
    page_size: int | None = None,
    pages: int | None = None,
    concurrency: int | None = None,
    min_successful: int | None = None,
    tolerated_failures: int | None = None,
    tolerated_failure_percentage: float | None = None,
) -> MapSummary: ...
async def map_steps(
    f: Callable[[Any], Awaitable[Any]],
    items: Iterable[Any] | AsyncIterable[Any] | Source,
    *,
    page_size: int | None = None,
    pages: int | None = None,
    concurrency: int | None = None,
    min_successful: int | None = None,
    tolerated_failures: int | None = None,
    tolerated_failure_percentage: float | None = None,
) -> MapResult[Any, Any] | MapSummary:
    """Calls `f` for each item and returns the outcome of each, once all have ended or the result is certain.

    f: a step, a workflow (each call is then a child), or an async function of one argument.
    items: started in their order. Of an async iterable, the next one is taken when it can start. A set is refused: its
        order differs between processes. An `S3Lines`, `S3Csv` or `S3Objects` of `worldflow.sources` is read in pages.
    page_size: the number of items in a page, at most 10,000. Each page is a child run, and the outcome a `MapSummary`;
        `f` must be a step or a workflow, without options. Default: no pages, or 1,000 items of a source.
    pages: the number of pages that run at a time. Default: 10.
    concurrency: how many run at a time, of each page if there are pages. Default: all.
    min_successful: returns as soon as this many have succeeded, and cancels the others.
    tolerated_failures: how many may fail. Default: none, or with `min_successful` as many as leave it reachable.
    tolerated_failure_percentage: how many of 100 items may fail, instead of a number. Of an async iterable, this is
        known once its items have come to an end.
    In pages, these numbers count the items of all pages and are checked whenever a page ends.
    Raises `MapFailedError`, which has the `result`, once too many have failed; the others are cancelled.
    """
    _check(f, concurrency, min_successful, tolerated_failures, tolerated_failure_percentage)
    if min_successful is None and tolerated_failure_percentage is None:
        tolerated_failures = tolerated_failures or 0
    if page_size is not None or isinstance(items, Source):
        from worldflow.engine.workflow.paging import map_pages

        limits = (min_successful, tolerated_failures, tolerated_failure_percentage)
        return await map_pages(f, items, page_size, pages, concurrency, limits)
    if pages is not None:
        raise ValueError("map_steps(pages=...) is how many pages run at a time: it needs page_size")
    total = None
    if not isinstance(items, AsyncIterable):
        items = listed(items)
        total = len(items)
    mapping = Mapping(f, total, min_successful, tolerated_failures, tolerated_failure_percentage)
    return await mapping.run(items, concurrency)


def _check(
    f: object,
    concurrency: int | None,
    min_successful: int | None,
    tolerated_failures: int | None,
    tolerated_percentage: float | None,
) -> None:
    if not callable(f):
        raise TypeError(f"map_steps() takes a step, a workflow or an async function, not {f!r}")
    check_count("concurrency", concurrency, 1)
    check_count("min_successful", min_successful, 1)
    check_count("tolerated_failures", tolerated_failures, 0)
    if tolerated_percentage is None:
        return
    if tolerated_failures is not None:
        raise ValueError("map_steps() takes tolerated_failures or tolerated_failure_percentage, not both")
    is_number = isinstance(tolerated_percentage, (int, float)) and not isinstance(tolerated_percentage, bool)
    if not is_number or not 0 <= tolerated_percentage <= 100:
        raise ValueError(
            f"map_steps(tolerated_failure_percentage=...) must be from 0 to 100, not {tolerated_percentage!r}"
        )
