"""What the API answers, and how it refuses: `{"error": {"type", "message", "fields": [{"field", "message"}]}}`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyValidationError,
)

from worldflow import (
    HookNotFoundError,
    InvalidInputError,
    LimitNotFoundError,
    NonDeterminismError,
    QueryNotFoundError,
    RunArchivedError,
    RunBlockedError,
    RunEndedError,
    RunExistsError,
    RunNotFoundError,
    ScheduleExistsError,
    ScheduleNotFoundError,
    SerializationError,
    WorkflowStuckError,
)
from worldflow.engine.errors import ConflictError, FieldError
from worldflow.engine.history import Failure
from worldflow.engine.history.failures import decode_exception


def at_once(status: int, type_name: str, message: str, fields: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
    """A refusal of what goes to no route, or comes from none."""
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps({"error": {"type": type_name, "message": message, "fields": fields}}),
        "isBase64Encoded": False,
    }


UNREADABLE = at_once(
    400,
    "MalformedBodyError",
    "the body is not valid JSON",
    [{"field": "body", "message": "must be JSON in UTF-8, and not too deeply nested"}],
)
NO_TEXT = at_once(400, "MalformedRequestError", "the request contains invalid UTF-8")

STATES: dict[type[Exception], tuple[int, str | None]] = {
    RunNotFoundError: (404, "run_id"),
    HookNotFoundError: (404, "token"),
    QueryNotFoundError: (404, "name"),
    LimitNotFoundError: (404, "name"),
    ScheduleNotFoundError: (404, "schedule_id"),
    RunBlockedError: (409, "run_id"),
    RunEndedError: (409, "run_id"),
    RunArchivedError: (409, "run_id"),
    RunExistsError: (409, "run_id"),
    ScheduleExistsError: (409, "schedule_id"),
    NonDeterminismError: (409, None),
    ConflictError: (409, None),
    WorkflowStuckError: (409, None),
}
"""The status of an answer that says how things are, and the field of the request that is about them."""


def json_response(status: int, body: Any) -> Response[Any]:
    return Response(status, content_types.APPLICATION_JSON, body)


def refusal(status: int, type_name: str, message: str, fields: Sequence[FieldError] = ()) -> Response[Any]:
    details = [{"field": field.field, "message": field.message} for field in fields]
    return json_response(status, {"error": {"type": type_name, "message": message, "fields": details}})


def refuse_input(error: InvalidInputError) -> Response[Any]:
    return refusal(422, type(error).__name__, error.summary, error.fields)


def refuse_failure(failure: Failure) -> Response[Any]:
    """What the workflow's code raised: the handler of an update, or what it publishes."""
    error = decode_exception(failure)
    if isinstance(error, InvalidInputError):
        return refuse_input(error)
    return refusal(409, failure.type.rpartition(":")[2], failure.message)


def refuse_request(error: RequestValidationError) -> Response[Any]:
    fields = [FieldError(".".join(map(str, detail["loc"])), detail["msg"]) for detail in error.errors()]
    return refuse_input(InvalidInputError("the request is not valid", fields))


def refuse_state(error: Exception) -> Response[Any]:
    status, field = next(STATES[cls] for cls in type(error).__mro__ if cls in STATES)
    return refusal(status, type(error).__name__, str(error), [FieldError(field, str(error))] if field else [])


def refuse_concurrent(error: IdempotencyAlreadyInProgressError) -> Response[Any]:
    message = "a request with this Idempotency-Key is still in progress; retry later"
    return refusal(409, "InvalidInputError", message, [FieldError("Idempotency-Key", "in use")])


def refuse_reuse(error: IdempotencyValidationError) -> Response[Any]:
    fields = [FieldError("Idempotency-Key", "belongs to another request")]
    return refuse_input(InvalidInputError("this Idempotency-Key was already used for another request", fields))


def refuse_value(error: SerializationError) -> Response[Any]:
    return refusal(422, "SerializationError", str(error), [FieldError(error.path, str(error))])


def refuse_path(error: Exception) -> Response[Any]:
    return refusal(404, "PathNotFoundError", "there is no such path")


def add_refusals(app: APIGatewayHttpResolver) -> None:
    """Makes answers of the errors that a request may meet."""
    app.exception_handler(RequestValidationError)(refuse_request)
    app.exception_handler(list(STATES))(refuse_state)
    app.exception_handler(IdempotencyAlreadyInProgressError)(refuse_concurrent)
    app.exception_handler(IdempotencyValidationError)(refuse_reuse)
    app.exception_handler(InvalidInputError)(refuse_input)
    app.exception_handler(SerializationError)(refuse_value)
    app.not_found(refuse_path)
