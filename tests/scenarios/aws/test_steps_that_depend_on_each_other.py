"""A graph of steps: each begins as soon as those it needs are done, and no sooner."""

import asyncio

from tests.support.scenarios import Env
from worldflow import RetryableError, RetryPolicy, step, step_info, workflow


async def test_a_diamond(env: Env) -> None:
    @step
    async def fetch() -> int:
        return 10

    @step
    async def increment(number: int) -> int:
        return number + 1

    @step
    async def double(number: int) -> int:
        return number * 2

    @step
    async def merge(left: int, right: int) -> int:
        return left + right

    @workflow
    async def diamond() -> int:
        root = await fetch()
        return await merge(*await asyncio.gather(increment(root), double(root)))

    run = await env.start(diamond)

    assert await run.result() == 31
    assert await run.steps() == ["fetch", "increment", "double", "merge"]


async def test_a_step_begins_when_its_own_inputs_are_there(env: Env) -> None:
    @step
    async def source(name: str, seconds: int) -> str:
        if seconds and step_info().attempt == 1:
            raise RetryableError("later", retry_after=seconds)
        return name

    @step
    async def join(left: str, right: str) -> str:
        return f"({left} {right})"

    @workflow
    async def graph() -> str:
        a, b, c = (asyncio.create_task(source(name, n)) for name, n in (("a", 0), ("b", 10), ("c", 60)))

        async def joined(left: asyncio.Task[str], right: asyncio.Task[str]) -> str:
            return await join(await left, await right)

        ab, bc = asyncio.create_task(joined(a, b)), asyncio.create_task(joined(b, c))
        return await joined(ab, bc)

    run = await env.start(graph)
    await env.advance("30s")
    assert await run.steps() == ["source", "source", "source", "join"]

    assert await run.result() == "((a b) (b c))"


async def test_what_depends_on_a_failure_is_not_run(env: Env) -> None:
    @step(retry=RetryPolicy(max_attempts=1))
    async def broken() -> int:
        raise ValueError("broken")

    @step
    async def sound() -> int:
        return 1

    @step
    async def use(number: int) -> int:
        return number

    async def chain(first: object) -> int:
        return await use(await first)  # type: ignore[misc]

    @workflow
    async def graph() -> list[str]:
        done = await asyncio.gather(chain(broken()), chain(sound()), return_exceptions=True)
        return [repr(outcome) for outcome in done]

    run = await env.start(graph)

    assert await run.result() == ["ValueError('broken')", "1"]
    assert await run.steps() == ["broken", "sound", "use"]
