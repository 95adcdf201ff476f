"""What others run in a child context is a coroutine here: any function, nested as deep as one likes."""

import asyncio

from tests.support.scenarios import Env
from worldflow import RetryPolicy, sleep, step, workflow


class Refused(Exception):
    pass


async def test_its_result(env: Env) -> None:
    @step
    async def add(a: int, b: int) -> int:
        return a + b

    async def sums(a: int, b: int) -> int:
        return await add(await add(a, b), b)

    @workflow
    async def adding() -> int:
        return await sums(1, 2) + await sums(3, 4)

    run = await env.start(adding)

    assert await run.result() == 16
    assert await run.steps() == ["add"] * 4


async def test_its_failure_is_the_callers(env: Env) -> None:
    @step(retry=RetryPolicy(max_attempts=1))
    async def refuse() -> None:
        raise Refused("no")

    async def inner() -> None:
        await refuse()

    async def outer() -> str:
        try:
            await inner()
        except Refused as error:
            return f"refused: {error}"
        return "accepted"

    @workflow
    async def asking() -> str:
        return await outer()

    assert await env.run(asking) == "refused: no"


async def test_three_deep_with_waits(env: Env) -> None:
    @step
    async def note(text: str) -> str:
        return text

    async def third() -> list[str]:
        await sleep("1s")
        return [await note("third")]

    async def second() -> list[str]:
        return [await note("second"), *await third()]

    async def first() -> list[str]:
        notes = [await note("first"), *await second()]
        await sleep("1s")
        return notes

    @workflow
    async def nesting() -> list[str]:
        return await first()

    assert await env.run(nesting) == ["first", "second", "third"]


async def test_side_by_side_with_steps_and_waits_in_each(env: Env) -> None:
    @step
    async def note(text: str) -> str:
        return text

    async def group(name: str, seconds: int) -> list[str]:
        before = await note(f"{name} before")
        await sleep(seconds)
        return [before, await note(f"{name} after")]

    @workflow
    async def grouping() -> list[list[str]]:
        return await asyncio.gather(group("slow", 20), group("fast", 10))

    run = await env.start(grouping)

    assert await run.result() == [["slow before", "slow after"], ["fast before", "fast after"]]
    inputs = [event.payload["input"]["text"] for event in await run.events() if event.event_type == "StepScheduled"]
    assert inputs == ["slow before", "fast before", "fast after", "slow after"]
