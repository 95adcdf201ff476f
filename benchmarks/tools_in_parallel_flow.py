"""An agent that calls tools which take a second each, on the deployed stack."""

from __future__ import annotations

import asyncio

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from worldflow import workflow
from worldflow.ai.pydantic import Durable

TOOLS = 5
SECONDS = 1.0


def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Calls the tools at once, and then answers with how many have returned."""
    returned = sum(isinstance(part, ToolReturnPart) for message in messages for part in message.parts)
    if returned:
        return ModelResponse(parts=[TextPart(str(returned))])
    return ModelResponse(parts=[ToolCallPart("work", {"number": number}) for number in range(TOOLS)])


clerk = Agent(FunctionModel(answer, model_name="bench"), name="bench_clerk", capabilities=[Durable()])


@clerk.tool_plain
async def work(number: int) -> int:
    await asyncio.sleep(SECONDS)
    return number


@workflow
async def bench_agent() -> str:
    return (await clerk.run("work")).output
