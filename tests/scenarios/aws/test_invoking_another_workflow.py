"""A workflow calls another like a function, and gets its result or its exception."""

import asyncio

from tests.support.scenarios import Env
from worldflow import RetryPolicy, sleep, step, workflow


class Unknown(Exception):
    pass


async def test_its_result_is_used_by_a_step(env: Env) -> None:
    @step
    async def store(number: int) -> str:
        return f"stored {number}"

    @workflow
    async def doubling(number: int) -> int:
        await sleep("1h")
        return 2 * number

    @workflow
    async def calling() -> str:
        return await store(await doubling(21))

    run = await env.start(calling)
    await env.restart()

    assert await run.result() == "stored 42"
    assert await env.handle(f"{run.id}~c1").result() == 42


async def test_its_exception_is_raised_as_what_it_was(env: Env) -> None:
    @step(retry=RetryPolicy(max_attempts=1))
    async def find(name: str) -> None:
        raise Unknown(name)

    @workflow
    async def finding(name: str) -> None:
        await find(name)

    @workflow
    async def calling() -> str:
        try:
            await finding("Ada")
        except Unknown as error:
            return f"no {error}"
        return "found"

    run = await env.start(calling)

    assert await run.result() == "no Ada"
    assert await env.handle(f"{run.id}~c1").status() == "failed"


async def test_an_exception_that_nobody_handles_ends_both(env: Env) -> None:
    @workflow
    async def failing() -> None:
        raise Unknown("everything")

    @workflow
    async def calling() -> None:
        await failing()

    error = await (await env.start(calling)).failure()

    assert isinstance(error, Unknown)


async def test_several_at_once(env: Env) -> None:
    @workflow
    async def squaring(number: int) -> int:
        await sleep(10 - number)
        return number * number

    @workflow
    async def calling() -> list[int]:
        return await asyncio.gather(*(squaring(number) for number in range(4)))

    assert await env.run(calling) == [0, 1, 4, 9]


async def test_one_that_calls_another_in_turn(env: Env) -> None:
    @workflow
    async def counting_down(number: int) -> list[int]:
        return [number, *(await counting_down(number - 1) if number else [])]

    assert await env.run(counting_down, 3) == [3, 2, 1, 0]
