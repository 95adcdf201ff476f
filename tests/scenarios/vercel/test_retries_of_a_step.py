"""Which errors are tried again, how often, and when."""

import pytest

from tests.support.scenarios import Env
from worldflow import FatalError, RetryableError, RetryPolicy, now, step, step_info, workflow
from worldflow.engine.history import StepFailed, StepRetryScheduled


async def test_an_error_is_tried_again_until_it_goes_well(env: Env) -> None:
    @step
    async def third_time_lucky() -> int:
        if step_info().attempt < 3:
            raise RuntimeError(f"failed on attempt {step_info().attempt}")
        return step_info().attempt

    @workflow
    async def lucky() -> int:
        return await third_time_lucky()

    run = await env.start(lucky)

    assert await run.result() == 3
    assert [event.error.message for event in await run.found(StepFailed)] == [
        "failed on attempt 1",
        "failed on attempt 2",
    ]


async def test_a_fatal_error_is_not_tried_again(env: Env) -> None:
    @step
    async def fatal() -> None:
        raise FatalError("fatal step error")

    @workflow
    async def doomed() -> None:
        await fatal()

    run = await env.start(doomed)
    failure = await run.failure()

    assert type(failure) is FatalError
    assert str(failure) == "fatal step error"
    assert not await run.found(StepRetryScheduled)
    assert await run.status() == "failed"


async def test_a_fatal_error_can_be_caught(env: Env) -> None:
    @step
    async def fatal() -> None:
        raise FatalError("fatal step error")

    @workflow
    async def careful() -> str:
        try:
            await fatal()
        except FatalError as error:
            return f"caught: {error}"
        return "not caught"

    assert await env.run(careful) == "caught: fatal step error"


@pytest.mark.parametrize("delay", [10, 3_600])
async def test_an_error_that_says_when(env: Env, delay: int) -> None:
    @step
    async def busy() -> int:
        if step_info().attempt == 1:
            raise RetryableError("busy", retry_after=f"{delay}s")
        return step_info().attempt

    @workflow
    async def patient() -> list[float]:
        started = now()
        return [await busy(), (now() - started).total_seconds()]

    attempt, waited = await env.run(patient)

    assert attempt == 2
    assert delay <= waited < delay + 5


async def test_one_attempt_and_no_more(env: Env) -> None:
    @step(retry=RetryPolicy(max_attempts=1))
    async def once(fails: bool) -> int:
        if fails:
            raise RuntimeError(f"failed on attempt {step_info().attempt}")
        return step_info().attempt

    @workflow
    async def no_retries() -> list[object]:
        succeeded = await once(False)
        try:
            await once(True)
        except RuntimeError as error:
            return [succeeded, str(error)]
        raise AssertionError

    assert await env.run(no_retries) == [1, "failed on attempt 1"]


async def test_all_attempts_fail(env: Env) -> None:
    @step(retry=RetryPolicy(max_attempts=3, initial_interval="5s"))
    async def hopeless() -> None:
        raise ConnectionError(f"attempt {step_info().attempt}")

    @workflow
    async def tries() -> None:
        await hopeless()

    run = await env.start(tries)
    failure = await run.failure()

    assert (type(failure), str(failure)) == (ConnectionError, "attempt 3")
    assert [event.attempt for event in await run.found(StepFailed)] == [1, 2, 3]


async def test_a_retry_survives_the_process(env: Env) -> None:
    @step
    async def busy() -> int:
        if step_info().attempt < 3:
            raise RetryableError("busy", retry_after="1h")
        return step_info().attempt

    @workflow
    async def restarted() -> int:
        return await busy()

    run = await env.start(restarted)
    while await run.status() == "running":
        await env.restart()
        await env.skip()

    assert await run.result() == 3
