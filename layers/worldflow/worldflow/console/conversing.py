"""The conversations of agents in a run, from the steps that ask models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from worldflow.engine.history import Event, Json, StepCompleted, StepScheduled
from worldflow.presentation.usage import describe_priced
from worldflow.token_prices import Prices, priced

_ROLES = {
    "system-prompt": "system",
    "user-prompt": "user",
    "text": "answer",
    "thinking": "thinking",
    "tool-call": "calls",
    "tool-return": "returns",
    "retry-prompt": "retry",
}


@dataclass(frozen=True, slots=True)
class Part:
    """What was said: by whom, and of which tool, if of one."""

    role: str
    text: str
    tool: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """The parts of one message. An answer has the number of its event, and its tokens."""

    parts: Sequence[Part]
    seq: int | None = None
    tokens: str = ""


@dataclass(slots=True)
class Conversation:
    """What an agent and its model said to each other in one call of the agent."""

    agent: str
    messages: list[Said] = field(default_factory=list)
    count: int = 0
    """Messages of the last request, and its answer."""


def conversations(events: Sequence[Event], prices: Prices) -> list[Conversation]:
    """The conversations of a history with its data, in the order in which they began.

    prices: those of tokens.
    """
    found: dict[tuple[str, str], Conversation] = {}
    asked: dict[str, Conversation] = {}
    for event in events:
        if isinstance(event, StepScheduled) and (messages := _messages(event.input)):
            agent = event.name.removesuffix(".model")
            one = found.setdefault((agent, _call(messages)), Conversation(agent))
            one.messages += [Said(list(_parts(message))) for message in messages[one.count :]]
            one.count = len(messages)
            asked[event.step_id] = one
        elif isinstance(event, StepCompleted) and event.step_id in asked and _is_message(event.result):
            one = asked[event.step_id]
            tokens = describe_priced(priced(event.usage or [], prices))
            one.messages.append(Said(list(_parts(event.result)), event.seq, tokens))
            one.count += 1
    return list(found.values())


def _messages(given: Json) -> list[Json]:
    """The messages among the arguments of a step, as Pydantic AI writes them."""
    messages = given.get("messages") if isinstance(given, dict) else None
    return messages if isinstance(messages, list) and messages and all(map(_is_message, messages)) else []


def _is_message(value: Json) -> bool:
    if not isinstance(value, dict) or value.get("kind") not in ("request", "response"):
        return False
    parts = value.get("parts")
    return isinstance(parts, list) and all(isinstance(part, dict) for part in parts)


def _call(messages: Sequence[Json]) -> str:
    """What tells the calls of an agent apart."""
    return str(messages[-1].get("run_id"))


def _parts(message: Json) -> Iterator[Part]:
    for part in message["parts"]:
        role = _ROLES.get(str(part.get("part_kind")))
        if role:
            content: Any = part.get("args") if role == "calls" else part.get("content")
            yield Part(role, _text(content), str(part.get("tool_name") or ""))


def _text(content: Json) -> str:
    if isinstance(content, list) and all(isinstance(one, str) for one in content):
        return "\n".join(content)
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
