"""A step that raises is tried again as its policy says, and its workflow sees the success only."""

from tests.support.scenarios import Env
from worldflow import RetryableError, RetryPolicy, step, step_info, workflow
from worldflow.engine.history import StepRetryScheduled


async def test_the_third_attempt_succeeds(env: Env) -> None:
    @step(retry=RetryPolicy(max_attempts=3, initial_interval="5s", jitter=0))
    async def flaky() -> int:
        if (attempt := step_info().attempt) < 3:
            raise ConnectionError("try again")
        return attempt

    @workflow
    async def persistent() -> int:
        return await flaky()

    run = await env.start(persistent)
    await env.advance("14s")
    assert await run.status() == "running"
    await env.advance("2s")

    assert await run.status() == "completed"
    assert await run.result() == 3
    assert await run.steps() == ["flaky"]
    assert [retry.attempt for retry in await run.found(StepRetryScheduled)] == [2, 3]


async def test_the_error_chooses_the_interval(env: Env) -> None:
    @step(retry=RetryPolicy(initial_interval="1s"))
    async def limited() -> int:
        if step_info().attempt == 1:
            raise RetryableError("too many requests", retry_after="1h")
        return step_info().attempt

    @workflow
    async def patient() -> int:
        return await limited()

    run = await env.start(patient)
    await env.advance("59m")
    assert await run.status() == "running"
    await env.advance("2m")

    assert await run.status() == "completed"


async def test_each_step_has_its_own_attempts(env: Env) -> None:
    @step(retry=RetryPolicy(max_attempts=2))
    async def attempts() -> int:
        if step_info().attempt == 1:
            raise ConnectionError
        return step_info().attempt

    @workflow
    async def twice() -> list[int]:
        return [await attempts(), await attempts()]

    assert await env.run(twice) == [2, 2]
