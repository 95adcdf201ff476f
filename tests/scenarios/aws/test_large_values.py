"""Values of any size pass: arguments, results, and all that a run has gathered in the end."""

import asyncio

from tests.support.scenarios import Env
from worldflow import sleep, step, workflow


async def test_a_step_with_a_large_result(env: Env) -> None:
    @step
    async def read(size: int) -> str:
        return "x" * size

    @step
    async def measure(text: str) -> int:
        return len(text)

    @workflow
    async def reading() -> list[int]:
        text = await read(300_000)
        await sleep("1s")
        return [len(text), await measure(text)]

    assert await env.run(reading) == [300_000, 300_000]


async def test_a_large_result_of_the_run(env: Env) -> None:
    @step
    async def word() -> str:
        return "word "

    @workflow
    async def repeating() -> str:
        text = await word() * 100_000
        await sleep("1s")
        return text

    assert await env.run(repeating) == "word " * 100_000


async def test_many_branches_each_too_large_for_a_message(env: Env) -> None:
    @step
    async def page(number: int) -> str:
        return str(number) * 100_000

    @workflow
    async def binding() -> list[int]:
        pages = await asyncio.gather(*(page(number) for number in range(5)))
        await sleep("1s")
        return [len(set(text)) for text in pages]

    assert await env.run(binding) == [1] * 5


async def test_a_large_argument(env: Env) -> None:
    @workflow
    async def measuring(text: str) -> int:
        await sleep("1s")
        return len(text)

    assert await env.run(measuring, "y" * 300_000) == 300_000
