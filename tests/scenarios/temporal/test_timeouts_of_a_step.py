"""Time limits of a step: for each attempt, for all of them, and between two signs of life."""

import asyncio

from tests.support.scenarios import Env
from worldflow import RetryPolicy, StepError, StepTimeoutError, step, step_info, workflow
from worldflow.turns.turns import Turns


async def test_the_last_attempt_that_takes_too_long(env: Env) -> None:
    @step(timeout=0.05, retry=RetryPolicy(max_attempts=1))
    async def hang() -> None:
        await asyncio.sleep(600)

    @workflow
    async def hanging() -> None:
        await hang()

    error = await (await env.start(hanging)).failure()

    assert isinstance(error, StepTimeoutError)
    assert isinstance(error, StepError)
    assert isinstance(error, TimeoutError)


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


async def test_no_attempt_begins_after_the_total_time(env: Env) -> None:
    attempts: list[int] = []

    @step(retry=RetryPolicy(max_attempts=100, initial_interval="10s", backoff=1.0, jitter=0, total_time="35s"))
    async def fail() -> None:
        attempts.append(step_info().attempt)
        raise ConnectionError("still not")

    @workflow
    async def failing() -> None:
        await fail()

    run = await env.start(failing)

    assert isinstance(await run.failure(), ConnectionError)
    assert attempts == [1, 2, 3, 4]


async def test_the_limit_of_one_call(env: Env) -> None:
    @step(retry=RetryPolicy(max_attempts=1))
    async def hang(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "in time"

    @workflow
    async def hanging() -> list[str]:
        try:
            await hang.options(timeout=0.05)(600)
        except StepTimeoutError:
            return ["too late", await hang(0)]
        return []

    assert await env.run(hanging) == ["too late", "in time"]


async def test_an_error_that_a_predicate_does_not_retry(env: Env) -> None:
    attempts: list[int] = []

    @step(retry=RetryPolicy(max_attempts=5, retry_if=lambda error: "busy" in str(error)))
    async def ask() -> None:
        attempts.append(step_info().attempt)
        raise ConnectionError("busy" if len(attempts) < 3 else "gone")

    @workflow
    async def asking() -> None:
        await ask()

    error = await (await env.start(asking)).failure()

    assert str(error) == "gone"
    assert attempts == [1, 2, 3]


async def lose_its_step(env: Env, run_id: str) -> None:
    """Takes the run's first turn, and the task of its step, of which nobody hears again."""
    start = env.system.receive("runs")
    await asyncio.to_thread(Turns(env.world).take, run_id, [one.message for one in start])
    tasks = env.system.receive("steps")
    assert len(tasks) == 1
    env.system.acknowledge([*start, *tasks])
