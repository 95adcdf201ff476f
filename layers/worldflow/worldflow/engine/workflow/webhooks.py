"""Webhooks: hooks that are reached by a URL of their own, and whose requests a workflow may answer."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, PrivateAttr

from worldflow.engine.errors import FieldError, InvalidInputError, WorldflowError
from worldflow.engine.history import HookResumed, Json, Replied
from worldflow.engine.texts import is_text
from worldflow.engine.workflow.inbox import Hook, Inbox

LONGEST_LIFE = timedelta(days=366)
"""For how long the URL of a webhook is good."""

RESPONSE_LIMIT = 4 * 1024 * 1024
"""Bytes of a response's body. All that serve webhooks can answer with that many: a replay decides the same anywhere."""

FAIL = ".fail"
"""The suffix of the URL that reports a failure."""

HEARTBEAT = ".heartbeat"
"""The suffix of the URL for heartbeats."""

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")


class WebhookRequest(BaseModel):
    """A request to a webhook. Header names are in lower case."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", defer_build=True)

    method: str
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    body: bytes = b""
    _answer: Any = PrivateAttr(None)

    def text(self) -> str:
        """The body as UTF-8 text. Raises `UnicodeDecodeError`."""
        return self.body.decode()

    def json(self, **_: Any) -> Any:
        """The body as JSON. Raises `ValueError`."""
        return json.loads(self.body)

    def respond(self, status: int = 200, body: Json | bytes = None, headers: Mapping[str, str] | None = None) -> None:
        """Answers the request. Call it once, and only if the webhook was created with `respond="workflow"`.

        body: a string, bytes, or a JSON value; at most 4 MB.
        Raises `InvalidInputError` for a response that HTTP does not allow or that is too large.
        """
        if self._answer is None:
            raise WorldflowError(
                "this request has already been answered: call respond() once, and only on requests to a webhook made "
                'with create_webhook(respond="workflow")'
            )
        answered = response(status, body, headers or {})
        answer, self._answer = self._answer, None
        answer(answered)


def response(status: int, body: Json | bytes, headers: Mapping[str, str]) -> dict[str, Json]:
    """An HTTP response as JSON. Its body is in base64. Raises `InvalidInputError`."""
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise InvalidInputError(f"{status!r} is not a valid status", [FieldError("status", "must be from 200 to 599")])
    if any(not _HEADER.fullmatch(f"{name}:{value}") for name, value in headers.items()):
        raise InvalidInputError("a header is not valid", [FieldError("headers", "must each be one line of text")])
    kind = "application/json"
    if isinstance(body, bytes):
        data, kind = body, "application/octet-stream"
    elif isinstance(body, str):
        if not is_text(body):
            raise InvalidInputError("the body is not valid", [FieldError("body", "must be encodable as UTF-8")])
        data, kind = body.encode(), "text/plain; charset=utf-8"
    else:
        data = b"" if body is None else json.dumps(body).encode()
    if len(data) > RESPONSE_LIMIT:
        problem = f"the body has {len(data)} bytes; the limit is {RESPONSE_LIMIT}"
        raise InvalidInputError(problem, [FieldError("body", f"must have at most {RESPONSE_LIMIT} bytes")])
    named = {name.lower(): value for name, value in headers.items()}
    return {
        "status": status,
        "headers": {"content-type": kind, **named},
        "body": base64.b64encode(data).decode(),
    }


class Webhook(Hook[WebhookRequest]):
    """A hook whose values are the requests to its `url`. Created by `create_webhook()`."""

    is_webhook = True

    def __init__(self, inbox: Inbox, hook_id: str, *, answers: bool, metadata: Json, life: float) -> None:
        self.url = inbox.run.webhook_url(hook_id, life)
        super().__init__(inbox, hook_id, self.url.rpartition("/")[2], metadata, WebhookRequest)
        self.answers = answers

    @property
    def fail_url(self) -> str:
        """A request to this URL makes awaiting the webhook raise `HookFailedError`, with the body as its text."""
        return f"{self.url}{FAIL}"

    @property
    def heartbeat_url(self) -> str:
        """A request to this URL is a heartbeat, for a webhook with a `heartbeat_timeout`."""
        return f"{self.url}{HEARTBEAT}"

    def _read(self, fact: HookResumed) -> WebhookRequest:
        request = super()._read(fact)
        if self.answers:
            request._answer = lambda answer: self._inbox.run.decide(Replied(fact_id=fact.fact_id, result=answer))
        return request
