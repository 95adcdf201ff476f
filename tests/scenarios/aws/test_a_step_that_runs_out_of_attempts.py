"""When the last attempt has failed, its exception is raised in the workflow, which may handle it."""

import pytest

from tests.support.scenarios import Env
from worldflow import FatalError, RetryPolicy, RunFailedError, step, workflow


class OutOfPaper(Exception):
    pass


async def test_the_run_fails_with_the_last_error(env: Env) -> None:
    ran: list[int] = []

    @step(retry=RetryPolicy(max_attempts=3, jitter=0))
    async def print_page() -> None:
        ran.append(len(ran) + 1)
        raise OutOfPaper(f"attempt {len(ran)}")

    @workflow
    async def printing() -> None:
        await print_page()

    run = await env.start(printing)
    error = await run.failure()

    assert (type(error), str(error)) == (OutOfPaper, "attempt 3")
    assert ran == [1, 2, 3]
    assert await run.status() == "failed"


async def test_the_workflow_goes_on_without_it(env: Env) -> None:
    @step(retry=RetryPolicy(max_attempts=2))
    async def print_page() -> str:
        raise OutOfPaper("empty")

    @step
    async def send_by_mail() -> str:
        return "mailed"

    @workflow
    async def delivering() -> str:
        try:
            return await print_page()
        except OutOfPaper as error:
            return f"{error}, {await send_by_mail()}"

    run = await env.start(delivering)

    assert await run.result() == "empty, mailed"
    assert await run.steps() == ["print_page", "send_by_mail"]


async def test_a_fatal_error_has_no_second_attempt(env: Env) -> None:
    ran: list[int] = []

    @step
    async def refuse() -> None:
        ran.append(1)
        raise FatalError("never")

    @workflow
    async def refusing() -> None:
        await refuse()

    run = await env.start(refusing)

    with pytest.raises(RunFailedError, match="never"):
        await run.result()
    assert ran == [1]


async def test_an_error_that_the_policy_does_not_retry(env: Env) -> None:
    ran: list[int] = []

    @step(retry=RetryPolicy(max_attempts=5, non_retryable=(OutOfPaper,)))
    async def print_page() -> None:
        ran.append(1)
        raise OutOfPaper("empty")

    @workflow
    async def printing() -> None:
        await print_page()

    run = await env.start(printing)

    assert isinstance(await run.failure(), OutOfPaper)
    assert ran == [1]
