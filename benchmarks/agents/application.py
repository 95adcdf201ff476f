"""The application that is built on each system: agents of Pydantic AI, and the model that they ask, which is scripted.

`weather` asks for the weather of five cities at once. `research` asks an expert besides, who is an agent in a tool.
`booking` calls a tool that a person must approve. All then answer, token by token, in the style that their instructions
ask for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_ai import Agent, DeferredToolRequests
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

CITIES = ("Bern", "Lima", "Oslo", "Rome", "Suva")
TOOL_SECONDS = 0.3
TOKEN_SECONDS = 0.1
WORDS = ("It", "is", "sunny", "in", "all", "five", "cities", "and", "will", "stay", "so")

ANSWER = " ".join(["[plain]", *WORDS])

FAILS_AT = 4

fails_once = False
"""Whether the first answer breaks off before its token number `FAILS_AT`."""

style = "plain"
"""What the instructions ask for: the prompt that a fork replaces."""


class Watch:
    """What happened in this process."""

    def __init__(self) -> None:
        self.running = self.most = 0
        self.calls: dict[str, int] = {}
        self.model_ended = 0.0
        """When the last token was made."""

    def count(self, name: str) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1

    async def tool(self, name: str) -> None:
        self.count(name)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(TOOL_SECONDS)
        finally:
            self.running -= 1


watch = Watch()


@dataclass
class Agents:
    weather: Any
    research: Any
    expert: Any
    booking: Any


def _same(it: Any) -> Any:
    return it


def agents(
    durable: Callable[[], Sequence[Any]] = list,
    wrap: Callable[[Any], Any] = _same,
    tool: Callable[[Any], Any] = _same,
    expert_tool: Mapping[str, Any] = {},
) -> Agents:
    """The agents as a system has them.

    durable: the capabilities that make an agent durable.
    wrap: what makes it durable where no capability does.
    tool: what makes a tool durable where the agent does not.
    expert_tool: options of the tool that has an agent in it.
    """
    weather = make_agent("weather", durable)
    research = make_agent("research", durable)
    booking = make_agent("booking", durable, output_type=[str, DeferredToolRequests])
    expert = wrap(make_agent("expert", durable))
    for agent in (weather, research):
        agent.tool_plain(tool(look_up))

    async def ask_expert(question: str) -> str:
        watch.count("expert")
        return str((await expert.run(question)).output)

    research.tool_plain(ask_expert, **expert_tool)
    booking.tool_plain(tool(book), requires_approval=True)
    return Agents(wrap(weather), wrap(research), expert, wrap(booking))


def make_agent(name: str, durable: Callable[[], Sequence[Any]], **options: Any) -> Any:
    model = FunctionModel(_answer, stream_function=_stream, model_name="scripted")
    return Agent(model, name=name, instructions=lambda: f"Style: {style}", capabilities=durable(), **options)


async def look_up(city: str) -> str:
    await watch.tool("look_up")
    return f"sunny in {city}"


async def book(trip: str) -> str:
    await watch.tool("book")
    return f"booked {trip}"


def _calls(messages: Sequence[ModelMessage], info: AgentInfo) -> list[ToolCallPart]:
    """What the model calls first."""
    if any(isinstance(part, ToolReturnPart) for message in messages for part in message.parts):
        return []
    tools = {tool.name for tool in info.function_tools}
    calls = [("look_up", {"city": city}) for city in CITIES] if "look_up" in tools else []
    calls += [("ask_expert", {"question": "Will it stay so?"})] if "ask_expert" in tools else []
    calls += [("book", {"trip": "Bern"})] if "book" in tools else []
    return [ToolCallPart(name, args, tool_call_id=f"call-{number}") for number, (name, args) in enumerate(calls)]


def _tokens(info: AgentInfo) -> list[str]:
    asked = (info.instructions or "").removeprefix("Style: ")
    return [f"[{asked}]", *(f" {word}" for word in WORDS)]


async def _answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    watch.count("model")
    return ModelResponse(parts=_calls(messages, info) or [TextPart("".join(_tokens(info)))])


async def _stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
    watch.count("model")
    calls = _calls(messages, info)
    for number, call in enumerate(calls):
        yield {number: DeltaToolCall(call.tool_name, call.args_as_json_str(), tool_call_id=call.tool_call_id)}
    for number, token in enumerate(() if calls else _tokens(info)):
        await asyncio.sleep(TOKEN_SECONDS)
        if number == FAILS_AT and fails_once and watch.calls["model"] == 1:
            raise ConnectionError("the model went away")
        yield token
    watch.model_ended = time.monotonic()


def text(event: Any) -> str:
    """The text that an event of the model brings."""
    part = getattr(event, "part", None)
    if getattr(event, "event_kind", None) == "part_start" and isinstance(part, TextPart):
        return part.content
    return getattr(getattr(event, "delta", None), "content_delta", None) or ""
