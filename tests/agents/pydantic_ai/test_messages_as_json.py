"""The JSON of messages, definitions of tools and events: brief, always the same, and nothing is lost."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

from pydantic_ai import messages as m
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelRequest, ModelResponse
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from worldflow.ai.pydantic import messages, streaming

AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)

CONVERSATION: list[ModelMessage] = [
    ModelRequest(
        parts=[
            m.SystemPromptPart("Be kind.", timestamp=AT),
            m.UserPromptPart(
                ["Look:", m.ImageUrl("https://example.test/a.png"), m.BinaryContent(b"\0\1", media_type="image/png")],
                timestamp=AT,
            ),
        ],
        instructions="Be brief.",
        timestamp=AT,
        run_id="r",
        conversation_id="c",
    ),
    ModelResponse(
        parts=[
            m.ThinkingPart("Hm.", signature="s"),
            m.TextPart("I look."),
            m.ToolCallPart("look", {"at": None, "zero": 0, "list": [None]}, tool_call_id="1"),
            m.ToolCallPart("look", '{"at": null}', tool_call_id="2"),
            m.ToolCallPart("look", None, tool_call_id="3"),
        ],
        usage=RequestUsage(input_tokens=3, details={"reasoning": 2}),
        model_name="gpt",
        timestamp=AT,
        provider_details={"finish_reason": None},
    ),
    ModelRequest(
        parts=[
            m.ToolReturnPart("look", None, tool_call_id="1", timestamp=AT),
            m.ToolReturnPart("look", {"seen": None, "n": 0}, tool_call_id="2", timestamp=AT),
            m.ToolReturnPart("look", [1, None], tool_call_id="3", metadata={"a": None}, timestamp=AT),
        ],
        timestamp=AT,
    ),
]


def test_nothing_of_a_conversation_is_lost() -> None:
    forms = messages.dump_messages(CONVERSATION)

    loaded = messages.load_messages(forms)
    assert ModelMessagesTypeAdapter.dump_json(loaded) == ModelMessagesTypeAdapter.dump_json(CONVERSATION)
    assert messages.dump_messages(messages.load_messages(forms)) == forms


def test_what_says_nothing_is_left_out() -> None:
    (form,) = messages.dump_messages([ModelResponse(parts=[m.TextPart("Hi")], timestamp=AT)])

    assert form == {
        "parts": [{"content": "Hi", "part_kind": "text"}],
        "usage": {},
        "timestamp": "2026-05-04T03:02:01Z",
        "kind": "response",
        "state": "complete",
    }


def test_the_definition_of_a_tool_is_the_same_wherever_it_stands() -> None:
    tool = ToolDefinition(
        name="look", parameters_json_schema={"type": "object"}, metadata={"worldflow": {"retry": object()}}
    )
    parameters = messages.dump_parameters(ModelRequestParameters(function_tools=[tool]))

    assert parameters["function_tools"] == [messages.dump_definition(tool)]
    assert messages.load_as(ToolDefinition, messages.dump_definition(tool)) == dataclasses.replace(tool, metadata=None)


def test_a_null_that_is_no_default_is_kept() -> None:
    part = m.ToolReturnPart("look", None, tool_call_id="1", timestamp=AT)
    (form,) = messages.dump_messages([ModelRequest(parts=[part])])

    assert form["parts"][0]["content"] is None


def test_events_are_brief_too() -> None:
    delta = m.PartDeltaEvent(index=0, delta=m.TextPartDelta("Hi"))
    start = m.PartStartEvent(index=0, part=m.TextPart("Hi"))
    for event in (delta, start, m.FinalResultEvent(tool_name=None, tool_call_id=None)):
        assert streaming.load_event(streaming.dump_event(event)) == event

    assert streaming.dump_event(delta) == {
        "index": 0,
        "delta": {"content_delta": "Hi", "part_delta_kind": "text"},
        "event_kind": "part_delta",
    }
