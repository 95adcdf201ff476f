"""Streams that are followed: sent as they are written, where the stack's API sends one short answer after the other."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from worldflow.runtime.sse import MEDIA_TYPE
from worldflow.runtime.stream_urls import reader_of
from worldflow.serving.api.streams import STREAM_ROUTE
from worldflow.worlds import World

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

_STREAM = re.compile(r"/runs/([^/]+)/streams/([^/]+)")


def followed(world: World, event: dict[str, Any]) -> tuple[str, str] | None:
    """The run and the stream that a request follows: one for Server-Sent Events that does not say how long it waits."""
    if MEDIA_TYPE not in event["headers"].get("accept", "") or "wait" in event.get("queryStringParameters", {}):
        return None
    if event["routeKey"] == STREAM_ROUTE:
        reader = reader_of(world, event["pathParameters"]["token"])
        return (reader.run_id, reader.name) if reader else None
    found = _STREAM.fullmatch(event["rawPath"])
    return (found[1], found[2]) if found else None


class Followers:
    """The responses that follow a stream, so that a server which ends does not wait for them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_over = False

    async def respond(self, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await response(scope, receive, send)
        except asyncio.CancelledError:
            if not self._is_over:
                raise
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._tasks.discard(task)

    def end(self) -> None:
        """Ends all responses. Their clients come back when there is a server again."""
        self._is_over = True
        for task in self._tasks:
            task.cancel()
