"""A run that is asked to end: what it waits for, what it tidies up, and what it says afterwards."""

import asyncio

import pytest

from tests.support.scenarios import Env
from worldflow import (
    RetryableError,
    RunCancelledError,
    RunEndedError,
    sleep,
    step,
    step_info,
    wait_for_signal,
    workflow,
)


@pytest.fixture
def log():
    @step
    async def log(text: str) -> str:
        return text

    return log


@pytest.mark.parametrize("waits_for", ["sleep", "signal", "step"])
async def test_whatever_it_waits_for(env: Env, waits_for: str) -> None:
    @step
    async def never() -> None:
        raise RetryableError("not yet", retry_after="1d")

    @workflow
    async def waits() -> str:
        await {"sleep": lambda: sleep(30), "signal": lambda: wait_for_signal("x"), "step": never}[waits_for]()
        return "done"

    run = await env.start(waits)
    await run.cancel("no longer wanted")

    assert await run.status() == "cancelled"
    with pytest.raises(RunCancelledError):
        await run.result()
    with pytest.raises(RunEndedError):
        await run.cancel()
    with pytest.raises(RunEndedError):
        await run.signal("x")


async def test_it_tidies_up_with_steps(env: Env, log) -> None:
    @workflow
    async def tidy() -> None:
        try:
            await sleep("1d")
        finally:
            await log("released")
            await sleep("5s")
            await log("closed")

    run = await env.start(tidy)
    await run.cancel()
    assert await run.status() == "running"
    with pytest.raises(RunCancelledError):
        await run.result()

    assert await run.steps() == ["log", "log"]


async def test_it_may_catch_the_cancellation_and_return(env: Env, log) -> None:
    @workflow
    async def finishes_anyway() -> str:
        try:
            await sleep("1d")
        except asyncio.CancelledError:
            return await log("finished anyway")
        return "slept"

    run = await env.start(finishes_anyway)
    await run.cancel()

    assert await run.result() == "finished anyway"


async def test_all_of_its_parallel_work_is_cancelled(env: Env, log) -> None:
    @workflow
    async def parallel() -> None:
        async def branch(name: str) -> None:
            try:
                await sleep("1d")
            finally:
                await log(name)

        async with asyncio.TaskGroup() as group:
            for name in ("a", "b", "c"):
                group.create_task(branch(name))

    run = await env.start(parallel)
    await run.cancel()
    with pytest.raises(RunCancelledError):
        await run.result()

    assert await run.steps() == ["log", "log", "log"]


async def test_a_retry_that_was_waiting_is_not_made(env: Env) -> None:
    attempts = []

    @step
    async def fails() -> None:
        attempts.append(step_info().attempt)
        raise RetryableError("again", retry_after="1h")

    @workflow
    async def retrying() -> None:
        await fails()

    run = await env.start(retrying)
    await run.cancel()
    await env.advance("3h")

    assert attempts == [1]
    assert await run.status() == "cancelled"


async def test_a_second_request_changes_nothing(env: Env, log) -> None:
    @workflow
    async def slow_to_end() -> None:
        try:
            await sleep("1d")
        finally:
            await sleep("1h")
            await log("tidied")

    run = await env.start(slow_to_end)
    await run.cancel("first")
    await run.cancel("second")
    with pytest.raises(RunCancelledError):
        await run.result()

    assert await run.steps() == ["log"]
    assert (await run.kinds()).count("CancelRequested") == 1
