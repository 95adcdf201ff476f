"""The route of updates, which a run's workflow answers."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Literal

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import BaseModel, ConfigDict

from worldflow import RunBlockedError
from worldflow.engine.history import Replied
from worldflow.engine.workflow.definitions import find_workflow
from worldflow.runtime import updates
from worldflow.serving.api.errors import json_response, refuse_failure
from worldflow.serving.api.parameters import Id, fields_of, read_input
from worldflow.worlds import World

PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, *[1.0] * 18)
"""Seconds between two looks for an answer: some 20 in all, of the 29 that the function has."""

logger = Logger()


class FirstStart(BaseModel):
    model_config = ConfigDict(extra="forbid")

    workflow: str
    input: dict[str, Any] = {}


class UpdateRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    args: list[Any] = []
    start: FirstStart | None = None
    """The run to start for the update, if there is none of this id, or if the last has ended."""
    wait_for: Literal["answer", "acceptance"] = "answer"


def update_routes(world: World) -> APIGatewayHttpRouter:
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    @router.post("/runs/<run_id>/updates/<name>")
    def update_run(run_id: Id, name: Id, request: UpdateRequest | None = None) -> Response[Any]:
        logger.append_keys(run_id=run_id)
        # The run's history makes sure that an update is done once, and gives the same answer to a repeated request.
        key = router.current_event.headers.get("idempotency-key") or None
        update = send(run_id, name, request or UpdateRequest(), key)
        update_id = update.fact_id.removeprefix("update/")
        accepted = request is not None and request.wait_for == "acceptance"
        reply = wait_for_acceptance(update) if accepted else wait_for_answer(update)
        if reply is None:
            return json_response(202, {"run_id": run_id, "update_id": update_id})
        if reply.error:
            return refuse_failure(reply.error)
        return json_response(200, {"update_id": update_id, "result": reply.result})

    def send(run_id: str, name: str, request: UpdateRequest, key: str | None) -> updates.PendingUpdate:
        if request.start is None:
            return updates.send_update(world, run_id, name, tuple(request.args), update_id=key)
        with fields_of("start"):
            workflow = find_workflow(request.start.workflow)
            input = read_input(workflow, request.start.input)
        begin = partial(updates.update_with_start, world, run_id, workflow, input)
        return begin(name=name, args=request.args, update_id=key)

    def wait_for_acceptance(update: updates.PendingUpdate) -> Replied | None:
        """The refusal of an update, if it is refused."""
        try:
            for pause in PAUSES:
                reply = updates.look_for_answer(world, update)
                if update.was_received or reply:
                    return None if update.was_received else reply
                time.sleep(pause)
        except RunBlockedError:
            pass  # it is accepted when the run's code is fixed
        return None

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
