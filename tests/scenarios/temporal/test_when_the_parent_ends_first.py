"""What becomes of a child whose parent has ended: cancelled, stopped, or left alone."""

import asyncio
from typing import Any

import pytest

from tests.support.scenarios import Env
from worldflow import sleep, step, wait_for_signal, workflow


@pytest.mark.parametrize(
    ("policy", "status", "cleaned_up"),
    [("cancel", "cancelled", True), ("terminate", "cancelled", False), ("abandon", "running", False)],
)
async def test_a_policy(env: Env, policy: Any, status: str, cleaned_up: bool) -> None:
    cleaned: list[bool] = []

    @step
    async def clean_up() -> None:
        cleaned.append(True)

    @workflow
    async def child() -> str:
        try:
            return await wait_for_signal("finish", str)
        except asyncio.CancelledError:
            await clean_up()
            raise

    @workflow
    async def parent() -> str:
        task = asyncio.create_task(child.options(parent_close=policy)())
        await sleep("1m")
        return str(task.done())

    run = await env.start(parent)
    await env.advance("2m")

    assert await run.result() == "False"
    handle = env.handle(f"{run.id}~c1")
    assert await handle.status() == status
    assert bool(cleaned) is cleaned_up
    if status == "running":
        await handle.signal("finish", "alone")
        assert await handle.result() == "alone"


async def test_the_default_is_to_cancel(env: Env) -> None:
    @workflow
    async def child() -> None:
        await wait_for_signal("never")

    @workflow
    async def parent() -> None:
        task = asyncio.create_task(child())
        await sleep("1m")
        assert not task.done()
        raise LookupError("the parent failed")

    run = await env.start(parent)

    assert isinstance(await run.failure(), LookupError)
    await env.settle()
    assert await env.handle(f"{run.id}~c1").status() == "cancelled"


async def test_a_parent_that_is_terminated(env: Env) -> None:
    @workflow
    async def child() -> None:
        await wait_for_signal("never")

    @workflow
    async def parent() -> None:
        await child()

    run = await env.start(parent)
    await env.drive(env.orchestrator.terminate(run.id, "enough"))

    assert await run.status() == "cancelled"
    assert await env.handle(f"{run.id}~c1").status() == "cancelled"


async def test_one_that_was_started_to_be_left_alone(env: Env) -> None:
    @workflow
    async def child(text: str) -> str:
        await sleep("1h")
        return text

    @workflow
    async def parent() -> str:
        return child.start_detached("alone")

    child_id = await env.run(parent)
    assert await env.handle(child_id).status() == "running"

    assert await env.handle(child_id).result() == "alone"
