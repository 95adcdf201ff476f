"""A run that is asked to end, or ended by force."""

import pytest

from tests.support.scenarios import Env
from worldflow import (
    RetryableError,
    RunCancelledError,
    RunEndedError,
    sleep,
    step,
    step_info,
    wait_for_signal,
    workflow,
)


@pytest.mark.parametrize("waits_for", ["sleep", "signal", "step"])
async def test_whatever_it_waits_for(env: Env, waits_for: str) -> None:
    @step
    async def never() -> None:
        raise RetryableError("not yet", retry_after="1d")

    @workflow
    async def waits() -> str:
        await {"sleep": lambda: sleep(30), "signal": lambda: wait_for_signal("x"), "step": never}[waits_for]()
        return "done"

    run = await env.start(waits)
    await run.cancel("no longer wanted")

    assert await run.status() == "cancelled"
    with pytest.raises(RunCancelledError):
        await run.result()
    with pytest.raises(RunEndedError):
        await run.cancel()
    with pytest.raises(RunEndedError):
        await run.signal("x")


async def test_a_retry_that_was_waiting_is_not_made(env: Env) -> None:
    attempts = []

    @step
    async def fails() -> None:
        attempts.append(step_info().attempt)
        raise RetryableError("again", retry_after="1h")

    @workflow
    async def retrying() -> None:
        await fails()

    run = await env.start(retrying)
    await run.cancel()
    await env.advance("3h")

    assert attempts == [1]
    assert await run.status() == "cancelled"


async def test_no_clean_up(env: Env) -> None:
    cleaned: list[bool] = []

    @step
    async def clean_up() -> None:
        cleaned.append(True)

    @workflow
    async def lasting() -> None:
        try:
            await sleep("30d")
        finally:
            await clean_up()

    run = await env.start(lasting)
    await env.drive(run.terminate("enough"))

    assert await run.status() == "cancelled"
    assert not cleaned
    with pytest.raises(RunCancelledError):
        await run.result()
    with pytest.raises(RunEndedError):
        await env.drive(run.terminate())
