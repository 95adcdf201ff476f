"""API Gateway in front of the function `signal`, as a WSGI application: for tools that speak HTTP."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from tests.support.lambdas import Context, function, http_event

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Gateway:
    """Hands on the requests that have a route, with what API Gateway says of them."""

    def __init__(self, routes: Iterable[tuple[str, str]]) -> None:
        """routes: a method, or ANY, and a path such as `/runs/{run_id}`."""
        self._map = Map(
            [
                Rule(
                    path.replace("{", "<").replace("}", ">"),
                    endpoint=f"{method} {path}",
                    methods=METHODS if method == "ANY" else [method],
                )
                for method, path in routes
            ],
            strict_slashes=False,
            merge_slashes=False,
        )

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return self.answer(Request(environ))(environ, start_response)

    def answer(self, request: Request) -> Response:
        try:
            route, parameters = self._map.bind_to_environ(request.environ).match()
        except HTTPException:
            return Response('{"message":"Not Found"}', 404, content_type="application/json")
        query = parse_qsl(request.query_string.decode("latin-1"), keep_blank_values=True)
        event = http_event(request.method, request.path, request.get_data() or None, query=_joined(query))
        event |= {"routeKey": route, "pathParameters": parameters}
        event["headers"] |= {name.lower(): value for name, value in request.headers.items()}
        answer = function("signal").handler(event, Context(function_name="signal"))
        body = answer.get("body") or ""
        data = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
        headers = Headers(answer.get("headers", {}))
        for name, values in answer.get("multiValueHeaders", {}).items():
            headers.setlist(name, values)
        return Response(data, HTTPStatus(answer["statusCode"]), headers)


def _joined(query: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Values of one name are one text, with commas between them."""
    values: dict[str, list[str]] = {}
    for name, value in query:
        values.setdefault(name, []).append(value)
    return [(name, ",".join(given)) for name, given in values.items()]
