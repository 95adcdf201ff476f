"""Durable sleeps: one, several at once, in a loop, and in the background."""

import asyncio
from datetime import datetime
from itertools import pairwise

from tests.support.scenarios import Env
from worldflow import now, sleep, step, workflow
from worldflow.engine.history import StepCompleted, TimerCancelled, TimerFired


async def test_a_sleep_takes_its_time(env: Env) -> None:
    @workflow
    async def sleeping(seconds: float) -> list[datetime]:
        started = now()
        await sleep(seconds)
        return [started, now()]

    run = await env.start(sleeping, 10)
    assert await run.status() == "running"
    await env.advance("9s")
    assert await run.status() == "running"
    started, ended = await run.result()

    assert (ended - started).total_seconds() >= 10
    (fired,) = await run.found(TimerFired)
    assert (fired.at - started).total_seconds() >= 10


async def test_sleeps_at_the_same_time(env: Env) -> None:
    @workflow
    async def ten_sleeps() -> float:
        started = now()
        await asyncio.gather(*(sleep("1m") for _ in range(10)))
        return (now() - started).total_seconds()

    assert 60 <= await env.run(ten_sleeps) < 120


async def test_a_sleep_of_weeks(env: Env) -> None:
    @workflow
    async def hibernates() -> float:
        started = now()
        await sleep("30d")
        return (now() - started).total_seconds()

    run = await env.start(hibernates)
    await env.restart()
    assert 30 * 86_400 <= await run.result() < 30 * 86_400 + 60


async def test_a_sleep_in_a_loop_is_slept_each_time(env: Env) -> None:
    @step
    async def tick(number: int) -> int:
        return number

    @workflow
    async def ticks() -> list[int]:
        seen = []
        for number in range(3):
            seen.append(await tick(number))
            if number < 2:
                await sleep("3s")
        return seen

    run = await env.start(ticks)

    assert await run.result() == [0, 1, 2]
    ticked = [event.at for event in await run.found(StepCompleted)]
    assert all((later - earlier).total_seconds() >= 3 for earlier, later in pairwise(ticked))


async def test_a_sleep_in_the_background_stops_no_step(env: Env) -> None:
    @step
    async def add(a: int, b: int) -> int:
        return a + b

    @workflow
    async def adds() -> list[object]:
        cancelled = False

        async def cancel_tomorrow() -> None:
            nonlocal cancelled
            await sleep("1d")
            cancelled = True

        tomorrow = asyncio.create_task(cancel_tomorrow())
        number = 0
        for more in (1, 2, 3):
            number = await add(number, more)
        return [number, cancelled, tomorrow.done()]

    began = env.now()
    run = await env.start(adds)

    assert await run.result() == [6, False, False]
    assert (env.now() - began).total_seconds() < 60


async def test_a_sleep_that_is_not_needed_any_more_is_cancelled(env: Env) -> None:
    @step
    async def answer() -> int:
        return 42

    @workflow
    async def impatient() -> int:
        timer = asyncio.create_task(sleep("1d"))
        value = await answer()
        timer.cancel()
        await sleep("1s")
        return value

    run = await env.start(impatient)

    assert await run.result() == 42
    assert [event.timer_id for event in await run.found(TimerCancelled)] == ["t1"]


async def test_a_timer_that_ends_after_its_run_does_nothing(env: Env) -> None:
    @workflow
    async def short() -> str:
        asyncio.create_task(sleep("1h"))  # noqa: RUF006
        await sleep("1s")
        return "done"

    run = await env.start(short)
    assert await run.result() == "done"
    seen = await run.kinds()
    await env.advance("2h")

    assert await run.kinds() == seen
