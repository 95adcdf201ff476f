"""The recipe for Strands Agents: docs/guide/agents/strands.md."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from strands import Agent, tool
from strands.models.model import Model

from examples.agents import strands_agent as recipe
from tests.agents.pydantic_ai.worlds import Runs, gathered, names, steps
from worldflow import workflow


def says(text: str) -> list[Any]:
    return [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockStart": {"start": {}}},
        {"contentBlockDelta": {"delta": {"text": text}}},
        {"contentBlockStop": {}},
        {"messageStop": {"stopReason": "end_turn"}},
    ]


def calls(name: str, *arguments: dict[str, str]) -> list[Any]:
    events: list[Any] = [{"messageStart": {"role": "assistant"}}]
    for number, each in enumerate(arguments):
        events += [
            {"contentBlockStart": {"start": {"toolUse": {"name": name, "toolUseId": f"{name}-{number}"}}}},
            {"contentBlockDelta": {"delta": {"toolUse": {"input": json.dumps(each)}}}},
            {"contentBlockStop": {}},
        ]
    return [*events, {"messageStop": {"stopReason": "tool_use"}}]


class Script(Model):
    """Goes through its lines, one a request."""

    def __init__(self, *lines: list[Any]) -> None:
        self.lines = lines
        self.requests: list[Any] = []

    def update_config(self, **config: Any) -> None: ...

    def get_config(self) -> dict[str, Any]:
        return {}

    def structured_output(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    async def stream(self, messages: Any, tools: Any = None, system_prompt: Any = None, **_: Any) -> AsyncIterator[Any]:  # type: ignore[override]
        line = self.lines[len(self.requests)]
        self.requests.append((messages, tools, system_prompt))
        for event in line:
            yield event


def use(script: Script, monkeypatch: pytest.MonkeyPatch) -> Script:
    monkeypatch.setattr(recipe, "make_model", lambda: script)
    return script


CITIES = [{"city": "Graz"}, {"city": "Linz"}, {"city": "Vienna"}]


async def test_requests_and_tools_are_steps_and_tools_run_side_by_side(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[Any] = []

    async def forecast(city: str) -> str:
        await gathered(alive, 3)
        return f"sunny in {city}"

    monkeypatch.setattr(recipe, "forecast", forecast)
    script = use(Script(calls("weather", *CITIES), says("Take a hat.")), monkeypatch)
    run_id = await runs.start(recipe.strands_support, "A hat?")

    assert await runs.result(run_id) == "Take a hat."
    assert len(alive) == 3
    assert names(runs, run_id) == ["request_strands", *["look_up_strands_weather"] * 3, "request_strands"]
    assert len(script.requests) == 2
    assert [tool["name"] for tool in script.requests[0][1]] == ["weather", "refund"]
    assert "sunny in Linz" in str(script.requests[1][0])


@pytest.mark.parametrize("approved", [True, False])
async def test_a_tool_waits_for_an_approval(runs: Runs, monkeypatch: pytest.MonkeyPatch, approved: bool) -> None:
    script = use(Script(calls("refund", {"order": "7"}), says("Done.")), monkeypatch)
    run_id = await runs.start(recipe.strands_support, "My money!")
    assert names(runs, run_id) == ["request_strands"]

    await runs.signal(run_id, "approve", approved)

    assert await runs.result(run_id) == "Done."
    assert ("refund_strands_order" in names(runs, run_id)) is approved
    assert len(script.requests) == 2


async def test_the_events_of_an_agent_in_the_workflow(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    use(Script(says("Take a hat.")), monkeypatch)

    @workflow
    async def streams_a_strands_agent() -> str:
        agent = Agent(recipe.DurableModel(), callback_handler=None)  # worldflow: allow
        return "".join([event["data"] async for event in agent.stream_async("A hat?") if "data" in event])

    run_id = await runs.start(streams_a_strands_agent)
    assert await runs.result(run_id) == "Take a hat."
    assert len(steps(runs, run_id)) == 1


async def test_a_plain_tool_is_refused_since_it_would_run_in_a_thread(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = use(Script(calls("plain", {"city": "Graz"}), says("I cannot tell.")), monkeypatch)

    @tool
    def plain(city: str) -> str:
        """A plain tool."""
        return "sunny"

    @workflow
    async def has_a_plain_strands_tool() -> str:
        agent = Agent(recipe.DurableModel(), tools=[plain], callback_handler=None)  # worldflow: allow
        return str(await agent.invoke_async("A hat?")).strip()

    await runs.result(await runs.start(has_a_plain_strands_tool))
    assert "threads cannot be replayed" in str(script.requests[1])
