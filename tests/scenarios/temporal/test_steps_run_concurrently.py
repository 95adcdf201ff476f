"""Steps that are asked for at once are under way at once, and end in any order."""

import asyncio

from tests.support.scenarios import Env
from worldflow import RetryableError, step, step_info, workflow


async def test_all_are_scheduled_before_one_has_ended(env: Env) -> None:
    @step
    async def wait(seconds: int) -> int:
        if step_info().attempt == 1:
            raise RetryableError("not yet", retry_after=seconds)
        return seconds

    @workflow
    async def waiting() -> list[int]:
        return [await outcome for outcome in asyncio.as_completed([wait(30), wait(10), wait(20)])]

    run = await env.start(waiting)
    assert await run.steps() == ["wait"] * 3
    await env.advance("35s")

    assert await run.status() == "completed"
    assert await run.result() == [10, 20, 30]
