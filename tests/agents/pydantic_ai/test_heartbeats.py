"""Steps with a `heartbeat_timeout` send heartbeats while the model or the tool is at work."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic_ai import Agent

from tests.agents.pydantic_ai.scripts import Script, returned
from tests.agents.pydantic_ai.worlds import Runs, steps
from worldflow import StepInfo, workflow
from worldflow.ai.pydantic import Durable
from worldflow.ai.pydantic.running import _beating
from worldflow.engine.workflow.step_info import current_step

slow = Agent(
    Script([("dig", {})], lambda messages: returned(messages)[-1]),
    name="slow",
    capabilities=[Durable(steps={"heartbeat_timeout": "30s"}, model={"heartbeat_timeout": "1m"})],
)


@slow.tool_plain
async def dig() -> str:
    return "dug"


@workflow
async def dig_slowly() -> str:
    return (await slow.run("Dig")).output


async def test_the_step_knows_how_often(runs: Runs) -> None:
    run_id = await runs.start(dig_slowly)

    assert await runs.result(run_id) == "dug"
    assert [(step.heartbeat_timeout, step.input["heartbeat"]) for step in steps(runs, run_id)] == [
        (60, 20),
        (30, 10),
        (60, 20),
    ]


@contextmanager
def in_a_step(beat: Any) -> Iterator[None]:
    token = current_step.set(StepInfo("run", "s1", 1, _beat=beat))
    yield
    current_step.reset(token)


async def test_heartbeats_are_sent_meanwhile() -> None:
    beats: list[None] = []

    def beat(_: Any) -> bool:
        beats.append(None)
        return True

    with in_a_step(beat):
        async with _beating(0.001):
            while len(beats) < 3:
                await asyncio.sleep(0.001)
        count = len(beats)
        await asyncio.sleep(0.02)
    assert len(beats) == count


async def test_what_is_not_wanted_any_more_is_cancelled() -> None:
    with in_a_step(lambda _: False), pytest.raises(asyncio.CancelledError):
        async with _beating(0.001):
            await asyncio.Event().wait()


async def test_an_outage_of_heartbeats_does_not_stop_the_work() -> None:
    failures: list[None] = []

    def beat(_: Any) -> bool:
        failures.append(None)
        raise ConnectionError("no answer")

    with in_a_step(beat):
        async with _beating(0.001):
            while len(failures) < 2:
                await asyncio.sleep(0.001)
