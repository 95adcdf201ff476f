"""The tokens of a run are those of all its generations, also of one that failed."""

from __future__ import annotations

import pytest

from worldflow import RetryPolicy, RunFailedError, continue_as_new, record_usage, step, workflow
from worldflow.testing import WorkflowEnvironment

broken: list[str] = []


@step(retry=RetryPolicy(max_attempts=2, initial_interval=1))
async def generation_spends() -> None:
    record_usage("large", input_tokens=100, output_tokens=10)
    if broken:
        raise ValueError("broken")


@workflow
async def spends_and_retries() -> None:
    await generation_spends()


@workflow
async def spends_and_continues(left: int) -> None:
    await generation_spends()
    if left:
        continue_as_new(left - 1)


async def test_a_retry_adds_to_what_the_failed_attempts_have_spent(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "worldflow")
    async with WorkflowEnvironment() as env:
        broken[:] = ["broken"]
        run = await env.start(spends_and_retries)
        with pytest.raises(RunFailedError):
            await run.result()
        assert await run.usage() == [{"model": "large", "input_tokens": 200, "output_tokens": 20}]
        broken.clear()
        await run.retry()
        await run.result()
        assert await run.usage() == [{"model": "large", "input_tokens": 300, "output_tokens": 30}]
        assert (await run.record()).usage == [{"model": "large", "input_tokens": 100, "output_tokens": 10}]


async def test_generations_that_follow_each_other_add_up() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(spends_and_continues, 2)
        await run.result()
        assert await run.usage() == [{"model": "large", "input_tokens": 300, "output_tokens": 30}]
        assert await env.run(f"{run.id}~3").usage() == [{"model": "large", "input_tokens": 100, "output_tokens": 10}]


async def test_a_run_without_tokens_has_none() -> None:
    @workflow(name="spends_nothing")
    async def nothing() -> None:
        pass

    async with WorkflowEnvironment() as env:
        run = await env.start(nothing)
        await run.result()
        assert await run.usage() == []
        assert "usage" not in (await run.record()).describe()
