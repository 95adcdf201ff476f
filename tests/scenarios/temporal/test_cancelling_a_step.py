"""A step whose await is cancelled: the workflow goes on at once, or waits for the step's end, as it likes."""

import asyncio

from tests.support.scenarios import Env
from worldflow import RetryableError, step, step_info, wait_for_signal, workflow


@step(name="slow_to_cancel")
async def slow(seconds: int) -> str:
    if step_info().attempt == 1:
        raise RetryableError("not yet", retry_after=seconds)
    ran.append(seconds)
    return f"after {seconds} s"


ran: list[int] = []


async def test_abandoned(env: Env) -> None:
    @workflow
    async def abandoning() -> str:
        task = asyncio.create_task(slow(60))
        await wait_for_signal("enough")
        task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            return "cancelled"

    run = await env.start(abandoning)
    await run.signal("enough")

    assert await run.status() == "completed"
    assert await run.result() == "cancelled"


async def test_its_end_is_waited_for(env: Env) -> None:
    @workflow
    async def waiting() -> list[str]:
        task = asyncio.create_task(slow(60))
        shielded = asyncio.create_task(_wait_shielded(task))
        await wait_for_signal("enough")
        shielded.cancel()
        try:
            await shielded
        except asyncio.CancelledError:
            return ["cancelled", await task]
        return []

    run = await env.start(waiting)
    await run.signal("enough")
    assert await run.status() == "running"

    assert await run.result() == ["cancelled", "after 60 s"]


async def _wait_shielded(task: "asyncio.Task[str]") -> str:
    return await asyncio.shield(task)


async def test_a_retry_that_is_abandoned_is_not_made(env: Env) -> None:
    @workflow
    async def abandoning() -> None:
        task = asyncio.create_task(slow(61))
        await wait_for_signal("enough")
        task.cancel()
        await asyncio.wait([task])
        await wait_for_signal("end")

    run = await env.start(abandoning)
    await run.signal("enough")
    assert "StepAbandoned" in await run.kinds()
    await env.advance("5m")
    await run.signal("end")

    assert await run.status() == "completed"
    assert 61 not in ran


async def test_by_cancelling_the_run(env: Env) -> None:
    @step
    async def clean_up() -> None:
        cleaned.append(True)

    @workflow
    async def tidy() -> None:
        try:
            await slow(60)
        finally:
            await clean_up()

    cleaned: list[bool] = []
    run = await env.start(tidy)
    await run.cancel("not needed")

    assert await run.status() == "cancelled"
    assert cleaned == [True]
