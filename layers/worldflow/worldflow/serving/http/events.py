"""Requests and answers of ASGI, as API Gateway and Lambda write them: payload format 2.0."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

from worldflow.serving.api.streams import STREAM_ROUTE
from worldflow.serving.api.webhooks import PUBLIC_ROUTE

_PUBLIC = re.compile(r"/(?:webhooks|(streams))/([^/]+)")


class Context:
    """What a function receives about its invocation."""

    function_name = "worldflow-serve"
    memory_limit_in_mb = 0
    invoked_function_arn = ""
    aws_request_id = ""

    def get_remaining_time_in_millis(self) -> int:
        """How long another request with the same `Idempotency-Key` waits for this one: as in the stack."""
        return 29_000


def is_public(path: str) -> bool:
    """Whether a path needs no token but its own."""
    return _PUBLIC.fullmatch(path) is not None


def event_of(request: Request, body: bytes) -> dict[str, Any]:
    path = request.scope["path"]
    query = request.scope["query_string"].decode("latin-1")
    headers = _joined((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw)
    cookies = headers.pop("cookie", None)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{request.method} {path}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "domainName": request.url.hostname,
            "http": {
                "method": request.method,
                "path": path,
                "protocol": f"HTTP/{request.scope['http_version']}",
                "sourceIp": request.client.host if request.client else "",
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": uuid.uuid4().hex,
            "stage": "$default",
        },
        "isBase64Encoded": bool(body),
    }
    if parameters := _joined(parse_qsl(query, keep_blank_values=True)):
        event["queryStringParameters"] = parameters
    if body:
        event["body"] = base64.b64encode(body).decode()
    if cookies:
        event["cookies"] = re.split("; *", cookies)
    if public := _PUBLIC.fullmatch(path):
        event |= {"routeKey": STREAM_ROUTE if public[1] else PUBLIC_ROUTE, "pathParameters": {"token": public[2]}}
    return event


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The values of one name are one text, with commas between them."""
    values: dict[str, str] = {}
    for name, value in pairs:
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def response_of(answer: dict[str, Any]) -> Response:
    body = answer.get("body") or ""
    content = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    response = Response(content, answer["statusCode"], answer.get("headers"))
    for cookie in answer.get("cookies", ()):
        response.headers.append("set-cookie", cookie)
    return response
