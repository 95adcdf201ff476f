"""Cancelling the await of a child cancels the child; shielded, it goes on."""

import asyncio

from tests.support.scenarios import Env
from worldflow import step, wait_for_signal, workflow


async def test_the_child_cleans_up(env: Env) -> None:
    cleaned: list[bool] = []

    @step
    async def clean_up() -> None:
        cleaned.append(True)

    @workflow
    async def child() -> None:
        try:
            await wait_for_signal("never")
        finally:
            await clean_up()

    @workflow
    async def parent() -> str:
        task = asyncio.create_task(child())
        await wait_for_signal("enough")
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            await wait_for_signal("end")
        return "went on"

    run = await env.start(parent)
    await run.signal("enough")
    assert await env.handle(f"{run.id}~c1").status() == "cancelled"
    assert cleaned == [True]
    await run.signal("end")

    assert await run.result() == "went on"


async def test_a_shielded_child_goes_on(env: Env) -> None:
    @workflow
    async def child() -> str:
        return await wait_for_signal("finish", str)

    @workflow
    async def parent() -> str:
        task = asyncio.create_task(child())
        try:
            async with asyncio.timeout(60):
                return await asyncio.shield(task)
        except TimeoutError:
            return f"later: {await task}"

    run = await env.start(parent)
    await env.advance("2m")
    assert await env.handle(f"{run.id}~c1").status() == "running"
    await env.handle(f"{run.id}~c1").signal("finish", "done")

    assert await run.result() == "later: done"


async def test_with_its_parent(env: Env) -> None:
    @workflow
    async def child() -> None:
        await wait_for_signal("never")

    @workflow
    async def parent() -> None:
        await child()

    run = await env.start(parent)
    await run.cancel()

    assert await run.status() == "cancelled"
    assert await env.handle(f"{run.id}~c1").status() == "cancelled"
