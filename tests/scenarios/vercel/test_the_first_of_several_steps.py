"""Races: the first to end, the first to succeed, and race after race until none is left."""

import asyncio

import pytest

from tests.support.scenarios import Env
from worldflow import FatalError, RetryableError, step, step_info, workflow
from worldflow.engine.history import StepAbandoned


@pytest.fixture
def shout():
    @step
    async def shout(delay: int, letter: str) -> str:
        if step_info().attempt == 1:
            raise RetryableError("later", retry_after=delay)
        return letter.upper()

    return shout


async def test_the_first_to_end(env: Env, shout) -> None:
    @workflow
    async def race() -> str:
        tasks = [asyncio.create_task(shout(*runner)) for runner in ((10, "a"), (1, "b"), (20, "c"))]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        return done.pop().result()

    run = await env.start(race)

    assert await run.result() == "B"
    assert {event.step_id for event in await run.found(StepAbandoned)} <= {"s1", "s3"}


async def test_the_losers_of_a_race_are_not_waited_for(env: Env, shout) -> None:
    @workflow
    async def race() -> str:
        for earliest in asyncio.as_completed([shout(1_000, "slow"), shout(1, "fast")]):
            return await earliest
        raise AssertionError

    began = env.now()
    assert await env.run(race) == "FAST"
    assert (env.now() - began).total_seconds() < 1_000


async def test_the_first_to_succeed(env: Env, shout) -> None:
    @step
    async def fails() -> str:
        raise FatalError("step failed")

    @workflow
    async def any_of() -> str:
        for earliest in asyncio.as_completed([fails(), shout(1, "b"), shout(6, "c")]):
            try:
                return await earliest
            except FatalError:
                continue
        raise AssertionError

    assert await env.run(any_of) == "B"


async def test_none_succeeds(env: Env) -> None:
    @step
    async def fails(number: int) -> str:
        raise FatalError(f"{number} failed")

    @workflow
    async def any_of() -> list[str]:
        results = await asyncio.gather(*(fails(number) for number in range(3)), return_exceptions=True)
        raise ExceptionGroup("all failed", [error for error in results if isinstance(error, FatalError)])

    failure = await (await env.start(any_of)).failure()

    assert isinstance(failure, ExceptionGroup)
    assert [str(error) for error in failure.exceptions] == ["0 failed", "1 failed", "2 failed"]


async def test_race_after_race_until_none_is_left(env: Env, shout) -> None:
    @workflow
    async def stress() -> list[str]:
        pending = {asyncio.create_task(shout(5 * number + 1, f"r{number}")) for number in range(5)}
        finished = []
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            finished += [task.result() for task in done]
        return finished

    assert await env.run(stress) == ["R0", "R1", "R2", "R3", "R4"]
