"""A run of an agent is forked at a model request or a tool call, with another prompt, model, or result."""

from __future__ import annotations

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, UserPromptPart

from tests.agents.pydantic_ai.scripts import Script, returned
from worldflow import workflow
from worldflow.ai.pydantic import Durable
from worldflow.testing import TestRun, WorkflowEnvironment

looked: list[str] = []


def said(messages: list[ModelMessage]) -> str:
    prompts = [part.content for message in messages if isinstance(message, ModelRequest) for part in message.parts
               if isinstance(part, UserPromptPart)]  # fmt: skip
    return f"{prompts[0]} {'; '.join(returned(messages))}"


agent = Agent(
    Script([("forked_look", {"city": "Vienna"})], said),
    name="forked_agent",
    capabilities=[Durable(models={"other": Script("another model answers")})],
)


@agent.tool_plain
async def forked_look(city: str) -> str:
    looked.append(city)
    return f"sunny in {city}"


@workflow
async def forked_conversation(prompt: str) -> str:
    return (await agent.run(prompt)).output


async def finished(env: WorkflowEnvironment) -> tuple[TestRun[Any], dict[str, list[int]]]:
    run = await env.start(forked_conversation, "Where?")
    assert await run.result() == "Where? sunny in Vienna"
    looked.clear()
    places: dict[str, list[int]] = {}
    for event in await run.events():
        places.setdefault(event.event_type, []).append(event.seq)
    return run, places


async def test_another_result_of_a_tool() -> None:
    async with WorkflowEnvironment() as env:
        run, places = await finished(env)
        _, tool, _ = places["StepCompleted"]
        recorded = next(event for event in await run.events() if event.seq == tool)
        assert recorded.event_type == "StepCompleted"
        edited = _with(recorded.result, "sunny in Vienna", "foggy in Vienna")
        fork = await run.fork("copy", edit={tool: edited})
        assert await fork.result() == "Where? foggy in Vienna"
        assert (await fork.usage())[0]["model"] == "script"
    assert looked == []


async def test_another_model() -> None:
    async with WorkflowEnvironment() as env:
        run, places = await finished(env)
        fork = await run.fork("copy", edit={places["StepScheduled"][2]: {"model_id": "other"}})
        assert await fork.result() == "another model answers"
    assert looked == []


async def test_another_prompt_of_a_request() -> None:
    async with WorkflowEnvironment() as env:
        run, places = await finished(env)
        request = places["StepScheduled"][2]
        recorded = next(event for event in await run.events() if event.seq == request)
        assert recorded.event_type == "StepScheduled"
        messages = _with(recorded.input["messages"], "Where?", "When?")
        fork = await run.fork("copy", edit={request: {"messages": messages}})
        assert await fork.result() == "When? sunny in Vienna"
    assert looked == []


async def test_another_prompt_of_the_run() -> None:
    async with WorkflowEnvironment() as env:
        run, _ = await finished(env)
        fork = await run.fork("copy", edit={"input": {"prompt": "When?"}})
        assert await fork.result() == "When? sunny in Vienna"
    assert looked == ["Vienna"]


def _with(value: Any, old: str, new: str) -> Any:
    """The JSON with another text."""
    if isinstance(value, dict):
        return {name: _with(part, old, new) for name, part in value.items()}
    if isinstance(value, list):
        return [_with(part, old, new) for part in value]
    return new if value == old else value
