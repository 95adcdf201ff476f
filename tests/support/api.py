"""A client of the API, whose requests go to the function of `functions/signal` as API Gateway sends them."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.aws import WEBHOOK_URL, Stack
from tests.support.lambdas import Context, function, http_event
from worldflow.worlds import AWSWorld


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    data: bytes

    @property
    def text(self) -> str:
        return self.data.decode()

    @property
    def body(self) -> Any:
        return json.loads(self.data)

    @property
    def error(self) -> dict[str, Any]:
        """What is wrong, of an answer that says so in the API's own way."""
        assert self.headers["Content-Type"] == "application/json"
        assert list(self.body) == ["error"], self.body
        error: dict[str, Any] = self.body["error"]
        assert list(error) == ["type", "message", "fields"]
        assert all(set(field) == {"field", "message"} for field in error["fields"])
        return error

    @property
    def fields(self) -> list[str]:
        return [field["field"] for field in self.error["fields"]]


class Api:
    def __init__(self, stack: Stack, world: AWSWorld) -> None:
        self.stack = stack
        self.world = world

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
        encoded: bool = False,
    ) -> Answer:
        """key: the `Idempotency-Key`."""
        headers = (headers or {}) | ({"Idempotency-Key": key} if key else {})
        return self.send(http_event(method, path, body, headers=headers, query=query, encoded=encoded))

    def webhook(
        self,
        url: str,
        method: str = "POST",
        body: str | bytes | None = None,
        *,
        headers: dict[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
        cookies: Sequence[str] = (),
    ) -> Answer:
        """A request to the public route, which nobody signed."""
        base, _, token = url.rpartition("/")
        assert base == WEBHOOK_URL
        event = http_event(method, f"/webhooks/{token}", body, headers=headers, query=query)
        event |= {"routeKey": "ANY /webhooks/{token}", "pathParameters": {"token": token}}
        if "content-type" not in {name.lower() for name in headers or {}}:
            del event["headers"]["content-type"]
        del event["requestContext"]["authorizer"]
        if cookies:
            event["cookies"] = list(cookies)
        return self.send(event)

    def signed_stream(
        self,
        url: str,
        method: str = "GET",
        *,
        headers: dict[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """A request to the public route of streams."""
        base, _, token = url.rpartition("/")
        assert base == WEBHOOK_URL.replace("/webhooks", "/streams")
        event = http_event(method, f"/streams/{token}", headers=headers, query=query)
        event |= {"routeKey": "ANY /streams/{token}", "pathParameters": {"token": token}}
        del event["requestContext"]["authorizer"]
        return self.send(event)

    def send(self, event: dict[str, Any]) -> Answer:
        answer = function("signal").handler(event, Context(function_name="signal"))
        json.dumps(answer)
        headers = {**answer.get("headers", {}), **{k: v[0] for k, v in answer.get("multiValueHeaders", {}).items()}}
        body = answer.get("body", "")
        return Answer(
            answer["statusCode"], headers, b64decode(body) if answer.get("isBase64Encoded") else body.encode()
        )

    def post(self, path: str, body: Any = None, **fields: Any) -> Answer:
        return self("POST", path, body, **fields)

    def get(self, path: str, *query: tuple[str, str]) -> Answer:
        return self("GET", path, query=query)
