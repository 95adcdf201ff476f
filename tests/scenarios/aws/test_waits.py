"""A wait lasts as long as it says, with nothing running, whatever happens to processes meanwhile."""

import asyncio

from tests.support.scenarios import Env
from worldflow import now, sleep, step, workflow


async def test_a_wait_between_two_steps(env: Env) -> None:
    @step
    async def note(text: str) -> str:
        return text

    @workflow
    async def reminding() -> list[str]:
        return [await note("before"), str(await sleep("1d")), await note("after")]

    run = await env.start(reminding)
    assert await run.steps() == ["note"]
    await env.advance("23h")
    await env.restart()
    assert await run.steps() == ["note"]
    await env.advance("2h")

    assert await run.status() == "completed"
    assert await run.result() == ["before", "None", "after"]


async def test_waits_one_after_another(env: Env) -> None:
    @workflow
    async def ticking() -> list[float]:
        began = now()
        ticks = []
        for duration in ("1s", "2m", "3h"):
            await sleep(duration)
            ticks.append((now() - began).total_seconds())
        return ticks

    ticks = await env.run(ticking)

    assert ticks[0] >= 1
    assert ticks[1] >= ticks[0] + 120
    assert ticks[2] >= ticks[1] + 3 * 3600
    assert ticks[2] < 3 * 3600 + 125


async def test_waits_side_by_side_last_as_long_as_the_longest(env: Env) -> None:
    @workflow
    async def waiting() -> float:
        began = now()
        await asyncio.gather(sleep("1h"), sleep("30m"), sleep("2h"))
        return (now() - began).total_seconds()

    assert 7200 <= await env.run(waiting) < 7205


async def test_a_wait_beside_a_step(env: Env) -> None:
    @step
    async def work() -> str:
        return "done"

    @workflow
    async def both() -> list[object]:
        return await asyncio.gather(work(), sleep("10s"))

    run = await env.start(both)
    assert "StepCompleted" in await run.kinds()
    assert await run.status() == "running"

    assert await run.result() == ["done", None]
