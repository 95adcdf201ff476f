"""Polling: a loop of a step that looks and a wait that grows, in the language's own words."""

import asyncio

import pytest

from tests.support.scenarios import Env
from worldflow import RetryPolicy, now, sleep, step, workflow


async def test_until_it_holds(env: Env) -> None:
    looked: list[int] = []

    @step
    async def job_is_done() -> bool:
        looked.append(1)
        return len(looked) == 4

    @workflow
    async def polling() -> float:
        began = now()
        interval = 5.0
        while not await job_is_done():
            await sleep(interval)
            interval *= 2
        return (now() - began).total_seconds()

    assert 35 <= await env.run(polling) < 37
    assert len(looked) == 4


async def test_no_wait_before_the_first_look(env: Env) -> None:
    @step
    async def job_is_done() -> bool:
        return True

    @workflow
    async def polling() -> None:
        while not await job_is_done():
            await sleep("1h")

    run = await env.start(polling)

    assert await run.status() == "completed"
    assert "TimerStarted" not in await run.kinds()


async def test_the_state_of_one_look_is_given_to_the_next(env: Env) -> None:
    @step
    async def look(state: dict[str, int]) -> dict[str, int]:
        return {"looks": state["looks"] + 1}

    @workflow
    async def polling() -> dict[str, int]:
        state = {"looks": 0}
        while state["looks"] < 3:
            state = await look(state)
            await sleep("1m")
        return state

    assert await env.run(polling) == {"looks": 3}


async def test_not_for_longer_than_this(env: Env) -> None:
    @step
    async def job_is_done() -> bool:
        return False

    @workflow
    async def polling() -> None:
        async with asyncio.timeout(60):
            while not await job_is_done():
                await sleep("25s")

    run = await env.start(polling)

    assert isinstance(await run.failure(), TimeoutError)
    assert await run.steps() == ["job_is_done"] * 3


async def test_a_look_that_fails_ends_it(env: Env) -> None:
    @step(retry=RetryPolicy(max_attempts=1))
    async def job_is_done() -> bool:
        raise LookupError("no such job")

    @workflow
    async def polling() -> None:
        while not await job_is_done():
            await sleep("1m")

    run = await env.start(polling)
    with pytest.raises(LookupError, match="no such job"):
        raise await run.failure()
