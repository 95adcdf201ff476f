"""The routes and errors of the API put together, and what is refused before a route is looked for."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.utilities.idempotency import BasePersistenceLayer
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic_core import from_json, to_json

from worldflow.engine.history import dump_value
from worldflow.runtime.callers import asked_by
from worldflow.serving.api.describing import carried
from worldflow.serving.api.errors import NO_TEXT, UNREADABLE, add_refusals
from worldflow.serving.api.hooks import hook_routes
from worldflow.serving.api.idempotency import Idempotency
from worldflow.serving.api.limits import limit_routes
from worldflow.serving.api.queries import query_routes
from worldflow.serving.api.runs import run_routes
from worldflow.serving.api.schedules import schedule_routes
from worldflow.serving.api.streams import STREAM_ROUTE, answer_reader, stream_routes
from worldflow.serving.api.updates import update_routes
from worldflow.serving.api.webhooks import PUBLIC_ROUTE, answer_webhook
from worldflow.serving.api.workflows import workflow_routes
from worldflow.worlds import World


def log_the_engine(logger: Logger) -> None:
    """Has the engine log as the function does."""
    copy_config_to_registered_loggers(logger, include={"worldflow"})


class Application:
    """Answers a request, as API Gateway sends it.

    answers: keeps those of requests with an `Idempotency-Key`.
    resolver: the kind that finds the route. Powertools' own takes one request at a time.
    """

    def __init__(
        self,
        world: World,
        answers: BasePersistenceLayer,
        resolver: type[APIGatewayHttpResolver] = APIGatewayHttpResolver,
    ) -> None:
        # It logs what a route raises, and that text may be anybody's data.
        logging.getLogger("aws_lambda_powertools.event_handler.api_gateway").disabled = True
        self._world = world
        self._idempotency = Idempotency(answers)
        self.resolver = resolver(
            enable_validation=True, serializer=lambda body: to_json(body, inf_nan_mode="null").decode()
        )
        for routes in (
            run_routes(world, self._idempotency),
            update_routes(world),
            query_routes(world),
            hook_routes(world, self._idempotency),
            schedule_routes(world),
            limit_routes(world),
            workflow_routes(world),
            stream_routes(world),
        ):
            self.resolver.include_router(routes)
        add_refusals(self.resolver)

    def __call__(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        self._idempotency.config.register_lambda_context(context)
        if not is_text(event):
            return NO_TEXT
        # What came without a signature goes nowhere else.
        if event["routeKey"] == PUBLIC_ROUTE:
            return carried(answer_webhook(self._world, event))
        # Every body is JSON, whatever `curl -d` calls it.
        event["headers"] = {**event.get("headers", {}), "content-type": "application/json"}
        if not is_readable(event):
            return UNREADABLE
        if event["routeKey"] == STREAM_ROUTE:
            return carried(answer_reader(self._world, event, lambda read: self.resolver.resolve(read, context)))
        with asked_by(event["headers"].get("traceparent")):
            return carried(self.resolver.resolve(event, context))


def is_text(event: dict[str, Any]) -> bool:
    """Whether UTF-8 carries the event: an escape in JSON may be half a character."""
    try:
        to_json(event)
    except ValueError:
        return False
    return True


def is_readable(event: dict[str, Any]) -> bool:
    """Whether the body, if there is one, is JSON that all readers after this can read."""
    body = (event.get("body") or "").encode()
    try:
        text = base64.b64decode(body) if event.get("isBase64Encoded") else body
        if text:
            dump_value(from_json(text, allow_inf_nan=False))
            json.loads(text)  # which Powertools uses, and which has a limit for numbers
    except (ValueError, RecursionError):
        return False
    return True
