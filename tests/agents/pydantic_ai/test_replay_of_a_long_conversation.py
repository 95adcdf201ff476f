"""Each request has the whole conversation. A replay makes JSON of each message once all the same."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage

from tests.agents.pydantic_ai.scripts import Script
from tests.agents.pydantic_ai.worlds import Runs, events
from worldflow import workflow
from worldflow.ai.pydantic import Durable, messages
from worldflow.engine.history import Event
from worldflow.engine.workflow.execution import Execution

REQUESTS = 6


def _go_on(said: list[ModelMessage]) -> Any:
    return [("go_on", {})] if len(said) < 2 * REQUESTS - 1 else "done"


walker = Agent(Script(_go_on), name="walker", capabilities=[Durable()])


@walker.tool_plain
async def go_on() -> str:
    return "went on"


@workflow
async def walk() -> str:
    return (await walker.run("Walk")).output


async def test_a_message_is_dumped_once(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = await runs.start(walk)
    assert await runs.result(run_id) == "done"
    history = events(runs, run_id)
    dumped: list[Any] = []
    original = messages.brief_message
    monkeypatch.setattr(messages, "brief_message", lambda form: dumped.append(form) or original(form))

    assert await asyncio.to_thread(_replay, run_id, history) == []
    assert len(dumped) == 2 * REQUESTS - 1


def _replay(run_id: str, history: list[Event]) -> list[str]:
    """Replays a run as in production. Returns what its code does otherwise than before."""
    execution = Execution(run_id, walk)
    try:
        execution.replay(history)
        return list(execution.recorded.differences)
    finally:
        execution.dispose()
