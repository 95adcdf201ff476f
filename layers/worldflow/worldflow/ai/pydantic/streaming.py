"""An agent's events in a stream of its run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from typing import Any, get_args

from pydantic import TypeAdapter
from pydantic_ai._utils import aclose_if_supported
from pydantic_ai.agent import EventStreamHandler
from pydantic_ai.messages import AgentStreamEvent, ModelResponseStreamEvent
from pydantic_ai.tools import RunContext

from worldflow import Stream, open_stream
from worldflow.ai.pydantic.messages import brief_event
from worldflow.engine.history import Json

_OF_MODELS = get_args(get_args(ModelResponseStreamEvent)[0])
"""Kinds of events that come of a model's answer."""

_events: TypeAdapter[Any] = TypeAdapter(AgentStreamEvent)


def dump_event(event: AgentStreamEvent) -> Json:
    return brief_event(_events.dump_python(event, mode="json"))


def load_event(form: Json) -> AgentStreamEvent:
    event: AgentStreamEvent = _events.validate_python(form)
    return event


def into_stream(name: str, handler: EventStreamHandler[Any] | None) -> EventStreamHandler[Any]:
    """A handler that writes events to a stream of the run from the step that has them, for readers to follow, and
    gives them to another handler.
    """

    async def handle(ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
        written = writing(name, events)
        if handler is not None:
            await handler(ctx, written)
        async for _ in written:
            pass

    return handle


async def writing(name: str, events: AsyncIterable[AgentStreamEvent]) -> AsyncGenerator[AgentStreamEvent]:
    """Events as they come, each after it is written to a stream of the run."""
    try:
        async with open_stream(name, Any) as out:
            async for event in events:
                await out.write(dump_event(event))
                yield event
    finally:
        await aclose_if_supported(events)


async def noting(name: str, events: AsyncIterable[AgentStreamEvent]) -> AsyncIterator[AgentStreamEvent]:
    """Events as they come to a workflow, which writes to a stream those that no step has written."""
    out: Stream[Any] = open_stream(name, Any)
    try:
        async for event in events:
            if not isinstance(event, _OF_MODELS):
                out.write(dump_event(event))
            yield event
    finally:
        await aclose_if_supported(events)
