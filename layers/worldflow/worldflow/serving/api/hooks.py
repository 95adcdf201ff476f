"""The routes of hooks, for callers of the API who have a hook's token."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import BaseModel, ConfigDict
from pydantic_core import from_json

from worldflow.runtime import webhooks
from worldflow.serving.api.errors import json_response
from worldflow.serving.api.idempotency import Idempotency
from worldflow.serving.api.parameters import Id
from worldflow.worlds import World

logger = Logger()


class FailRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    error: str


def hook_routes(world: World, idempotency: Idempotency) -> APIGatewayHttpRouter:
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
        return json_response(202, idempotency("hook", key, request, resume))

    def resume(request: dict[str, Any], id: str) -> dict[str, Any]:
        hook = webhooks.resume_hook(world, request["token"], request["value"], resume_id=id)
        logger.append_keys(run_id=hook.run_id)
        return {"run_id": hook.run_id, "hook_id": hook.hook_id, "resume_id": id}

    @router.post("/hooks/<token>/fail")
    def fail_hook(token: Id, request: FailRequest) -> Response[Any]:
        failed = {"token": token, "error": request.error}
        key = router.current_event.headers.get("idempotency-key")
        return json_response(202, idempotency("fail", key, failed, fail))

    def fail(request: dict[str, Any], id: str) -> dict[str, Any]:
        hook = webhooks.fail_hook(world, request["token"], request["error"], resume_id=id)
        logger.append_keys(run_id=hook.run_id)
        return {"run_id": hook.run_id, "hook_id": hook.hook_id, "resume_id": id}

    @router.post("/hooks/<token>/heartbeat")
    def heartbeat_hook(token: Id) -> Response[Any]:
        hook = webhooks.heartbeat_hook(world, token)
        logger.append_keys(run_id=hook.run_id)
        return json_response(202, {"run_id": hook.run_id, "hook_id": hook.hook_id})

    return router
