"""The routes of streams: for callers of the API, and for whoever has a stream's signed URL.

A page is JSON, or Server-Sent Events for who accepts those. An answer is short and complete, since a function with the
managed runtime of Python cannot answer bit by bit: a browser comes back for more by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from worldflow.runtime import sse
from worldflow.runtime.stream_urls import reader_of
from worldflow.serving.api.errors import at_once, json_response
from worldflow.serving.api.parameters import Id
from worldflow.worlds import World, streams

STREAM_ROUTE = "ANY /streams/{token}"

LONGEST_WAIT = 2.0
"""Seconds that a request waits for the first item. A reader takes up the function for so long."""

_FIRST_POLL, _LONGEST_POLL = 0.05, 0.4

_END_EVERY = 1.0
"""Seconds between two looks at whether the run has ended."""

ANYWHERE = {"access-control-allow-origin": "*"}
"""A page from anywhere may read with a signed URL: the token in it is the right to, and no cookie adds to that."""

_PREFLIGHT = {
    "access-control-allow-methods": "GET",
    "access-control-allow-headers": "*",
    "access-control-max-age": "86400",
}


def stream_routes(world: World) -> APIGatewayHttpRouter:
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    @router.get("/runs/<run_id>/streams")
    def list_streams(run_id: Id) -> dict[str, Any]:
        return {"streams": list(streams.names(world, run_id))}

    @router.get("/runs/<run_id>/streams/<name>")
    def read_stream(
        run_id: Id,
        name: Id,
        after: Annotated[int, Query(ge=0, le=10**9)] = 0,
        wait: Annotated[float | None, Query(ge=0, le=LONGEST_WAIT)] = None,
    ) -> Response[Any]:
        headers = router.current_event.headers
        if sse.MEDIA_TYPE not in headers.get("accept", ""):
            page = _wait_for_page(world, run_id, name, after, wait or 0)
            items = [sse.described(item) for item in page.items]
            answer = json_response(200, {"items": items, "next": page.next, "ended": page.ended})
            answer.headers["cache-control"] = "no-store"
            return answer
        begin = sse.resumed(headers.get("last-event-id"), after)
        if begin is None:
            return Response(204, body="", headers=dict(sse.HEADERS))
        page = _wait_for_page(world, run_id, name, begin, LONGEST_WAIT if wait is None else wait)
        return Response(200, sse.MEDIA_TYPE, _events(page).decode(), headers=dict(sse.HEADERS))

    return router


def _events(page: streams.StreamPage) -> bytes:
    parts = [sse.RETRY, *map(sse.event, page.items)]
    if page.ended:
        parts.append(sse.end(page.next))
    elif not page.items:
        parts.append(sse.NOTHING)
    return b"".join(parts)


def _wait_for_page(world: World, run_id: str, name: str, after: int, wait: float) -> streams.StreamPage:
    """The items after an offset, as soon as there are any, the stream has ended, or the time is up."""
    reader = streams.StreamReader(world, run_id, name, after)
    poll, waited, asked_at = _FIRST_POLL, 0.0, -_END_EVERY
    while True:
        items, is_over = reader.read(), False
        if not items and not reader.ended and waited - asked_at >= _END_EVERY:
            asked_at, is_over = waited, reader.is_over()
            # What was written before the end may have come since.
            items = reader.read() if is_over else items
        if items or reader.ended or is_over or waited >= wait:
            return streams.StreamPage(items, reader.after, reader.ended or (is_over and not items))
        time.sleep(poll)
        waited += poll
        poll = min(poll * 1.5, _LONGEST_POLL, wait - waited)


def answer_reader(
    world: World, event: dict[str, Any], resolve: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Answers a request to a stream's signed URL, by the route of that stream. The token is all that it needs."""
    method = event["requestContext"]["http"]["method"]
    if method == "OPTIONS":
        return {"statusCode": 204, "headers": {**ANYWHERE, **_PREFLIGHT}, "body": "", "isBase64Encoded": False}
    if method != "GET":
        return _refusal(405, "a stream can only be read", {"allow": "GET, OPTIONS"})
    reader = reader_of(world, event["pathParameters"]["token"])
    if reader is None:
        return _refusal(404, "there is no such stream")
    if world.now().timestamp() >= reader.expires:
        return _refusal(410, "this URL has expired")
    path = f"/runs/{reader.run_id}/streams/{reader.name}"
    http = {**event["requestContext"]["http"], "path": path}
    context = {**event["requestContext"], "http": http}
    answer = resolve({**event, "routeKey": f"GET {path}", "rawPath": path, "requestContext": context})
    return {**answer, "headers": {**answer.get("headers", {}), **ANYWHERE}}


def _refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    answer = at_once(status, "StreamUrlError", message)
    return {**answer, "headers": {**answer["headers"], **ANYWHERE, **(headers or {})}}
