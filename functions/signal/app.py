"""The HTTP API: start, list, read, signal and cancel runs; and schedules, which are in `schedule_routes.py`.

With an `Idempotency-Key` header a repeated start or signal does nothing and gets the first one's answer. Errors are
JSON: `{"error": {"type", "message", "fields": [{"field", "message"}]}}`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from typing import Annotated, Any, Literal

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyValidationError,
)
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict
from pydantic_core import from_json, to_json

from schedule_routes import schedule_routes
from worldflow import (
    InvalidInputError,
    RunEndedError,
    RunExistsError,
    RunNotFoundError,
    ScheduleExistsError,
    ScheduleNotFoundError,
    WorldflowError,
)
from worldflow.engine.definitions import Workflow, find_workflow
from worldflow.engine.errors import FieldError
from worldflow.engine.history import dump_value
from worldflow.runtime import load_workflows, requests
from worldflow.worlds import AWSWorld

DAY = 86_400

logger = Logger()
tracer = Tracer()
metrics = Metrics()
app = APIGatewayHttpResolver(
    enable_validation=True, serializer=lambda body: to_json(body, inf_nan_mode="null").decode()
)

copy_config_to_registered_loggers(logger, include={"worldflow"})
world = AWSWorld()
load_workflows(world.settings.workflows)

idempotency = IdempotencyConfig(
    event_key_jmespath="key",
    payload_validation_jmespath="request",
    raise_on_no_idempotency_key=True,
    expires_after_seconds=DAY,
)
once = idempotent_function(
    data_keyword_argument="call",
    persistence_store=DynamoDBPersistenceLayer(world.settings.runs_table, key_attr="run_id", expiry_attr="expires_at"),
    config=idempotency,
    key_prefix="idempotency",
)

UNREADABLE = {
    "statusCode": 400,
    "headers": {"Content-Type": "application/json"},
    "body": '{"error":{"type":"MalformedBodyError","message":"the body is not JSON that can be read",'
    '"fields":[{"field":"body","message":"must be JSON, of UTF-8, and not too deep"}]}}',
    "isBase64Encoded": False,
}

Status = Literal["running", "completed", "failed", "cancelled", "continued", "blocked"]


class StartRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    workflow: str
    input: dict[str, Any] = {}
    run_id: str | None = None


@app.post("/runs")
def start_run(request: StartRequest) -> Response[Any]:
    call = {"key": idempotency_key("start"), "request": {"start": request.model_dump(mode="json")}}
    answer = start_once(call=call) if call["key"] else start(call=call)
    return json_response(201 if answer.pop("created") else 200, answer)


def start(*, call: dict[str, Any]) -> dict[str, Any]:
    request = StartRequest(**call["request"]["start"])
    workflow = find_workflow(request.workflow)
    arguments = read_input(workflow, request.input)
    run_id = derived_id(call["key"]) if request.run_id is None else request.run_id
    logger.append_keys(run_id=run_id)
    record, created = requests.start(world, run_id, workflow, arguments)
    metrics.add_metric("RunsStarted", MetricUnit.Count, int(created))
    status = "pending" if created else record.status
    return {"run_id": run_id, "workflow": record.workflow_name, "status": status, "created": created}


@app.get("/runs")
def list_runs(
    status: Annotated[Status | None, Query()] = None,
    workflow: Annotated[str | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query()] = None,
) -> dict[str, Any]:
    page = world.list_runs(status=status, workflow=workflow, limit=limit, cursor=cursor)
    return {"runs": [record.describe() for record in page.runs], "cursor": page.cursor}


@app.get("/runs/<run_id>")
def get_run(run_id: str) -> dict[str, Any]:
    return world.read_run(run_id).describe()


@app.get("/runs/<run_id>/events")
def get_events(
    run_id: str, after: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=1000)] = 500
) -> dict[str, Any]:
    events = world.read_events(run_id, after)
    shown = [
        {"event_type": event.event_type, "seq": event.seq, "at": event.at, "payload": event.payload}
        for event in events[:limit]
    ]
    return {"events": shown, "after": shown[-1]["seq"] if len(events) > limit else None}


@app.post("/runs/<run_id>/signals/<name>")
def signal_run(run_id: str, name: str) -> Response[Any]:
    request = {"run_id": run_id, "name": name, "value": json_body()}
    call = {"key": idempotency_key("signal"), "request": {"signal": request}}
    return json_response(202, signal_once(call=call) if call["key"] else signal(call=call))


def signal(*, call: dict[str, Any]) -> dict[str, Any]:
    request = call["request"]["signal"]
    logger.append_keys(run_id=request["run_id"])
    signal_id = requests.signal(
        world, request["run_id"], request["name"], request["value"], signal_id=derived_id(call["key"])
    )
    return {"run_id": request["run_id"], "signal_id": signal_id}


@app.post("/runs/<run_id>/cancel")
def cancel_run(run_id: str) -> Response[Any]:
    logger.append_keys(run_id=run_id)
    requests.cancel(world, run_id)
    return json_response(202, {"run_id": run_id})


start_once = once(start)
signal_once = once(signal)


def read_input(workflow: Workflow[..., Any], input: dict[str, Any]) -> dict[str, Any]:
    try:
        return workflow.signature.decode(input)
    except InvalidInputError as error:
        raise InvalidInputError(
            error.summary, [FieldError(f"input.{e.field}", e.message) for e in error.fields]
        ) from None


app.include_router(schedule_routes(world, read_input))


def idempotency_key(operation: str) -> str | None:
    key = app.current_event.headers.get("idempotency-key")
    return f"{operation}:{key}" if key else None


def derived_id(key: str | None) -> str:
    """An id that a repeated request has too, also where the first one died before it could say what it did."""
    return hashlib.sha256(key.encode()).hexdigest()[:32] if key else uuid.uuid4().hex


def json_body() -> Any:
    body = app.current_event.decoded_body
    return from_json(body) if body else None


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


def json_response(status: int, body: Any) -> Response[Any]:
    return Response(status, content_types.APPLICATION_JSON, body)


def refusal(status: int, error: Exception, fields: list[FieldError] | tuple[FieldError, ...] = ()) -> Response[Any]:
    message = error.summary if isinstance(error, InvalidInputError) else str(error)
    details = [{"field": field.field, "message": field.message} for field in fields]
    return json_response(status, {"error": {"type": type(error).__name__, "message": message, "fields": details}})


@app.exception_handler(RequestValidationError)
def refuse_request(error: RequestValidationError) -> Response[Any]:
    fields = [FieldError(".".join(map(str, detail["loc"])), detail["msg"]) for detail in error.errors()]
    return refusal(422, InvalidInputError("the request does not fit", fields), fields)


@app.exception_handler(InvalidInputError)
def refuse_input(error: InvalidInputError) -> Response[Any]:
    return refusal(422, error, error.fields)


@app.exception_handler(RunNotFoundError)
def refuse_unknown(error: RunNotFoundError) -> Response[Any]:
    return refusal(404, error, [FieldError("run_id", str(error))])


@app.exception_handler([RunEndedError, RunExistsError])
def refuse_state(error: WorldflowError) -> Response[Any]:
    return refusal(409, error, [FieldError("run_id", str(error))])


@app.exception_handler(ScheduleNotFoundError)
def refuse_unknown_schedule(error: ScheduleNotFoundError) -> Response[Any]:
    return refusal(404, error, [FieldError("schedule_id", str(error))])


@app.exception_handler(ScheduleExistsError)
def refuse_other_schedule(error: ScheduleExistsError) -> Response[Any]:
    return refusal(409, error, [FieldError("schedule_id", str(error))])


@app.exception_handler(IdempotencyAlreadyInProgressError)
def refuse_concurrent(error: IdempotencyAlreadyInProgressError) -> Response[Any]:
    busy = InvalidInputError("a request with this Idempotency-Key is being handled; try again")
    return refusal(409, busy, [FieldError("Idempotency-Key", "in use")])


@app.exception_handler(IdempotencyValidationError)
def refuse_reuse(error: IdempotencyValidationError) -> Response[Any]:
    reused = InvalidInputError("this Idempotency-Key came with another request before")
    return refusal(422, reused, [FieldError("Idempotency-Key", "belongs to another request")])


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP, clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics(capture_cold_start_metric=True, raise_on_empty_metrics=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    idempotency.register_lambda_context(context)
    metrics.add_metric("Requests", MetricUnit.Count, 1)
    # Every body is JSON, whatever `curl -d` calls it.
    event["headers"] = {**event.get("headers", {}), "content-type": "application/json"}
    if not is_readable(event):
        return UNREADABLE
    return app.resolve(event, context)
