"""The HTTP API. Its routes are in the modules beside this one: runs, questions to them, hooks and schedules.

With an `Idempotency-Key` header a repeated start, signal, retry or value for a hook does nothing and gets the first
one's answer. Errors are JSON: see `answers.py`.
"""

from __future__ import annotations

import gc

gc.disable()  # until all is imported, which stays: nothing in it is garbage to look for

import worldflow  # noqa: F401 - first: it says so if the layers are for another machine

# isort: split

import base64
import json
import logging
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic_core import from_json, to_json

from answers import NO_TEXT, UNREADABLE, add_refusals
from hook_routes import PUBLIC_ROUTE, answer_webhook, hook_routes
from once import Once
from question_routes import question_routes
from run_routes import read_input, run_routes
from schedule_routes import schedule_routes
from sizes import carried
from worldflow.engine.history import dump_value
from worldflow.engine.privacy import quiet
from worldflow.runtime import load_workflows
from worldflow.runtime.callers import asked_by
from worldflow.serving.metrics import Meter
from worldflow.serving.powertools import own_logger, traced
from worldflow.worlds import AWSWorld

logger = own_logger()
app = APIGatewayHttpResolver(
    enable_validation=True, serializer=lambda body: to_json(body, inf_nan_mode="null").decode()
)

copy_config_to_registered_loggers(logger, include={"worldflow"})
# Logs what a route raises with its text, which may be anybody's data. `quiet` below raises it without.
logging.getLogger("aws_lambda_powertools.event_handler.api_gateway").disabled = True
world = AWSWorld()
meter = Meter(world)
load_workflows(world.settings.workflows)
once = Once(world.settings.runs_table)

for routes in (
    run_routes(world, once),
    question_routes(world),
    hook_routes(world, once),
    schedule_routes(world, read_input),
):
    app.include_router(routes)
add_refusals(app)

gc.freeze()
gc.enable()


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


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP, clear_state=True)
@traced
@meter.metered
@quiet
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    once.config.register_lambda_context(context)
    if not is_text(event):
        return NO_TEXT
    # What came without a signature goes nowhere else.
    if event["routeKey"] == PUBLIC_ROUTE:
        return carried(answer_webhook(world, event))
    # Every body is JSON, whatever `curl -d` calls it.
    event["headers"] = {**event.get("headers", {}), "content-type": "application/json"}
    if not is_readable(event):
        return UNREADABLE
    with asked_by(event["headers"].get("traceparent")):
        return carried(app.resolve(event, context))
