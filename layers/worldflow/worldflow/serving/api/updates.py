"""The route of updates, which a run's workflow answers."""

from __future__ import annotations

import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import BaseModel, ConfigDict

from worldflow import RunBlockedError
from worldflow.engine.history import Replied
from worldflow.runtime import updates
from worldflow.serving.api.errors import json_response, refuse_failure
from worldflow.serving.api.parameters import Id
from worldflow.worlds import World

PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, *[1.0] * 18)
"""Seconds between two looks for an answer: some 20 in all, of the 29 that the function has."""

logger = Logger()


class UpdateRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    args: list[Any] = []


def update_routes(world: World) -> APIGatewayHttpRouter:
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    @router.post("/runs/<run_id>/updates/<name>")
    def update_run(run_id: Id, name: Id, request: UpdateRequest | None = None) -> Response[Any]:
        logger.append_keys(run_id=run_id)
        # The run's history makes sure that an update is done once, and gives the same answer to a repeated request.
        key = router.current_event.headers.get("idempotency-key") or None
        args = tuple(request.args if request else ())
        update = updates.send_update(world, run_id, name, args, update_id=key)
        reply, update_id = wait_for_answer(update), update.fact_id.removeprefix("update/")
        if reply is None:
            return json_response(202, {"run_id": run_id, "update_id": update_id})
        if reply.error:
            return refuse_failure(reply.error)
        return json_response(200, {"update_id": update_id, "result": reply.result})

    def wait_for_answer(update: updates.PendingUpdate) -> Replied | None:
        try:
            for pause in PAUSES:
                if reply := updates.look_for_answer(world, update):
                    return reply
                time.sleep(pause)
            return updates.look_for_answer(world, update)
        except RunBlockedError:
            return None  # it is answered when the run's code is fixed

    return router
