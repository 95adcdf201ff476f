"""An agent for the end-to-end tests, as somebody's own would be in the layer of workflows. It asks no real model."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from worldflow import step, workflow
from worldflow.ai.pydantic import Durable, ToolRequest, run_with_approvals

NOTES = ""
"""A folder in which tools note that they are at work."""

CITIES = ("Graz", "Linz", "Vienna")


@dataclass
class Traveller:
    name: str


def _returned(messages: list[ModelMessage]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolReturnPart):
                found.setdefault(part.tool_name, []).append(part.content)
    return found


def _call(tool: str, city: str) -> DeltaToolCall:
    return DeltaToolCall(name=tool, json_args=f'{{"city": "{city}"}}', tool_call_id=f"{tool}-{city}")


async def _plan(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    returned = _returned(messages)
    if "weather" not in returned:
        for index, city in enumerate(CITIES):
            yield {index: _call("weather", city)}
    elif "book" not in returned:
        yield {0: _call("history_of", "Graz")}
        yield {1: _call("book", "Graz")}
    else:
        for word in (*returned["weather"], *returned["history_of"], *returned["book"]):
            yield f"{word} "


def _tell(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    returned = _returned(messages)
    if "read_archive" not in returned:
        return ModelResponse(parts=[ToolCallPart("read_archive", {"city": "Graz"})])
    return ModelResponse(parts=[TextPart(returned["read_archive"][0])])


historian = Agent(FunctionModel(_tell, model_name="told"), name="historian", capabilities=[Durable(inline=True)])
travel = Agent(
    FunctionModel(stream_function=_plan, model_name="planned"),
    name="travel",
    deps_type=Traveller,
    capabilities=[Durable(stream="answer")],
)


@historian.tool_plain
async def read_archive(city: str) -> str:
    return f"{city}:old"


@travel.tool(metadata={"worldflow": {"timeout": "1m"}})
async def weather(ctx: RunContext[Traveller], city: str) -> str:
    """Ends when the other cities are looked at, too."""
    (Path(NOTES) / city).touch()
    for _ in range(5_000):
        if all((Path(NOTES) / other).exists() for other in CITIES):
            return f"{city}:sunny"
        await asyncio.sleep(0.01)
    return f"{city}:alone"


@travel.tool_plain(metadata={"worldflow": False})
async def history_of(city: str) -> str:
    return (await historian.run(f"What is the history of {city}?")).output


@travel.tool(requires_approval=True, metadata={"worldflow": {"guarantee": "at_most_once"}})
async def book(ctx: RunContext[Traveller], city: str) -> str:
    return f"{city}:booked-for-{ctx.deps.name}"


@step
async def ask_the_traveller(request: ToolRequest) -> str:
    return request.token


@workflow
async def plan_a_journey(name: str) -> str:
    result = await run_with_approvals(
        travel, "Where to?", deps=Traveller(name), ask=ask_the_traveller, timeout="1h", webhooks=True
    )
    return str(result.output)
