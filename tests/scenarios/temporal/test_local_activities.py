"""Steps in the orchestrator's own turn: no queue between, and the same promises."""

import asyncio

from tests.support.scenarios import Env
from worldflow import FatalError, RetryPolicy, now, sleep, step, step_info, workflow


async def test_one_after_another(env: Env) -> None:
    ran: list[int] = []

    @step(inline=True)
    async def double(number: int) -> int:
        ran.append(number)
        return 2 * number

    @workflow
    async def doubling() -> int:
        number = 1
        for _ in range(5):
            number = await double(number)
        await sleep("1s")
        return number

    run = await env.start(doubling)
    await env.restart()

    assert await run.result() == 32
    assert ran == [1, 2, 4, 8, 16]


async def test_side_by_side(env: Env) -> None:
    @step(inline=True)
    async def square(number: int) -> int:
        return number * number

    @workflow
    async def squaring() -> list[int]:
        return await asyncio.gather(*(square(number) for number in range(5)))

    assert await env.run(squaring) == [0, 1, 4, 9, 16]


async def test_tried_again_at_once_and_after_a_durable_wait(env: Env) -> None:
    attempts: list[int] = []

    @step(inline=True, retry=RetryPolicy(max_attempts=4, initial_interval="1h", max_interval="1h", jitter=0))
    async def flaky() -> int:
        attempts.append(step_info().attempt)
        if len(attempts) < 3:
            raise ConnectionError
        return len(attempts)

    @workflow
    async def persistent() -> float:
        began = now()
        await flaky()
        return (now() - began).total_seconds()

    assert 7200 <= await env.run(persistent) < 7205
    assert attempts == [1, 2, 3]


async def test_an_error_that_is_not_retried(env: Env) -> None:
    attempts: list[int] = []

    @step(inline=True)
    async def refuse() -> None:
        attempts.append(1)
        raise FatalError("never")

    @workflow
    async def asking() -> None:
        await refuse()

    assert isinstance(await (await env.start(asking)).failure(), FatalError)
    assert attempts == [1]


async def test_one_succeeds_and_one_fails(env: Env) -> None:
    @step(inline=True, retry=RetryPolicy(max_attempts=1))
    async def check(number: int) -> int:
        if number == 2:
            raise ValueError(number)
        return number

    @workflow
    async def checking() -> list[str]:
        outcomes = await asyncio.gather(check(1), check(2), return_exceptions=True)
        return [repr(outcome) for outcome in outcomes]

    assert await env.run(checking) == ["1", "ValueError(2)"]


async def test_all_steps_of_a_workflow(env: Env) -> None:
    @step
    async def add(a: int, b: int) -> int:
        return a + b

    @workflow(inline_steps=True)
    async def adding() -> int:
        return await add(await add(1, 2), 3)

    @workflow
    async def adding_by_queue() -> int:
        return await add.options(inline=True)(await add(1, 2), 3)

    assert await env.run(adding) == 6
    assert await env.run(adding_by_queue) == 6
