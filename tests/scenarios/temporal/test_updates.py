"""A request to a run that is answered: done once, validated, and as durable as all else."""

import asyncio

import pytest
from pydantic import BaseModel

from tests.support.scenarios import Env
from worldflow import (
    InvalidInputError,
    RunEndedError,
    continue_as_new,
    on_update,
    sleep,
    step,
    wait_for_signal,
    workflow,
)
from worldflow.runtime import updates


class Item(BaseModel):
    name: str
    count: int = 1


class Full(Exception):
    pass


async def test_its_answer(env: Env) -> None:
    @workflow
    async def shopping() -> list[str]:
        basket: list[str] = []

        @on_update("add_item")
        def add_item(item: Item) -> int:
            basket.extend([item.name] * item.count)
            return len(basket)

        await wait_for_signal("check_out")
        return basket

    run = await env.start(shopping)

    assert await env.drive(env.orchestrator.update(run.id, "add_item", Item(name="pen", count=2))) == 2
    assert await env.drive(env.orchestrator.update(run.id, "add_item", Item(name="cup"))) == 3
    await run.signal("check_out")
    assert await run.result() == ["pen", "pen", "cup"]


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


async def test_the_same_id_is_done_once(env: Env) -> None:
    @workflow
    async def counting() -> int:
        count = 0

        @on_update("increment")
        def increment() -> int:
            nonlocal count
            count += 1
            return count

        await wait_for_signal("end")
        return count

    run = await env.start(counting)
    answers = [await env.drive(env.orchestrator.update(run.id, "increment", update_id="one")) for _ in range(3)]
    answers.append(await env.drive(env.orchestrator.update(run.id, "increment", update_id="two")))
    await run.signal("end")

    assert answers == [1, 1, 1, 2]
    assert await run.result() == 2


async def test_arguments_that_do_not_fit_are_refused(env: Env) -> None:
    @workflow
    async def shopping() -> int:
        added = 0

        @on_update("add_item")
        def add_item(item: Item) -> None:
            nonlocal added
            added += item.count

        await wait_for_signal("check_out")
        return added

    run = await env.start(shopping)
    with pytest.raises(InvalidInputError):
        await env.drive(env.orchestrator.update(run.id, "add_item", {"name": "pen", "count": "many"}))
    await env.drive(env.orchestrator.update(run.id, "add_item", {"name": "pen", "count": 5}))
    await run.signal("check_out")

    assert await run.result() == 5


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


async def test_an_answer_that_takes_too_long(env: Env) -> None:
    @workflow
    async def slow() -> None:
        @on_update("think")
        async def think() -> str:
            await sleep("1h")
            return "42"

        await wait_for_signal("end")

    run = await env.start(slow)
    with pytest.raises(TimeoutError):
        await env.drive(env.orchestrator.update(run.id, "think", update_id="question", timeout=0.05))
    await env.advance("2h")

    assert await env.drive(env.orchestrator.update(run.id, "think", update_id="question")) == "42"


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


async def test_updates_reach_the_newest_generation(env: Env) -> None:
    @workflow
    async def counting(count: int) -> int:
        changed = asyncio.Event()

        @on_update("increment")
        def increment() -> int:
            nonlocal count
            count += 1
            changed.set()
            return count

        await changed.wait()
        if count < 3:
            continue_as_new(count)
        return count

    run = await env.start(counting, 0)

    assert [await env.drive(env.orchestrator.update(run.id, "increment")) for _ in range(3)] == [1, 2, 3]
    assert await run.result() == 3


async def test_a_run_that_has_ended(env: Env) -> None:
    @workflow
    async def ending() -> None:
        @on_update("greet")
        def greet() -> str:
            return "hello"

    run = await env.start(ending)

    with pytest.raises(RunEndedError):
        await env.drive(env.orchestrator.update(run.id, "greet"))
