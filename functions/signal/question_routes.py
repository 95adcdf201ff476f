"""The routes of questions to a run's workflow: updates, which it answers, and queries, which look."""

from __future__ import annotations

import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import BaseModel, ConfigDict

from answers import json_response, refusal, refuse_input
from parameters import Id
from worldflow import InvalidInputError, RunBlockedError
from worldflow.engine.history import Failure, Replied
from worldflow.engine.history.failures import decode_exception, encode_exception
from worldflow.runtime import queries, updates
from worldflow.worlds import AWSWorld

PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, *[1.0] * 18)
"""Seconds between two looks for an answer: some 20 in all, of the 29 that the function has."""

logger = Logger()


class UpdateRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    args: list[Any] = []


def question_routes(world: AWSWorld) -> APIGatewayHttpRouter:
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    @router.post("/runs/<run_id>/updates/<name>")
    def update_run(run_id: Id, name: Id, request: UpdateRequest | None = None) -> Response[Any]:
        logger.append_keys(run_id=run_id)
        # Its history makes sure that an update is done once, and gives the answer to whoever asks again.
        key = router.current_event.headers.get("idempotency-key") or None
        args = tuple(request.args if request else ())
        update = updates.send_update(world, run_id, name, args, update_id=key)
        reply, update_id = wait_for_answer(update), update.fact_id.removeprefix("update/")
        if reply is None:
            return json_response(202, {"run_id": run_id, "update_id": update_id})
        if reply.error:
            return refuse(reply.error)
        return json_response(200, {"update_id": update_id, "result": reply.result})

    def wait_for_answer(update: updates.PendingUpdate) -> Replied | None:
        try:
            for pause in PAUSES:
                if reply := updates.look_for_answer(world, update):
                    return reply
                time.sleep(pause)
            return updates.look_for_answer(world, update)
        except RunBlockedError:
            return None  # it is answered when the run's code is mended

    @router.get("/runs/<run_id>/queries/<name>")
    def query_run(run_id: Id, name: Id) -> Response[Any]:
        logger.append_keys(run_id=run_id)
        told = queries.ask(world, run_id, name)
        if told.error is not None:
            return refuse(encode_exception(told.error))
        return json_response(200, {"result": told.value})

    return router


def refuse(failure: Failure) -> Response[Any]:
    """What the workflow's code raised: the handler of an update, or what it publishes."""
    error = decode_exception(failure)
    if isinstance(error, InvalidInputError):
        return refuse_input(error)
    return refusal(409, failure.type.rpartition(":")[2], failure.message)
