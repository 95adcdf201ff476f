"""`map_steps`: the window, the order, what may fail, and what becomes of the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from worldflow import MapFailedError, RunFailedError, map_steps, sleep, step, wait_for_signal, workflow
from worldflow.engine.history import ChildStarted, StepScheduled
from worldflow.testing import WorkflowEnvironment

Report = dict[str, Any]
began: list[int] = []


@pytest.fixture(autouse=True)
def nothing_began() -> Iterator[None]:
    began.clear()
    yield


@step(inline=True)
async def map_part(n: int) -> int:
    if n < 0:
        raise LookupError(n)
    return n * 10


@workflow
async def map_child(n: int) -> int:
    return await map_part(n)


async def after_hours(n: int) -> int:
    """The larger, the later; negative ones fail."""
    began.append(n)
    await sleep(abs(n) * 3_600)
    return await map_part(n) if n >= 0 else await failing(n)


async def failing(n: int) -> int:
    raise LookupError(n)


async def counted(numbers: list[int]) -> AsyncIterator[int]:
    for n in numbers:
        await sleep(60)
        yield n


async def broken_source() -> AsyncIterator[int]:
    yield 5
    await sleep(60)
    raise OSError("the source broke")


@workflow
async def maps(numbers: list[int], options: dict[str, Any], source: str = "list") -> Report:
    items: Any = {"list": lambda: numbers, "async": lambda: counted(numbers), "broken": broken_source}[source]()
    try:
        result = await map_steps(after_hours, items, **options)
    except MapFailedError as error:
        result = error.result
        assert (error.total, error.succeeded) == (result.total, len(result.succeeded))
        assert error.failed == len(result.failures)
        return {"error": str(error), **report(result)}
    return report(result)


def report(result: Any) -> Report:
    assert all(isinstance(failure.error, (LookupError, asyncio.CancelledError)) for failure in result.failures)
    return {
        "results": result.results,
        "failed": [[failure.index, failure.item] for failure in result.failures],
        "unfinished": result.unfinished,
    }


async def mapped(numbers: list[int], source: str = "list", **options: Any) -> Report:
    async with WorkflowEnvironment() as env:
        run = await env.start(maps, numbers, options, source)
        return await run.result()


@pytest.mark.parametrize("function", ["step", "workflow"])
async def test_each_item_is_a_step_or_a_child(function: str) -> None:
    @workflow
    async def maps_definitions(which: str) -> list[int]:
        call: Callable[[int], Any] = map_part if which == "step" else map_child
        return (await map_steps(call, range(3))).succeeded

    async with WorkflowEnvironment() as env:
        run = await env.start(maps_definitions, function)
        assert await run.result() == [0, 10, 20]
        kind = StepScheduled if function == "step" else ChildStarted
        assert sum(isinstance(event, kind) for event in env.world.load_history(run.id)) == 3


async def test_results_are_in_the_order_of_the_items() -> None:
    assert await mapped([3, 1, 2]) == {"results": [30, 10, 20], "failed": [], "unfinished": []}
    assert await mapped([]) == {"results": [], "failed": [], "unfinished": []}


@pytest.mark.parametrize("source", ["list", "async"])
async def test_a_window_starts_items_in_their_order(source: str) -> None:
    most = running = 0
    order = []

    async def watched(n: int) -> int:
        nonlocal most, running
        order.append(n)
        running += 1
        most = max(most, running)
        await sleep(3_600 * n)
        running -= 1
        return n

    @workflow
    async def maps_in_a_window(source: str) -> list[int]:
        nonlocal running
        running = 0
        order.clear()
        numbers = [5, 1, 1, 4, 2]
        return (await map_steps(watched, numbers if source == "list" else counted(numbers), concurrency=2)).succeeded

    async with WorkflowEnvironment() as env:
        run = await env.start(maps_in_a_window, source)
        assert await run.result() == [5, 1, 1, 4, 2]
    assert most == 2
    assert order == [5, 1, 1, 4, 2]


async def test_an_async_iterable_is_not_read_ahead() -> None:
    taken = []

    async def numbers() -> AsyncIterator[int]:
        for n in range(1, 6):
            taken.append(n)
            yield n

    @workflow
    async def maps_while_it_reads() -> list[int]:
        taken.clear()
        await map_steps(after_hours, numbers(), concurrency=2, min_successful=1)
        return taken

    async with WorkflowEnvironment() as env:
        assert await (await env.start(maps_while_it_reads)).result() == [1, 2]


async def test_by_default_no_item_may_fail_and_the_rest_is_cancelled() -> None:
    assert await mapped([1, -2, 3, 4], concurrency=3) == {
        "error": "1 of 4 items failed, and 0 may fail; the first is item 1 (LookupError)",
        "results": [10, None, None, None],
        "failed": [[1, -2]],
        "unfinished": [2, 3],
    }


async def test_failures_that_are_tolerated_stand_beside_the_results() -> None:
    assert await mapped([1, -2, 3], tolerated_failures=1) == {
        "results": [10, None, 30],
        "failed": [[1, -2]],
        "unfinished": [],
    }


async def test_one_more_failure_than_tolerated_ends_it() -> None:
    report = await mapped([-1, -2, 3], tolerated_failures=1)
    assert report["error"] == "2 of 3 items failed, and 1 may fail; the first is item 0 (LookupError)"
    assert report["unfinished"] == [2]


async def test_a_percentage_is_of_all_items() -> None:
    assert "error" not in await mapped([-1, 2, 3, 4], tolerated_failure_percentage=25)
    report = await mapped([-1, -2, 3, 4], tolerated_failure_percentage=49.5)
    assert report["error"] == "2 of 4 items failed, and 49.5% may fail; the first is item 0 (LookupError)"
    assert report["unfinished"] == [2, 3]


async def test_a_percentage_of_an_async_iterable_is_known_at_its_end() -> None:
    assert "error" not in await mapped([-1, 2, 3, 4], "async", tolerated_failure_percentage=25)
    report = await mapped([-1, -2, 3, 4], "async", concurrency=1, tolerated_failure_percentage=49)
    assert report["results"] == [None, None, 30, 40]
    assert "error" in report


@pytest.mark.parametrize("source", ["list", "async"])
async def test_enough_successes_end_it_and_cancel_the_rest(source: str) -> None:
    report = await mapped([5, -1, 2, 3, 9], source, min_successful=2)
    assert report == {"results": [None, None, 20, 30, None], "failed": [[1, -1]], "unfinished": [0, 4]}


async def test_a_source_that_waits_is_given_up_when_the_outcome_is_clear() -> None:
    given_up: list[bool] = []

    async def waiting() -> AsyncIterator[int]:
        yield 1
        try:
            await wait_for_signal("more")
        except asyncio.CancelledError:
            given_up[:] = [True]
            raise

    @workflow
    async def maps_until_one_succeeds() -> list[bool]:
        await map_steps(after_hours, waiting(), min_successful=1)
        return given_up

    async with WorkflowEnvironment() as env:
        assert await (await env.start(maps_until_one_succeeds)).result() == [True]


async def test_an_item_that_comes_as_the_outcome_becomes_clear_is_not_started() -> None:
    started: list[int] = []

    @workflow
    async def maps_what_comes_at_the_end() -> list[int]:
        started.clear()
        ended = asyncio.Event()

        async def sets(n: int) -> int:
            started.append(n)
            await sleep(60)
            ended.set()
            return n

        async def comes_at_the_end() -> AsyncIterator[int]:
            yield 1
            await ended.wait()
            yield 2

        result = await map_steps(sets, comes_at_the_end(), min_successful=1)
        assert result.results == [1]
        return started

    async with WorkflowEnvironment() as env:
        assert await (await env.start(maps_what_comes_at_the_end)).result() == [1]


async def test_successes_that_cannot_be_reached_end_it() -> None:
    report = await mapped([-1, -2, 3, 4], min_successful=3)
    assert report["error"] == "2 of 4 items failed, and 3 have to succeed; the first is item 0 (LookupError)"
    assert report["unfinished"] == [2, 3]


async def test_fewer_items_than_have_to_succeed_start_nothing() -> None:
    report = await mapped([1, 2], min_successful=3)
    assert report["error"] == "0 of 2 items failed, and 3 have to succeed"
    assert began == []
    assert "error" in await mapped([1, 2], "async", min_successful=3)


async def test_enough_successes_are_enough_though_failures_are_limited() -> None:
    report = await mapped([1, -2, 3, 4], min_successful=2, tolerated_failures=0)
    assert report["failed"] == [[1, -2]]
    assert "error" in report


async def test_what_a_source_raises_is_raised_and_the_rest_is_cancelled() -> None:
    with pytest.raises(RunFailedError) as failed:
        await mapped([], "broken")
    assert isinstance(failed.value.__cause__, OSError)


async def test_an_item_that_cancels_itself_has_failed() -> None:
    async def cancelled(n: int) -> int:
        raise asyncio.CancelledError

    @workflow
    async def maps_what_cancels() -> int:
        return len((await map_steps(cancelled, [1, 2], concurrency=1, tolerated_failures=2)).failures)

    async with WorkflowEnvironment() as env:
        assert await (await env.start(maps_what_cancels)).result() == 2


@pytest.mark.parametrize("source", ["list", "async"])
async def test_cancelling_the_caller_cancels_all_and_waits_for_them(source: str) -> None:
    ended = []

    async def waits(n: int) -> None:
        try:
            await wait_for_signal("never")
        finally:
            await sleep(60)
            ended.append(n)

    async def endless() -> AsyncIterator[int]:
        yield 1
        yield 2
        try:
            await wait_for_signal("neither")
        finally:
            ended.append(3)

    @workflow
    async def maps_until_cancelled(source: str) -> list[int]:
        ended.clear()
        try:
            async with asyncio.timeout(3_600):
                await map_steps(waits, [1, 2, 3] if source == "list" else endless())
        except TimeoutError:
            return sorted(ended)
        return []

    async with WorkflowEnvironment() as env:
        assert await (await env.start(maps_until_cancelled, source)).result() == [1, 2, 3]


async def test_children_of_a_map_that_is_cancelled_are_cancelled() -> None:
    @workflow
    async def map_child_that_waits(n: int) -> None:
        await wait_for_signal("never")

    @workflow
    async def maps_children_that_wait() -> None:
        await map_steps(map_child_that_waits, [1, 2])

    async with WorkflowEnvironment() as env:
        run = await env.start(maps_children_that_wait)
        await env.settle()
        await run.cancel()
        await env.settle()
        assert await env.run("test-1~c1").status() == await env.run("test-1~c2").status() == "cancelled"


async def test_the_error_of_a_child_has_the_counts_only() -> None:
    @workflow
    async def map_child_that_maps() -> None:
        await map_steps(after_hours, [1, -2])

    @workflow
    async def catches_the_error_of_a_map() -> list[Any]:
        try:
            await map_child_that_maps()
        except MapFailedError as error:
            return [error.total, error.succeeded, error.failed, error.result, repr(error.__cause__)]
        return []

    async with WorkflowEnvironment() as env:
        run = await env.start(catches_the_error_of_a_map)
        assert await run.result() == [2, 1, 1, None, "LookupError(-2)"]


@pytest.mark.parametrize(
    ("items", "options", "message"),
    [
        ({1, 2}, {}, r"order.* of a set differs between processes: pass sorted\(items\)"),
        ("abc", {}, "takes an iterable of items, or an async iterable, not str"),
        (7, {}, "takes an iterable of items, or an async iterable, not int"),
        ([], {"concurrency": 0}, r"map_steps\(concurrency=...\) must be an integer of at least 1, not 0"),
        ([], {"concurrency": True}, "must be an integer of at least 1, not True"),
        ([], {"min_successful": 0}, r"map_steps\(min_successful=...\) must be an integer of at least 1"),
        ([], {"tolerated_failures": -1}, r"map_steps\(tolerated_failures=...\) must be an integer of at least 0"),
        ([], {"tolerated_failure_percentage": 101}, "must be from 0 to 100, not 101"),
        ([], {"tolerated_failure_percentage": float("nan")}, "must be from 0 to 100, not nan"),
        ([], {"tolerated_failures": 1, "tolerated_failure_percentage": 5}, "not both"),
    ],
)
async def test_what_cannot_be_is_refused(items: Any, options: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        await map_steps(failing, items, **options)


async def test_a_plain_function_is_refused_and_is_no_failure_of_an_item() -> None:
    def plain(n: int) -> int:
        return n

    with pytest.raises(TypeError, match="a step, a workflow or an async function; plain is none"):
        await map_steps(plain, [1], tolerated_failures=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a step, a workflow or an async function, not 7"):
        await map_steps(7, [1])  # type: ignore[arg-type]
