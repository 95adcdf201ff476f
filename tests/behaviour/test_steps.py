"""Steps: functions as others, whose attempts survive the processes that make them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.scenarios import Env
from worldflow import (
    OutsideError,
    RetryPolicy,
    StepInfo,
    StepInterruptedError,
    step,
    step_info,
    wait_for_signal,
    workflow,
    workflow_info,
)
from worldflow.runtime import sending
from worldflow.turns.turns import Turns
from worldflow.worlds import LocalWorld, World, ledger
from worldflow.worlds.messages import StepOutcome


async def test_a_step_within_a_step_is_the_function(env: Env) -> None:
    @step
    async def double(number: int) -> int:
        return number * 2

    @step
    async def twice(number: int) -> int:
        return await double(await double(number))

    @workflow
    async def nested(number: int) -> int:
        return await twice(number)

    run = await env.start(nested, 10)

    assert await run.result() == 40
    assert await run.steps() == ["twice"]


class MathService:
    @staticmethod
    @step(name="MathService.add")
    async def add(a: int, b: int) -> int:
        return a + b

    @staticmethod
    @step(name="MathService.multiply")
    async def multiply(a: int, b: int) -> int:
        return a * b


class Calculator:
    @staticmethod
    @workflow(name="Calculator.calculate")
    async def calculate(x: int, y: int) -> int:
        return await MathService.multiply(await MathService.add(x, y), 2)


async def test_static_methods(env: Env) -> None:
    run = await env.start(Calculator.calculate, 5, 3)

    assert await run.result() == 16
    assert await run.steps() == ["MathService.add", "MathService.multiply"]


async def helper() -> StepInfo:
    return step_info()


async def test_a_step_knows_its_attempt(env: Env) -> None:
    @step
    async def introspective_step() -> tuple[str, str, int, str]:
        info = await helper()
        if info.attempt < 3:
            raise ConnectionError
        return info.run_id, info.step_id, info.attempt, info.idempotency_key

    @workflow
    async def asks_twice() -> list[tuple[str, str, int, str]]:
        return [await introspective_step(), await introspective_step()]

    run = await env.start(asks_twice)
    first, second = await run.result()

    assert first[:3] == (run.id, "s1", 3)
    assert second[:3] == (run.id, "s2", 3)
    assert first[3] != second[3]


async def test_each_knows_only_of_itself(env: Env) -> None:
    @step
    async def asks_for_the_workflow() -> None:
        workflow_info()

    @workflow
    async def asks_for_the_step() -> str:
        with pytest.raises(OutsideError):
            step_info()
        try:
            await asks_for_the_workflow()
        except OutsideError as error:
            return str(error)
        return "known"

    assert "workflow_info()" in await env.run(asks_for_the_step)


async def test_the_step_runs_again_with_the_same_key(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[str] = []

    @step
    async def charge() -> str:
        keys.append(step_info().idempotency_key)
        return "paid"

    @workflow
    async def paying() -> str:
        return await charge()

    die_once_before_the_outcome(env, monkeypatch)
    run = await env.start(paying)

    assert await run.result() == "paid"
    assert len(keys) == 2
    assert len(set(keys)) == 1


def die_once_before_the_outcome(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    put_outcome = ledger.put_outcome
    # A worker whose outcomes cannot be recorded together records them one by one, and so tries twice.
    deaths = iter([True] * (2 if isinstance(env.world, LocalWorld) else 1))

    def die(world: World, outcome: StepOutcome) -> StepOutcome:
        if next(deaths, False):
            raise RuntimeError("the function died")
        return put_outcome(world, outcome)

    monkeypatch.setattr(ledger, "put_outcome", die)


async def test_the_workflow_can_find_out_what_happened(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    booked: list[str] = []

    @step(guarantee="at_most_once")
    async def pay() -> str:
        booked.append("payment 1")
        return booked[-1]

    @step
    async def look_up() -> str | None:
        return booked[-1] if booked else None

    @workflow
    async def paying() -> str | None:
        try:
            return await pay()
        except StepInterruptedError:
            return await look_up()

    die_once_before_the_outcome(env, monkeypatch)

    assert await env.run(paying) == "payment 1"
    assert booked == ["payment 1"]


async def test_a_function_that_died_is_noticed(env: Env) -> None:
    """Its outcome never comes: the orchestrator's own timer ends the attempt, and another is made."""

    @step(timeout="5m", retry=RetryPolicy(max_attempts=2))
    async def work() -> int:
        return step_info().attempt

    @workflow
    async def working() -> int:
        return await work()

    await env.orchestrator.start_workflow("lost", working)
    await lose_its_step(env, "lost")
    run = env.handle("lost")
    await env.advance("299s")
    assert await run.status() == "running"
    await env.advance("1m")

    assert await run.status() == "completed"
    assert await run.result() == 2


async def lose_its_step(env: Env, run_id: str) -> None:
    """Takes the run's first turn, and the task of its step, of which nobody hears again."""
    start = env.system.receive("runs")
    await asyncio.to_thread(Turns(env.world).take, run_id, [one.message for one in start])
    tasks = env.system.receive("steps")
    assert len(tasks) == 1
    env.system.acknowledge([*start, *tasks])


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
