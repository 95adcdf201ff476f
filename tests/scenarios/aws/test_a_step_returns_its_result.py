"""What a step returns is what its await gives: now, and on every replay."""

from tests.support.scenarios import Env
from worldflow import sleep, step, workflow


async def test_a_value(env: Env) -> None:
    @step
    async def greet(name: str) -> str:
        return f"Hello, {name}!"

    @workflow
    async def greeting(name: str) -> str:
        return await greet(name)

    assert await env.run(greeting, "Ada") == "Hello, Ada!"


async def test_nothing(env: Env) -> None:
    @step
    async def notify() -> None:
        pass

    @workflow
    async def notifying() -> list[object]:
        return [await notify()]

    assert await env.run(notifying) == [None]


async def test_a_plain_function(env: Env) -> None:
    @step
    def double(number: int) -> int:
        return 2 * number

    @workflow
    async def doubling(number: int) -> int:
        return await double(await double(number))

    assert await env.run(doubling, 3) == 12


async def test_it_runs_once_however_often_the_workflow_replays(env: Env) -> None:
    ran: list[int] = []

    @step
    async def note(number: int) -> int:
        ran.append(number)
        return number

    @workflow
    async def noting() -> list[int]:
        first = await note(1)
        await sleep("1m")
        second = await note(2)
        await sleep("1m")
        return [first, second]

    run = await env.start(noting)
    await env.restart()

    assert await run.result() == [1, 2]
    assert ran == [1, 2]
