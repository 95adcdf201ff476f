"""Streams of runs in web applications: `sse` answers a request with a stream, as Server-Sent Events.

    from worldflow.streams import sse

    @app.get("/questions/{question_id}/answer")
    async def answer(question_id: str, request: Request) -> Response:
        return sse(orchestrator.run(question_id), "answer", request)

It needs Starlette, which FastAPI brings.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import StreamItem, StreamReset
from worldflow.runtime import RunHandle
from worldflow.runtime.sse import HEADERS, MEDIA_TYPE, NOTHING, RETRY, end, event, resumed

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

__all__ = ["sse"]

_READ_AHEAD = 100
"""Items that a client has not taken yet, at most."""

KEEP_ALIVE = 15.0
"""Seconds without an item after which a comment is sent: what is on the way closes connections that seem dead."""


def sse(run: RunHandle[Any], name: str, request: Request) -> Response:
    """A response that streams a run's stream as Server-Sent Events, until the stream ends or the client leaves.

    Begins after the event that the request's `Last-Event-ID` names, as a browser sends it that comes back; otherwise
    after the offset in the query's `after`, or at the beginning. The `data` of an event is a JSON object with `offset`,
    `value`, `step_id` and `attempt`. A reset is an event of type `reset`, and an event of type `end` is the last.

    Raises `InvalidInputError` for an invalid `Last-Event-ID` or `after`. The response raises `RunNotFoundError` before
    it sends anything, so that the application's handler for that error answers.
    """
    from starlette.responses import Response, StreamingResponse

    begin = resumed(request.headers.get("last-event-id"), _offset(request.query_params.get("after")))
    if begin is None:
        return Response(status_code=204, headers=HEADERS)
    events = _events(run, name, begin)

    class Events(StreamingResponse):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await run.status()
            async with aclosing(events):
                await super().__call__(scope, receive, send)

    return Events(events, media_type=MEDIA_TYPE, headers=HEADERS)


def _offset(text: str | None) -> int:
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        rule = "must be the offset of an item"
        raise InvalidInputError(f"{text!r:.100} {rule}", [FieldError("after", rule)])
    return int(text)


async def _events(run: RunHandle[Any], name: str, after: int) -> AsyncGenerator[bytes]:
    # A task of its own reads, since what waits for the next item of a generator cannot stop to send a comment.
    coming: asyncio.Queue[StreamItem[Any] | StreamReset | BaseException | None] = asyncio.Queue(_READ_AHEAD)
    reader = asyncio.create_task(_read(run, name, after, coming))
    try:
        yield RETRY
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE):
                    item = await coming.get()
            except TimeoutError:
                yield NOTHING
                continue
            if item is None:
                yield end(after)
                return
            if isinstance(item, BaseException):
                raise item
            after = item.offset
            yield event(item)
    finally:
        reader.cancel()


async def _read(
    run: RunHandle[Any],
    name: str,
    after: int,
    coming: asyncio.Queue[StreamItem[Any] | StreamReset | BaseException | None],
) -> None:
    try:
        async with aclosing(run.stream(name, after=after)) as items:
            async for item in items:
                await coming.put(item)
    except Exception as error:
        await coming.put(error)
    else:
        await coming.put(None)
