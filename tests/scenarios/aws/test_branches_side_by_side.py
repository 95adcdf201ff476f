"""Branches of different kinds, and the same for each item: all at once, results in the order they were asked for."""

import asyncio

from tests.support.scenarios import Env
from worldflow import RetryableError, sleep, step, step_info, workflow


async def test_branches_with_results_of_different_types(env: Env) -> None:
    @step
    async def reserve() -> str:
        return "reserved"

    @step
    async def weigh() -> int:
        return 200

    @step
    async def price() -> dict[str, str]:
        return {"currency": "USD"}

    @workflow
    async def preparing() -> tuple[str, int, dict[str, str]]:
        reserved, grams, money = await asyncio.gather(reserve(), weigh(), price())
        return reserved, grams, money

    run = await env.start(preparing)

    assert await run.result() == ("reserved", 200, {"currency": "USD"})
    kinds = await run.kinds()
    assert kinds[:4] == ["RunStarted", *["StepScheduled"] * 3]  # all before the first is done


async def test_the_same_for_each_item_in_the_items_order(env: Env) -> None:
    @step
    async def square(number: int) -> int:
        if number == 1 and step_info().attempt == 1:
            raise RetryableError("later", retry_after="10s")
        return number * number

    @workflow
    async def squaring(numbers: list[int]) -> list[int]:
        return await asyncio.gather(*(square(number) for number in numbers))

    assert await env.run(squaring, [1, 2, 3, 4]) == [1, 4, 9, 16]


async def test_no_items(env: Env) -> None:
    @step
    async def square(number: int) -> int:
        return number * number

    @workflow
    async def squaring(numbers: list[int]) -> list[int]:
        return await asyncio.gather(*(square(number) for number in numbers))

    assert await env.run(squaring, []) == []


async def test_several_steps_for_each_item(env: Env) -> None:
    @step
    async def fetch(number: int) -> int:
        return number * 10

    @step
    async def store(number: int) -> str:
        return f"stored {number}"

    async def process(number: int) -> str:
        fetched = await fetch(number)
        await sleep(number)
        return await store(fetched)

    @workflow
    async def processing() -> list[str]:
        return await asyncio.gather(*(process(number) for number in (3, 1, 2)))

    assert await env.run(processing) == ["stored 30", "stored 10", "stored 20"]


async def test_branches_in_branches(env: Env) -> None:
    @step
    async def name(row: int, column: int) -> str:
        return f"{row}.{column}"

    async def fill(row: int) -> list[str]:
        return await asyncio.gather(*(name(row, column) for column in range(2)))

    @workflow
    async def filling() -> list[list[str]]:
        return await asyncio.gather(*(fill(row) for row in range(2)))

    assert await env.run(filling) == [["0.0", "0.1"], ["1.0", "1.1"]]


async def test_no_more_than_two_at_once(env: Env) -> None:
    @step
    async def work(number: int) -> int:
        return number

    @workflow
    async def working() -> list[int]:
        room = asyncio.Semaphore(2)

        async def limited(number: int) -> int:
            async with room:
                return await work(number)

        return await asyncio.gather(*(limited(number) for number in range(5)))

    run = await env.start(working)

    assert await run.result() == [0, 1, 2, 3, 4]
    under_way = most = 0
    for kind in await run.kinds():
        under_way += {"StepScheduled": 1, "StepCompleted": -1}.get(kind, 0)
        most = max(most, under_way)
    assert most == 2
