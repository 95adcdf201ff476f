"""The routes of hooks, for those who have the token and may call the API; and webhooks, for all the world."""

from __future__ import annotations

import base64
import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic_core import from_json

from answers import json_response
from once import Once, derived_id
from parameters import Id
from worldflow.runtime import webhooks
from worldflow.worlds import AWSWorld

PUBLIC_ROUTE = "ANY /webhooks/{token}"

logger = Logger()


def hook_routes(world: AWSWorld, once: Once) -> APIGatewayHttpRouter:
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    @router.get("/hooks/<token>")
    def get_hook(token: Id) -> dict[str, Any]:
        hook = webhooks.get_hook(world, token)
        return {"token": hook.token, "run_id": hook.run_id, "hook_id": hook.hook_id, "metadata": hook.metadata}

    @router.post("/hooks/<token>")
    def resume_hook(token: Id) -> Response[Any]:
        body = router.current_event.decoded_body
        request = {"token": token, "value": from_json(body) if body else None}
        key = router.current_event.headers.get("idempotency-key")
        return json_response(202, once("hook", key, request, resume))

    def resume(request: dict[str, Any], id: str) -> dict[str, Any]:
        hook = webhooks.resume_hook(world, request["token"], request["value"], resume_id=id)
        logger.append_keys(run_id=hook.run_id)
        return {"run_id": hook.run_id, "hook_id": hook.hook_id, "resume_id": id}

    return router


def answer_webhook(world: AWSWorld, event: dict[str, Any]) -> dict[str, Any]:
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
