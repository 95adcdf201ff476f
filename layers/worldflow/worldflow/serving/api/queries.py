"""The route of queries, which look at what a run's workflow publishes."""

from __future__ import annotations

from typing import Annotated, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from worldflow.engine.history.failures import encode_exception
from worldflow.runtime import queries
from worldflow.serving.api.errors import json_response, refuse_failure
from worldflow.serving.api.parameters import Id, read_arguments
from worldflow.worlds import World

logger = Logger()


def query_routes(world: World) -> APIGatewayHttpRouter:
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    @router.get("/runs/<run_id>/queries/<name>")
    def query_run(run_id: Id, name: Id, args: Annotated[str | None, Query()] = None) -> Response[Any]:
        logger.append_keys(run_id=run_id)
        told = queries.ask(world, run_id, name, read_arguments(args))
        if told.error is not None:
            return refuse_failure(encode_exception(told.error))
        return json_response(200, {"result": told.value})

    return router
