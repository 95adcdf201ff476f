"""A set of futures is in the same order on each replay, also after steps for whose results a replay does not wait."""

from __future__ import annotations

import asyncio

import pytest

from worldflow import sleep, step, workflow
from worldflow.engine.workflow.execution import Execution
from worldflow.testing import WorkflowEnvironment


@step
async def pass_by(number: int) -> int:
    return number


@workflow
async def walk_a_set_after_steps(count: int) -> list[str]:
    for number in range(count):
        await pass_by(number)
    cancelled: list[str] = []

    async def nap(name: str) -> None:
        try:
            await sleep("1h")
        except asyncio.CancelledError:
            cancelled.append(name)
            raise

    gathers = {asyncio.gather(nap(name), return_exceptions=False) for name in "abc"}
    await sleep("1s")
    for gathering in gathers:
        gathering.cancel()
    await asyncio.gather(*gathers, return_exceptions=True)
    return cancelled


@pytest.mark.parametrize("count", range(9))
async def test_a_set_of_futures_is_walked_in_one_order(count: int) -> None:
    async with WorkflowEnvironment(replay_every_turn=False) as env:
        run = await env.start(walk_a_set_after_steps, count)
        cancelled = await run.result()
        events = await run.events()

    def replayed() -> object:
        execution = Execution(run.id, walk_a_set_after_steps)
        execution.replay(events)
        return execution._main.result()

    assert await asyncio.to_thread(replayed) == cancelled
