"""Nothing is printed when the execution of an agent is thrown away in the middle, at each turn here.

Warnings and exceptions that nobody catches fail any test anyway.
"""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest
from opentelemetry.sdk.trace import TracerProvider
from pydantic_ai import Agent
from pydantic_ai.capabilities import Instrumentation
from pydantic_ai.models.instrumented import InstrumentationSettings

from tests.agents.pydantic_ai.scripts import Script, returned
from tests.agents.pydantic_ai.worlds import Runs
from worldflow import create_hook, sleep, step, workflow
from worldflow.ai.pydantic import Durable

tokens: list[str] = []
settings = InstrumentationSettings(tracer_provider=TracerProvider())


@step
async def hand_out(token: str) -> None:
    tokens.append(token)


inner = Agent(
    Script([("ponder", {})], lambda messages: returned(messages)[-1]),
    name="inner",
    capabilities=[Durable(stream="inner"), Instrumentation(settings=settings)],
)
outer = Agent(
    Script([("delegate", {"to": "a"}), ("delegate", {"to": "b"})], lambda messages: str(returned(messages))),
    name="outer",
    capabilities=[Durable(stream="outer"), Instrumentation(settings=settings)],
)


@inner.tool_plain(metadata={"worldflow": False})
async def ponder() -> str:
    async with asyncio.timeout(3600):
        with create_hook(str) as hook:
            await hand_out(hook.token)
            return await hook


@outer.tool_plain(metadata={"worldflow": False})
async def delegate(to: str) -> str:
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(inner.run(f"Ponder on {to}"))
            await sleep("1m")
        return running.result().output
    finally:
        await sleep("1s")


@workflow
async def delegate_twice() -> str:
    async with outer.iter("Delegate") as run:
        async for _ in run:
            pass
    assert run.result is not None
    return str(run.result.output)


async def test_an_agent_in_an_agent_is_thrown_away_at_each_turn(
    runs: Runs, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.WARNING)
    tokens.clear()
    run_id = await runs.start(delegate_twice)
    gc.collect()
    await runs.advance("30s")
    gc.collect()
    for token in tokens:
        await runs.resume(token, "deep")

    assert await runs.result(run_id) == "['deep', 'deep']"
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == []
    assert "".join(capfd.readouterr()) == ""


async def test_one_that_never_ends_is_thrown_away(
    runs: Runs, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.WARNING)
    await runs.start(delegate_twice)
    gc.collect()

    assert [record.getMessage() for record in caplog.records] == []
    assert "".join(capfd.readouterr()) == ""
