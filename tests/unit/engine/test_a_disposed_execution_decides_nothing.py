"""Evicting a live execution runs no user code: a `finally` sees an exception, and nothing comes of it."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.support.driver import START, Drive
from tests.support.steps import work
from worldflow import sleep, step, uuid4, wait_for_signal, workflow
from worldflow.engine.history import RunStarted
from worldflow.engine.workflow.execution import Execution
from worldflow.testing import WorkflowEnvironment

ran: list[str] = []


@step
def plain_cleanup() -> None:
    ran.append("plain")


@step
async def async_cleanup() -> None:
    ran.append("async")


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


def live(function) -> Execution:
    execution = Execution("run-1", function)
    execution.apply(RunStarted(run_id="run-1", workflow_name=function.name), START)
    return execution


async def cleans_up(cleanup: Any) -> None:
    try:
        await sleep("1h")
    finally:
        await cleanup()


async def in_child_tasks(cleanup: Any) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(cleans_up(cleanup))
        group.create_task(cleans_up(cleanup))


async def in_a_context_manager(cleanup: Any) -> None:
    @asynccontextmanager
    async def reservation() -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(cleanup)
            yield

    async with reservation():
        await wait_for_signal("go")


async def in_a_fan_out(cleanup: Any) -> None:
    async def undo() -> None:
        await cleanup()

    try:
        await sleep("1h")
    finally:
        await asyncio.gather(undo(), undo(), cleanup())


WHERE = [cleans_up, in_child_tasks, in_a_context_manager, in_a_fan_out]


@pytest.mark.parametrize("cleanup", [plain_cleanup, async_cleanup], ids=["plain", "async"])
@pytest.mark.parametrize("where", WHERE, ids=lambda function: function.__name__)
def test_a_step_in_a_finally_does_not_run(where, cleanup):
    @workflow
    async def tidy() -> None:
        await where(cleanup)

    execution = live(tidy)
    execution.dispose()
    assert ran == []
    assert execution._decisions == []
    del execution
    gc.collect()
    assert ran == []


@pytest.mark.parametrize("cleanup", [plain_cleanup, async_cleanup], ids=["plain", "async"])
def test_a_step_in_the_finally_of_a_task_left_over_at_the_end_does_not_run(drive: Drive, cleanup):
    @workflow
    async def hasty() -> str:
        left_over = asyncio.create_task(cleans_up(cleanup))
        await work()
        return left_over.get_name() and "done"

    run = drive(hasty)
    run.complete(work)
    assert run.decided == ["RunCompleted"]
    assert ran == []


async def test_nothing_runs_when_a_test_ends_with_a_run_that_waits():
    @workflow
    async def tidy() -> None:
        try:
            await sleep("1h")
        finally:
            await plain_cleanup()
            await async_cleanup()

    async with WorkflowEnvironment() as env:
        await env.start(tidy)
    del env
    gc.collect()
    assert ran == []


def test_code_that_goes_on_after_the_exit_is_left():
    @workflow
    async def stubborn() -> None:
        while True:
            try:
                await sleep("1h")
            except BaseException:
                await asyncio.sleep(0)

    execution = live(stubborn)
    execution.dispose()
    assert execution._decisions == []


def test_what_the_workflow_asks_of_its_run_during_the_exit_makes_no_decision():
    asked = []

    @workflow
    async def curious() -> None:
        try:
            async with asyncio.timeout(3600):
                await wait_for_signal("go")
        finally:
            try:
                asked.append(uuid4())
            except Exception as error:
                asked.append(error)

    execution = live(curious)
    execution.dispose()
    assert execution._decisions == []


def test_a_step_that_was_called_and_not_awaited_yet_goes_quietly():
    @workflow
    async def one_by_one() -> None:
        for call in [work(n) for n in range(3)]:
            await call

    execution = live(one_by_one)
    execution.dispose()
    del execution
    gc.collect()


def test_an_execution_that_is_never_disposed_of_runs_nothing_either():
    @workflow
    async def tidy() -> None:
        try:
            await sleep("1h")
        finally:
            await plain_cleanup()

    live(tidy)
    gc.collect()
    assert ran == []


def test_an_exception_that_nobody_has_looked_at_yet_is_no_error(caplog: pytest.LogCaptureFixture):
    async def fail() -> None:
        raise LookupError

    @workflow
    async def looks_later() -> None:
        task = asyncio.create_task(fail())
        await sleep("1h")
        await task

    execution = live(looks_later)
    execution.dispose()
    del execution
    gc.collect()
    assert caplog.text == ""


caught: list[str] = []


@pytest.mark.parametrize("finish", [lambda: async_cleanup(), lambda: sleep(1), lambda: wait_for_signal("go")])
def test_what_a_finally_is_told_is_no_exception_that_it_would_handle(finish):
    caught.clear()

    @workflow
    async def tidy() -> None:
        try:
            await sleep("1h")
        finally:
            try:
                await finish()
            except Exception as error:
                caught.append(repr(error))

    live(tidy).dispose()
    gc.collect()
    assert caught == []


# They end with the interpreter: then this module's names are gone, and are None.


async def _polls() -> None:
    while True:
        try:
            await sleep(60)
        except:  # noqa: E722
            if caught is None:
                return


async def _waits() -> None:
    while True:
        try:
            await wait_for_signal("go")
        except BaseException:
            if caught is None:
                return


async def _retries() -> None:
    while True:
        try:
            await asyncio.create_task(async_cleanup(), name="tidy")
        except BaseException:
            if caught is None:
                return


async def _yields() -> None:
    while True:
        try:
            await asyncio.sleep(0 if caught else 60)
        except BaseException:
            if caught is None:
                raise
            caught.append("again")


@pytest.mark.parametrize("stubborn", [_polls, _waits, _retries, _yields], ids=lambda function: function.__name__)
def test_code_that_will_not_end_is_left_where_it_is(stubborn):
    @workflow
    async def endless() -> None:
        await asyncio.gather(stubborn(), stubborn())

    live(endless).dispose()
    gc.collect()
    assert ran == []


def test_a_run_ends_beside_a_task_that_will_not(drive: Drive):
    @workflow
    async def leaves() -> str:
        left_over = asyncio.create_task(_polls())
        await work()
        return left_over.get_name() and "done"

    run = drive(leaves)
    run.complete(work)
    assert run.result() == "done"
