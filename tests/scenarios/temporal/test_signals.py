"""Messages from outside: each delivered once, in order, before the run ends or not at all."""

import asyncio

import pytest
from pydantic import BaseModel

from tests.support.scenarios import Env
from worldflow import RunEndedError, sleep, step, wait_for_signal, workflow


class Item(BaseModel):
    name: str


async def test_a_signal_ends_the_wait(env: Env) -> None:
    @workflow
    async def waiting() -> str:
        return (await wait_for_signal("my-signal", Item)).name

    run = await env.start(waiting)
    await env.restart()
    await run.signal("my-signal", Item(name="hello"))

    assert await run.result() == "hello"


async def test_signals_of_different_names(env: Env) -> None:
    @workflow
    async def waiting() -> list[str]:
        return await asyncio.gather(wait_for_signal("a", str), wait_for_signal("b", str))

    run = await env.start(waiting)
    await run.signal("b", "B")
    await run.signal("a", "A")

    assert await run.result() == ["A", "B"]


async def test_the_same_signal_id_counts_once(env: Env) -> None:
    @workflow
    async def collecting() -> list[int]:
        return [await wait_for_signal("number", int) for _ in range(2)]

    run = await env.start(collecting)
    for _ in range(3):
        await run.signal("number", 1, signal_id="first")
    assert await run.status() == "running"
    await run.signal("number", 2, signal_id="second")

    assert await run.result() == [1, 2]


async def test_signals_that_come_before_the_end_are_handled_before_it(env: Env) -> None:
    """A workflow that must not end with work to do takes what is there first."""

    @step
    async def handle(number: int) -> int:
        return number

    @workflow
    async def draining() -> list[int]:
        handled = []
        await sleep("1h")
        while True:
            try:
                async with asyncio.timeout(0.001):
                    number = await wait_for_signal("number", int)
            except TimeoutError:
                return handled
            handled.append(await handle(number))

    run = await env.start(draining)
    for number in range(5):
        await run.signal("number", number)

    assert await run.result() == [0, 1, 2, 3, 4]


async def test_a_run_that_has_ended_takes_none(env: Env) -> None:
    @workflow
    async def ending() -> None:
        pass

    run = await env.start(ending)

    with pytest.raises(RunEndedError):
        await run.signal("too-late")


async def test_a_step_signals_another_run(env: Env) -> None:
    @workflow
    async def listening() -> str:
        return await wait_for_signal("greeting", str)

    @step
    async def signal(run_id: str, text: str) -> None:
        await env.orchestrator.signal(run_id, "greeting", text)

    @workflow
    async def calling(run_id: str) -> None:
        await signal(run_id, "hello from the other")

    listener = await env.start(listening)
    await env.run(calling, listener.id)

    assert await listener.result() == "hello from the other"
