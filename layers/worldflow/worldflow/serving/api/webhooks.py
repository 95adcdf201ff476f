"""Webhooks, which are open to all the world: the token in the path is who may call."""

from __future__ import annotations

import base64
import time
from typing import Any

from worldflow.runtime import webhooks
from worldflow.serving.api.idempotency import derived_id
from worldflow.worlds import World

PUBLIC_ROUTE = "ANY /webhooks/{token}"


def answer_webhook(world: World, event: dict[str, Any]) -> dict[str, Any]:
    """Answers a request to a webhook: of any method, with any body. The token in its path is all that it needs."""
    token, body = event["pathParameters"]["token"], event.get("body") or ""
    headers = dict(event.get("headers", {}))
    if cookies := event.get("cookies"):
        headers["cookie"] = "; ".join(cookies)
    key = headers.get("idempotency-key")
    answer = webhooks.receive(
        world,
        token,
        method=event["requestContext"]["http"]["method"],
        body=base64.b64decode(body) if event.get("isBase64Encoded") else body.encode(),
        headers=headers,
        query=event.get("queryStringParameters"),
        request_id=derived_id(f"{token}:{key}") if key else None,
        sleep=time.sleep,
    )
    return {
        "statusCode": answer.status,
        "headers": dict(answer.headers),
        "body": base64.b64encode(answer.body).decode(),
        "isBase64Encoded": True,
    }
