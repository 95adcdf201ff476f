"""Requests that a run answers: updates, which it handles once, and queries, which change nothing."""

import asyncio

import pytest

from tests.support.scenarios import Env
from worldflow import (
    on_update,
    publish,
    sleep,
    step,
    wait_for_signal,
    workflow,
)
from worldflow.runtime import updates


class Full(Exception):
    pass


async def test_a_handler_that_waits_and_runs_steps(env: Env) -> None:
    @step
    async def price(name: str) -> int:
        return len(name)

    @workflow
    async def shopping() -> int:
        total = 0

        @on_update("add_item")
        async def add_item(name: str) -> int:
            nonlocal total
            total += await price(name)
            return total

        await wait_for_signal("check_out")
        return total

    run = await env.start(shopping)

    assert await env.drive(env.orchestrator.update(run.id, "add_item", "pencil")) == 6
    await env.restart()
    assert await env.drive(env.orchestrator.update(run.id, "add_item", "cup")) == 9
    await run.signal("check_out")
    assert await run.result() == 9


async def test_what_the_handler_refuses(env: Env) -> None:
    @workflow
    async def shopping() -> list[str]:
        basket: list[str] = []

        @on_update("add_item")
        async def add_item(name: str) -> None:
            if basket:
                raise Full(f"no room for a {name}")
            basket.append(name)

        await wait_for_signal("check_out")
        return basket

    run = await env.start(shopping)
    await env.drive(env.orchestrator.update(run.id, "add_item", "pen"))
    with pytest.raises(Full, match="no room for a cup"):
        await env.drive(env.orchestrator.update(run.id, "add_item", "cup"))
    await env.restart()
    await run.signal("check_out")

    assert await run.result() == ["pen"]


async def test_one_that_comes_before_its_handler(env: Env) -> None:
    @workflow
    async def late() -> None:
        await sleep("1h")

        @on_update("greet")
        def greet(name: str) -> str:
            return f"Hello, {name}!"

        await wait_for_signal("end")

    run = await env.start(late)
    with pytest.raises(TimeoutError):
        await env.drive(env.orchestrator.update(run.id, "greet", "Ada", update_id="early", timeout=0.05))
    await env.advance("2h")

    assert await env.drive(env.orchestrator.update(run.id, "greet", "Ada", update_id="early")) == "Hello, Ada!"


async def test_a_step_updates_its_own_run(env: Env) -> None:
    @step
    async def update_self(run_id: str) -> None:
        # Without waiting for its answer, which may need this step's function.
        await asyncio.to_thread(updates.send_update, env.world, run_id, "note", ("from a step",))

    @workflow
    async def noting(run_id: str) -> list[str]:
        notes: list[str] = []
        noted = asyncio.Event()

        @on_update("note")
        def note(text: str) -> None:
            notes.append(text)
            noted.set()

        await update_self(run_id)
        await noted.wait()
        return notes

    assert await (await env.start_as("noting", noting, "noting")).result() == ["from a step"]


async def test_nothing_is_written_and_no_step_is_run(env: Env) -> None:
    ran: list[int] = []

    @step
    async def work() -> str:
        ran.append(1)
        return "done"

    @workflow
    async def working() -> None:
        publish("result", await work())
        await wait_for_signal("end")

    run = await env.start(working)
    before = await run.kinds()

    assert [await run.query("result") for _ in range(3)] == ["done"] * 3
    assert await run.kinds() == before
    assert ran == [1]


async def test_nobody_serves_the_queue(env: Env) -> None:
    """A query is answered in the caller's process: it needs no worker, and sees what has been committed."""

    @workflow
    async def working() -> None:
        publish("stage", "waiting")
        await wait_for_signal("end")

    run = await env.start(working)
    await env.orchestrator.signal(run.id, "end")  # which no worker takes

    assert await run.query("stage") == "waiting"
