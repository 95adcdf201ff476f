"""The end by force: no code of the workflow runs, not even for clean-up, and it always works."""

import asyncio

import pytest

from tests.support.scenarios import Env
from worldflow import RunCancelledError, RunEndedError, sleep, step, workflow


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


async def test_a_run_whose_code_is_broken(env: Env) -> None:
    broken: list[bool] = []

    @step
    async def other() -> None:
        pass

    @workflow
    async def changing() -> None:
        await (other() if broken else sleep("1h"))

    run = await env.start(changing)
    broken.append(True)
    await env.restart()
    await env.advance("2h")
    assert await run.status() == "blocked"
    await env.drive(run.terminate("cannot be mended"))

    assert await run.status() == "cancelled"


async def test_one_that_catches_its_cancellation(env: Env) -> None:
    @workflow
    async def stubborn() -> None:
        while True:
            try:
                await sleep("30d")
            except asyncio.CancelledError:
                continue

    run = await env.start(stubborn)
    await run.cancel()
    assert await run.status() == "running"
    await env.drive(run.terminate())

    assert await run.status() == "cancelled"
