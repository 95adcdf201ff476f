"""Each task of an execution that is let go of is closed as itself: in its own context, as the current task. Libraries
that check where they are have nothing to say; nor has Python.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from tests.support.driver import START, Drive
from tests.support.steps import work
from worldflow import sleep, wait_for_signal, workflow
from worldflow.engine.history import RunStarted
from worldflow.engine.workflow.execution import Execution

span: ContextVar[str] = ContextVar("span", default="none")
left: list[str] = []


@contextmanager
def spanned(name: str) -> Iterator[None]:
    """As OpenTelemetry does it. Resetting a variable elsewhere is a ValueError."""
    token = span.set(name)
    try:
        yield
    finally:
        span.reset(token)
        left.append(name)


@asynccontextmanager
async def owned(name: str) -> AsyncIterator[None]:
    """As anyio does it."""
    owner = asyncio.current_task()
    try:
        yield
    finally:
        assert asyncio.current_task() is owner
        left.append(name)


@pytest.fixture(autouse=True)
def _nothing_left() -> None:
    left.clear()


def live(flow: Any) -> Execution:
    execution = Execution("run-1", flow)
    execution.apply(RunStarted(run_id="run-1", workflow_name=flow.name), START)
    return execution


@workflow
async def nests() -> None:
    async def child(name: str) -> None:
        with spanned(f"span of {name}"):
            async with owned(f"scope of {name}"):
                await sleep("1h")

    with spanned("span"):
        async with owned("scope"), asyncio.TaskGroup() as group:
            group.create_task(child("a"))
            group.create_task(child("b"), context=copy_context())
            await wait_for_signal("go")


EVERY = {f"{what}{whose}" for what in ("span", "scope") for whose in ("", " of a", " of b")}


def test_context_variables_and_scopes_are_left_where_they_were_entered() -> None:
    live(nests).dispose()
    assert set(left) == EVERY


def test_so_are_those_of_tasks_that_the_end_of_the_run_leaves_over(drive: Drive) -> None:
    @workflow
    async def hasty() -> None:
        async def child() -> None:
            with spanned("span"):
                async with owned("scope"):
                    await sleep("1h")

        left_over = asyncio.create_task(child())
        await work()
        assert not left_over.done()

    run = drive(hasty)
    run.complete(work)
    assert run.decided == ["RunCompleted"]
    assert {"span", "scope"} == set(left)


def test_the_context_around_is_as_it_was() -> None:
    with spanned("the application's"):
        live(nests).dispose()
        assert span.get() == "the application's"


async def test_an_application_s_task_is_current_again() -> None:
    execution = await asyncio.to_thread(live, nests)
    execution.dispose()
    assert asyncio.current_task() is not None
    assert set(left) == EVERY


async def _confirm() -> None:
    await sleep("1m")


@pytest.mark.parametrize(
    "finish",
    [
        lambda: asyncio.wait_for(_confirm(), 5),
        lambda: asyncio.gather(_confirm(), _confirm()),
        lambda: asyncio.shield(_confirm()),
        lambda: asyncio.create_task(_confirm()),
        _confirm,
    ],
    ids=["wait_for", "gather", "shield", "create_task", "await"],
)
def test_a_coroutine_in_a_finally_was_not_forgotten(finish: Any) -> None:
    @workflow
    async def confirms() -> None:
        try:
            await wait_for_signal("go")
        finally:
            await finish()

    live(confirms).dispose()
    gc.collect()  # what Python says of a coroutine that was never awaited would be an error here


def test_elsewhere_a_forgotten_coroutine_is_told() -> None:
    with pytest.warns(RuntimeWarning, match="_confirm"):
        _confirm()
        gc.collect()


def test_an_async_generator_is_closed_and_not_dropped() -> None:
    """What it awaits would otherwise be closed by Python, which prints what that raises."""

    async def node() -> None:
        try:
            await sleep("1h")
        except BaseException as error:
            raise LookupError("the node was given up") from error

    async def stream() -> AsyncIterator[int]:
        try:
            yield 1
            await node()
        finally:
            left.append("stream")

    @workflow
    async def consumes() -> None:
        async for _ in stream():
            pass

    live(consumes).dispose()
    assert left == ["stream"]


@pytest.mark.parametrize("awaits", [lambda: sleep("1m"), _confirm, lambda: asyncio.wait_for(_confirm(), 5)])
def test_nor_does_one_that_awaits_in_its_finally_keep_it_from_being_closed(awaits: Any) -> None:
    async def stream() -> AsyncIterator[int]:
        try:
            yield 1
            await sleep("1h")
        finally:
            left.append("closing")
            await awaits()

    @workflow
    async def consumes() -> None:
        async for _ in stream():
            pass

    live(consumes).dispose()
    assert left == ["closing"]


async def numbers() -> AsyncIterator[int]:
    with spanned("span of the generator"):
        async with owned("scope of the generator"):
            yield 1
            yield 2


def test_an_async_generator_that_is_suspended_is_closed_too() -> None:
    kept: list[Any] = []

    @workflow
    async def keeps() -> None:
        kept.append(numbers())
        await anext(kept[0])
        async for _ in numbers():
            await sleep("1h")

    live(keeps).dispose()
    assert left == ["scope of the generator", "span of the generator"] * 2


def test_so_is_one_in_a_reference_cycle_of_a_run_that_ended(drive: Drive) -> None:
    @workflow
    async def ends() -> None:
        cycle: list[Any] = [numbers()]
        cycle.append(cycle)
        await anext(cycle[0])

    gc.disable()
    try:
        drive(ends)
    finally:
        gc.enable()
    assert set(left) == {"scope of the generator", "span of the generator"}


def test_one_that_is_left_early_is_closed_in_the_context_in_which_it_ran(drive: Drive) -> None:
    async def spans() -> AsyncIterator[int]:
        with spanned("span of the generator"):
            yield 1
            yield 2

    @workflow
    async def breaks_off() -> None:
        async for _ in spans():
            break
        await work()

    run = drive(breaks_off)
    run.complete(work)
    assert set(left) == {"span of the generator"}


def test_so_is_one_that_is_collected_in_the_turn_of_another_run() -> None:
    async def spans() -> AsyncIterator[int]:
        with spanned("span of the generator"):
            yield 1
            yield 2

    @workflow
    async def leaves() -> None:
        cycle: list[Any] = [spans()]
        cycle.append(cycle)
        await anext(cycle[0])
        del cycle
        await sleep("1h")

    @workflow
    async def innocent() -> None:
        gc.collect()
        await sleep("1h")

    gc.disable()
    try:
        first = live(leaves)
        second = live(innocent)
    finally:
        gc.enable()
    assert left == ["span of the generator"]
    first.dispose()
    second.dispose()


def test_a_generator_that_will_not_end_is_left_where_it_is() -> None:
    async def stubborn() -> AsyncIterator[int]:
        while True:
            try:
                yield 1
                await sleep("1h")
            except BaseException:
                left.append("no")
                if len(left) > 10_000:  # or else the test would not end
                    raise

    kept: list[Any] = []

    @workflow
    async def keeps() -> None:
        kept.append(stubborn())
        await anext(kept[0])
        await sleep("1h")

    live(keeps).dispose()
    assert len(left) < 1_000


def test_generators_that_have_ended_are_forgotten() -> None:
    @workflow
    async def reads_on() -> None:
        for _ in range(1_000):
            async for _ in numbers():
                pass
        await sleep("1h")

    execution = live(reads_on)
    assert len(execution.loop._generators._begun) < 200
    execution.dispose()
