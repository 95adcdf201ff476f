"""Models that say what a test wants them to say."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

Call = tuple[str, dict[str, Any]]
"""A call of a tool: its name and arguments."""


class Script(FunctionModel):
    """A model that goes through its lines, one a request: text, or calls of tools. What a conversation has already
    heard from it says how far it is, so that it need remember nothing.

    A line may be a function of the messages so far.
    """

    def __init__(self, *lines: str | Sequence[Call] | Callable[[list[ModelMessage]], Any]) -> None:
        self.lines = lines
        self.asked: list[list[ModelMessage]] = []
        """The messages of each request that was made."""
        super().__init__(self._answer, stream_function=self._stream, model_name="script")

    def _line(self, messages: list[ModelMessage]) -> str | Sequence[Call]:
        self.asked.append(list(messages))
        line = self.lines[sum(isinstance(message, ModelResponse) for message in messages) % len(self.lines)]
        said: str | Sequence[Call] = line(messages) if callable(line) else line
        return said

    def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        line = self._line(messages)
        if isinstance(line, str):
            return ModelResponse(parts=[TextPart(line)])
        return ModelResponse(parts=[ToolCallPart(name, args) for name, args in line])

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        line = self._line(messages)
        if isinstance(line, str):
            for word in re.findall(r"\S+\s*", line):
                yield word
            return
        for index, (name, args) in enumerate(line):
            yield {index: DeltaToolCall(name=name, json_args=json.dumps(args), tool_call_id=f"call-{index}")}


def returned(messages: list[ModelMessage]) -> list[Any]:
    """What tools have returned so far."""
    return [part.content for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]


def told_to_retry(messages: list[ModelMessage]) -> list[str]:
    """What the model was asked to do again."""
    return [str(part.content) for message in messages for part in message.parts if getattr(part, "retry", None)]
