"""A step that always fails: its attempts are counted, and its last error ends the run."""

from tests.support.scenarios import Env
from worldflow import RetryPolicy, step, step_info, workflow
from worldflow.engine.history import StepRetryScheduled


async def test_five_attempts(env: Env) -> None:
    attempts: list[int] = []

    @step(retry=RetryPolicy(max_attempts=5, initial_interval="1s", backoff=1.0, jitter=0))
    async def fail() -> None:
        attempts.append(step_info().attempt)
        raise RuntimeError(f"attempt {step_info().attempt} failed")

    @workflow
    async def failing() -> None:
        await fail()

    run = await env.start(failing)
    error = await run.failure()

    assert (type(error), str(error)) == (RuntimeError, "attempt 5 failed")
    assert attempts == [1, 2, 3, 4, 5]
    assert len(await run.found(StepRetryScheduled)) == 4
