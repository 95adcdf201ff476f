"""A step that runs while its workflow stops wanting it is told so at its next heartbeat."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.scenarios import Env
from worldflow import RetryPolicy, RunCancelledError, step, step_info, wait_for_signal, workflow
from worldflow.engine.history import StepAbandoned
from worldflow.runtime import sending
from worldflow.turns.turns import Turns


@pytest.fixture
def elsewhere(env: Env) -> Callable[[Callable[[], Any]], None]:
    """What happens in another process while a step runs: a request, and the turn that it asks for."""

    def happens(request: Callable[[], Any]) -> None:
        request()
        received = env.system.receive("runs")
        messages: list[Any] = [one.message for one in received]
        Turns(env.world).take(messages[0].run_id, messages)
        env.system.acknowledge(received)

    return happens


async def test_its_run_is_cancelled(env: Env, elsewhere) -> None:
    seen = []

    @step(heartbeat_timeout="1m")
    async def long_step() -> None:
        step_info().heartbeat()
        await asyncio.to_thread(elsewhere, lambda: sending.cancel(env.world, step_info().run_id))
        try:
            step_info().heartbeat()
        except asyncio.CancelledError:
            seen.append("called off")
            raise

    @workflow
    async def waits() -> None:
        await long_step()

    run = await env.start(waits)

    assert seen == ["called off"]
    with pytest.raises(RunCancelledError):
        await run.result()
    assert [event.step_id for event in await run.found(StepAbandoned)] == ["s1"]


async def test_its_await_is_cancelled_and_the_workflow_goes_on(env: Env, elsewhere) -> None:
    seen = []

    @step(heartbeat_timeout="1m")
    async def long_step() -> str:
        def stop() -> None:
            sending.signal(env.world, step_info().run_id, "stop")

        await asyncio.to_thread(elsewhere, stop)
        try:
            step_info().heartbeat()
        except asyncio.CancelledError:
            seen.append("called off")
            raise
        return "not called off"

    @step
    async def release() -> str:
        return "released"

    @workflow
    async def stoppable() -> list[str]:
        working = asyncio.create_task(long_step())
        await wait_for_signal("stop")
        working.cancel()
        outcome = await asyncio.gather(working, return_exceptions=True)
        return [type(outcome[0]).__name__, await release()]

    run = await env.start(stoppable)

    assert await run.result() == ["CancelledError", "released"]
    assert seen == ["called off"]
    await env.advance("10m")
    assert (await run.kinds())[-1] == "RunCompleted"


async def test_a_plain_function_is_told_too(env: Env, elsewhere) -> None:
    seen = []

    @step(heartbeat_timeout="1m")
    def long_step() -> None:
        elsewhere(lambda: sending.cancel(env.world, step_info().run_id))
        try:
            step_info().heartbeat()
        except asyncio.CancelledError:
            seen.append("called off")
            raise

    @workflow
    async def waits() -> None:
        await long_step()

    run = await env.start(waits)

    assert seen == ["called off"]
    assert await run.status() == "cancelled"


async def test_a_step_that_is_wanted_is_left_alone(env: Env) -> None:
    details = []

    @step(retry=RetryPolicy(max_attempts=3, initial_interval="1s"), heartbeat_timeout="1m")
    async def counts() -> int:
        details.append(step_info().heartbeat_details)
        for number in range(5):
            step_info().heartbeat({"at": number})
            if number == 3 and step_info().attempt == 1:
                raise ConnectionError
        return step_info().attempt

    @workflow
    async def waits() -> int:
        return await counts()

    assert await env.run(waits) == 2
    assert details == [None, {"at": 3}]
