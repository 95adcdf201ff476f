"""gather: several steps at once, and their results in the order in which they were asked for."""

import asyncio

from tests.support.scenarios import Env
from worldflow import RetryableError, step, step_info, workflow


async def test_all_of_several(env: Env) -> None:
    @step
    async def shout(delay: int, letter: str) -> str:
        if delay and step_info().attempt == 1:
            raise RetryableError("later", retry_after=delay)
        return letter.upper()

    @workflow
    async def alphabet() -> str:
        return "".join(await asyncio.gather(shout(2, "a"), shout(0, "b"), shout(1, "c")))

    run = await env.start(alphabet)

    assert await run.result() == "ABC"
    kinds = await run.kinds()
    assert kinds[:4] == ["RunStarted", "StepScheduled", "StepScheduled", "StepScheduled"]
    assert kinds[-1] == "RunCompleted"


async def test_steps_begun_as_tasks_and_awaited_later(env: Env) -> None:
    @step
    async def double(number: int) -> int:
        return number * 2

    @workflow
    async def doubles() -> list[int]:
        first = asyncio.create_task(double(1))
        second = asyncio.create_task(double(2))
        third = await double(3)
        return [await second, await first, third]

    assert await env.run(doubles) == [4, 2, 6]


async def test_more_steps_than_a_batch_of_messages(env: Env) -> None:
    @step
    async def one(number: int) -> int:
        return number

    @workflow
    async def many() -> int:
        return sum(await asyncio.gather(*(one(number) for number in range(30))))

    assert await env.run(many) == 435
