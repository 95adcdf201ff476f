"""A long step says that it lives, and how far it is; the next attempt goes on from there."""

import asyncio
from datetime import timedelta
from typing import Any

from tests.support.scenarios import Env
from worldflow import RetryPolicy, StepTimeoutError, step, step_info, wait_for_signal, workflow
from worldflow.engine.history import SignalReceived
from worldflow.turns.turns import Turns
from worldflow.worlds import ledger
from worldflow.worlds.messages import FactArrived, StepTask


async def test_the_next_attempt_finds_how_far_it_was(env: Env) -> None:
    seen: list[Any] = []

    @step(heartbeat_timeout="1m", retry=RetryPolicy(max_attempts=3))
    async def copy_rows() -> int:
        start = step_info().heartbeat_details or 0
        seen.append(step_info().heartbeat_details)
        for row in range(start, 10):
            step_info().heartbeat(row)
            if row == start + 4:
                raise ConnectionError(f"lost at {row}")
        return step_info().attempt

    @workflow
    async def copying() -> int:
        return await copy_rows()

    assert await env.run(copying) == 3
    assert seen == [None, 4, 8]


async def test_silence_is_a_timeout(env: Env) -> None:
    @step(heartbeat_timeout="1m", retry=RetryPolicy(max_attempts=1))
    async def silent() -> None:
        pass

    @workflow
    async def listening() -> None:
        await silent()

    await env.orchestrator.start_workflow("listening", listening)
    await lose_its_step(env, "listening")
    run = env.handle("listening")
    await env.advance("59s")
    assert await run.status() == "running"
    await env.advance("2s")

    assert await run.status() == "failed"
    assert isinstance(await run.failure(), StepTimeoutError)


async def test_it_may_take_as_long_as_it_beats(env: Env) -> None:
    @step(heartbeat_timeout="1m", retry=RetryPolicy(max_attempts=1))
    async def long() -> int:
        for row in range(5):
            env.system.clock.forward(env.now() + timedelta(seconds=40))
            step_info().heartbeat(row)
            await asyncio.sleep(0.01)
        return step_info().attempt

    @workflow
    async def waiting() -> int:
        return await long()

    assert await env.run(waiting) == 1


async def test_a_step_that_beats_hears_that_nobody_waits_for_it(env: Env) -> None:
    heard: list[bool] = []

    @step(heartbeat_timeout="5m", retry=RetryPolicy(max_attempts=1))
    async def beat() -> None:
        step_info().heartbeat()
        signal = FactArrived(run_id=step_info().run_id, fact=SignalReceived(signal_id="1", name="enough", value=None))
        await asyncio.to_thread(Turns(env.world).take, step_info().run_id, [signal])
        try:
            for _ in range(200):
                step_info().heartbeat()
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            heard.append(True)
            raise

    @workflow
    async def cancelling() -> str:
        task = asyncio.create_task(beat())
        await wait_for_signal("enough")
        task.cancel()
        await asyncio.wait([task])
        await wait_for_signal("end")
        return "went on"

    run = await env.start(cancelling)
    await run.signal("end")

    assert await run.result() == "went on"
    assert heard == [True]


async def test_a_beat_outside_a_workflow_goes_nowhere(env: Env) -> None:
    @step(heartbeat_timeout="1m")
    def plain() -> str:
        step_info().heartbeat({"row": 1})
        return "plain functions beat too"

    @workflow
    async def beating() -> str:
        return await plain()

    assert await env.run(beating) == "plain functions beat too"


async def lose_its_step(env: Env, run_id: str) -> None:
    """Takes the run's first turn, and begins its step, of which nobody hears again."""
    start = env.system.receive("runs")
    await asyncio.to_thread(Turns(env.world).take, run_id, [one.message for one in start])
    tasks = env.system.receive("steps")
    (task,) = (one.message for one in tasks)
    assert isinstance(task, StepTask)
    await asyncio.to_thread(ledger.begin, env.world, run_id, task.step_id, task.attempt)
    env.system.acknowledge([*start, *tasks])
