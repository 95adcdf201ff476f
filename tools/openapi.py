"""`make openapi`: writes docs/openapi.json, the OpenAPI document of the HTTP API.

Paths, parameters and bodies are those that the function's own routes check requests by. What its code does not say, and
what no request should have to load, is added here: answers, errors, headers, and who may call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import worldflow
from worldflow.serving.api.application import Application
from worldflow.serving.api.idempotency import in_table
from worldflow.settings import Settings
from worldflow.worlds import AWSWorld, RunRecord, ScheduleRecord

PATH = Path(__file__).parents[1] / "docs/openapi.json"

Schema = dict[str, Any]

ANYTHING: Schema = {}
TEXT: Schema = {"type": "string"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NULLABLE_TEXT: Schema = {"type": ["string", "null"]}
NULLABLE_COUNT: Schema = {"type": ["integer", "null"], "minimum": 0}
NAME: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}$"}
STATUSES = ["pending", "running", "completed", "failed", "cancelled", "continued", "blocked", "paused"]


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def record(required: Mapping[str, Schema], **optional: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


OMITTED: Schema = {
    "type": "object",
    "description": "Fields that are omitted because they are too large for a response, with their sizes in bytes.",
    "additionalProperties": COUNT,
}
SCHEMAS: dict[str, Schema] = {
    "Error": record(
        {
            "error": record(
                {
                    "type": TEXT,
                    "message": TEXT,
                    "fields": {"type": "array", "items": record({"field": TEXT, "message": TEXT})},
                }
            )
        }
    ),
    "GatewayError": {
        **record({"message": {"type": ["string", "null"]}}),
        "description": "Returned by API Gateway, which rejected the request.",
    },
    "Started": record({"run_id": TEXT, "workflow": TEXT, "status": {"enum": STATUSES}}, signal_id=TEXT),
    "RunPage": record({"runs": {"type": "array", "items": ref("Run")}, "cursor": {"type": ["string", "null"]}}),
    "Event": record({"event_type": TEXT, "seq": COUNT, "at": MOMENT, "payload": {"type": "object"}}, omitted=OMITTED),
    "EventPage": record(
        {"events": {"type": "array", "items": ref("Event")}, "after": {"type": ["integer", "null"]}},
    ),
    "Streams": record({"streams": {"type": "array", "items": TEXT}}),
    "StreamPage": record(
        {
            "items": {"type": "array", "items": {"anyOf": [ref("StreamItem"), ref("StreamReset")]}},
            "next": COUNT,
            "ended": {"type": "boolean"},
        }
    ),
    "StreamItem": {
        **record({"offset": COUNT, "value": ANYTHING, "step_id": NULLABLE_TEXT, "attempt": NULLABLE_COUNT}),
        "description": "A value, and the step's attempt that wrote it; null if the workflow itself did.",
    },
    "StreamReset": {
        **record(
            {
                "offset": COUNT,
                "reset": {"const": True},
                "step_id": NULLABLE_TEXT,
                "attempt": NULLABLE_COUNT,
                "since": COUNT,
            }
        ),
        "description": "What this step, or the workflow itself, wrote from offset `since` on is void: a later attempt "
        "of the step, or a retry of the run, begins again.",
    },
    "OfRun": record({"run_id": TEXT}),
    "Woken": record({"run_id": TEXT, "woken": COUNT}),
    "Signalled": record({"run_id": TEXT, "signal_id": TEXT}),
    "Again": record({"run_id": TEXT, "workflow": TEXT}),
    "Updated": record({"update_id": TEXT, "result": ANYTHING}),
    "UpdateSent": record({"run_id": TEXT, "update_id": TEXT}),
    "Queried": record({"result": ANYTHING}),
    "Hook": record({"token": TEXT, "run_id": TEXT, "hook_id": TEXT, "metadata": ANYTHING}),
    "Resumed": record({"run_id": TEXT, "hook_id": TEXT, "resume_id": TEXT}),
    "Reported": record({"run_id": TEXT, "hook_id": TEXT}),
    "PausedWorkflows": record({"workflows": {"type": "array", "items": ref("PausedWorkflow")}}),
    "PausedWorkflow": record({"workflow": TEXT, "at": MOMENT, "ending": {"type": "boolean"}}, reason=TEXT, by=TEXT),
    "UnpausedWorkflow": record({"workflow": TEXT, "unpaused": COUNT, "complete": {"type": "boolean"}}),
    "Limits": record({"limits": {"type": "array", "items": ref("Limit")}}),
    "Limit": record(
        {
            "name": TEXT,
            "key": TEXT,
            "concurrency": NULLABLE_COUNT,
            "rate": NULLABLE_TEXT,
            "burst": NULLABLE_COUNT,
            "changed": {"type": "boolean"},
            "holders": {"type": "array", "items": ref("PlaceAtLimit")},
            "waiting": {"type": "array", "items": ref("PlaceAtLimit")},
        }
    ),
    "PlaceAtLimit": record(
        {
            "run_id": TEXT,
            "step_id": NULLABLE_TEXT,
            "attempt": NULLABLE_COUNT,
            "since": MOMENT,
            "priority": {"type": "integer"},
            "fairness": NULLABLE_TEXT,
        }
    ),
    "Backfilled": record(
        {
            "schedule_id": TEXT,
            "runs": {"type": "array", "items": record({"run_id": TEXT, "created": {"type": "boolean"}})},
        }
    ),
    "Triggered": record({"schedule_id": TEXT, "run_id": TEXT}),
    "SchedulePage": record(
        {"schedules": {"type": "array", "items": ref("Schedule")}, "cursor": {"type": ["string", "null"]}}
    ),
}
"""What is answered, besides what records of the engine are."""

GATEWAY = {
    401: "The token is missing or invalid. Only if the stack authorises with JWT.",
    403: "The request is not signed, or the caller has no permission for the route.",
    429: "Throttled: too many requests.",
}
"""What API Gateway answers itself."""

REFUSALS = {
    400: "The body is not valid JSON, or the request contains invalid UTF-8.",
    404: "Not found.",
    409: "Conflicts with the current state: the run has ended, the id is taken, or the key is in use.",
    410: "The run has ended, or no longer accepts requests.",
    413: "The request or its response is too large.",
    422: "The request is not valid; `fields` lists what is wrong.",
}


class Operation(NamedTuple):
    summary: str
    answers: Mapping[int, str | None]
    """The schema for each status of an answer that is no refusal; None for one that is empty."""
    refusals: tuple[int, ...] = ()
    key: bool = False
    """An `Idempotency-Key` is heard."""
    body: Schema | None = None
    """Of a body that the routes do not check."""
    events: bool = False
    """It may be answered with Server-Sent Events."""


OPERATIONS: dict[str, Operation] = {
    "POST /runs": Operation("Start a run", {201: "Started", 200: "Started"}, (413, 409, 422), key=True),
    "GET /runs": Operation("List runs, newest first", {200: "RunPage"}, (413, 422)),
    "GET /runs/{run_id}": Operation("Get a run", {200: "Run"}, (404, 413, 422)),
    "GET /runs/{run_id}/events": Operation("Get a run's history", {200: "EventPage"}, (404, 413, 422)),
    "GET /runs/{run_id}/streams": Operation("List a run's streams", {200: "Streams"}, (404, 413, 422)),
    "GET /runs/{run_id}/streams/{name}": Operation("Read a stream", {200: "StreamPage"}, (404, 413, 422), events=True),
    "POST /runs/{run_id}/signals/{name}": Operation(
        "Send a signal", {202: "Signalled"}, (413, 404, 409, 422), key=True, body=ANYTHING
    ),
    "POST /runs/{run_id}/updates/{name}": Operation(
        "Send an update and wait for the answer", {200: "Updated", 202: "UpdateSent"}, (413, 404, 409, 422), key=True
    ),
    "GET /runs/{run_id}/queries/{name}": Operation(
        "Query a value that the workflow publishes", {200: "Queried"}, (404, 409, 413, 422)
    ),
    "POST /runs/{run_id}/cancel": Operation("Cancel a run", {202: "OfRun"}, (413, 404, 409, 422)),
    "POST /runs/{run_id}/terminate": Operation("Terminate a run", {202: "OfRun"}, (413, 404, 409, 422)),
    "POST /runs/{run_id}/wake": Operation("End a run's sleeps", {202: "Woken"}, (413, 404, 409, 422)),
    "POST /runs/{run_id}/pause": Operation("Pause a run", {202: "OfRun"}, (413, 404, 409, 422)),
    "POST /runs/{run_id}/unpause": Operation("Let a paused run continue", {202: "OfRun"}, (413, 404, 409, 422)),
    "POST /runs/{run_id}/resume": Operation("Resume a blocked run", {202: "OfRun"}, (413, 404, 409, 422)),
    "POST /runs/{run_id}/retry": Operation(
        "Retry a failed run from the point of failure", {201: "Again"}, (413, 404, 409, 422), key=True
    ),
    "POST /runs/{run_id}/fork": Operation(
        "Start a run from another run's history", {201: "Again"}, (413, 404, 409, 422)
    ),
    "GET /hooks/{token}": Operation("Get the run that holds a hook token", {200: "Hook"}, (404, 413, 422)),
    "POST /hooks/{token}": Operation(
        "Send a value to a hook", {202: "Resumed"}, (413, 404, 409, 422), key=True, body=ANYTHING
    ),
    "POST /hooks/{token}/fail": Operation("Send a failure to a hook", {202: "Resumed"}, (413, 404, 409, 422), key=True),
    "POST /hooks/{token}/heartbeat": Operation(
        "Report that the value of a hook is still to come", {202: "Reported"}, (404, 413, 422)
    ),
    "POST /schedules": Operation("Create a schedule", {201: "Schedule", 200: "Schedule"}, (413, 409, 422)),
    "GET /schedules": Operation("List schedules, sorted by id", {200: "SchedulePage"}, (413, 422)),
    "GET /schedules/{schedule_id}": Operation("Get a schedule", {200: "Schedule"}, (404, 413, 422)),
    "PATCH /schedules/{schedule_id}": Operation("Change a schedule", {200: "Schedule"}, (413, 404, 409, 422)),
    "GET /limits": Operation("List limits, by name and key", {200: "Limits"}, (413, 422)),
    "GET /limits/{name}": Operation("Get a limit", {200: "Limits"}, (404, 413, 422)),
    "PATCH /limits/{name}": Operation("Change a limit at once", {200: "Limits"}, (413, 404, 409, 422)),
    "GET /workflows/paused": Operation("List paused workflows, by name", {200: "PausedWorkflows"}, (413, 422)),
    "POST /workflows/{name}/pause": Operation(
        "Pause a workflow: its new runs wait", {200: "PausedWorkflow"}, (413, 404, 409, 422)
    ),
    "POST /workflows/{name}/unpause": Operation(
        "Let runs of a workflow begin again", {200: "UnpausedWorkflow"}, (413, 404, 409, 422)
    ),
    "POST /schedules/{schedule_id}/trigger": Operation(
        "Start a run of a schedule now", {201: "Triggered", 200: "Triggered"}, (413, 404, 409, 422)
    ),
    "POST /schedules/{schedule_id}/backfill": Operation(
        "Start the runs of a schedule's past moments", {200: "Backfilled"}, (413, 404, 409, 422)
    ),
    "DELETE /schedules/{schedule_id}": Operation("Delete a schedule", {204: None}, (404, 422)),
}

DESCRIPTION = """\
Start, inspect, signal, update, query and end durable runs. API Gateway authorises requests, which are signed with SigV4
for `execute-api` or, if the stack is deployed with a JwtIssuer, carry a JWT. Only webhooks and signed stream URLs are
public; they have their own base URL. See docs/guide/api.md for the meaning of each response."""

KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes retries safe: the same request with the same key takes effect once, with the same response.",
    "schema": {"type": "string"},
}
TRACEPARENT = {
    "name": "traceparent",
    "in": "header",
    "required": False,
    "description": "The caller's span, in W3C Trace Context format. An invalid value is ignored.",
    "schema": {"type": "string"},
}
LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The id of the last event that the reader has seen; wins over `after`, for Server-Sent Events only.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,9}(-end)?$"},
}
EVENTS = {
    "type": "string",
    "description": "Server-Sent Events: `id` is the offset, `data` the item as in a page. Resets are events of type "
    "`reset`; an event `end` follows the last item.",
}
TRACED = (
    "POST /runs",
    "POST /runs/{run_id}/fork",
    "POST /runs/{run_id}/signals/{name}",
    "POST /runs/{run_id}/updates/{name}",
    "POST /hooks/{token}",
)
"""Requests that are part of a trace."""
ATTRIBUTES = {
    "name": "attributes",
    "in": "query",
    "required": False,
    "description": "Up to 10 filters `attribute.NAME=VALUE`: only runs with these attributes.",
    "style": "form",
    "explode": True,
    "schema": {
        "type": "object",
        "maxProperties": 10,
        "additionalProperties": {"type": ["string", "number", "boolean"]},
        "propertyNames": {"pattern": r"^attribute\..+$"},
    },
}
SECURITY = {
    "iam": {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "description": "AWS Signature Version 4, for the service execute-api.",
        "x-amazon-apigateway-authtype": "awsSigv4",
    },
    "jwt": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}


def document(app: Any) -> dict[str, Any]:
    """The document of the API whose routes are those of `app`. Raises `ValueError` where they are not those known."""
    made = json.loads(app.get_openapi_json_schema(title="Worldflow", version=worldflow.__version__))
    schemas = {name: schema for name, schema in made["components"]["schemas"].items() if "ValidationError" not in name}
    made["info"]["description"] = DESCRIPTION
    made["security"] = [{name: []} for name in SECURITY]
    made["components"] = {"schemas": {**schemas, **SCHEMAS, **_records()}, "securitySchemes": SECURITY}
    known = dict(OPERATIONS)
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            made_up = re.sub(r"\W", "_", f"{path}_{method}")
            operation["operationId"] = operation["operationId"].removesuffix(made_up)
            name = f"{method.upper()} {path}"
            _complete(operation, known.pop(name))
            if name in TRACED:
                operation.setdefault("parameters", []).append(TRACEPARENT)
    if known:
        raise ValueError(f"the API has no {', '.join(known)}")
    made["paths"]["/runs"]["get"]["parameters"].append(ATTRIBUTES)
    made["paths"]["/webhooks/{token}"] = _webhooks()
    made["paths"]["/streams/{token}"] = {"get": _signed(made["paths"]["/runs/{run_id}/streams/{name}"]["get"])}
    return {**made, "paths": dict(sorted(made["paths"].items()))}


def _complete(operation: dict[str, Any], told: Operation) -> None:
    operation["summary"] = told.summary
    if told.key:
        operation.setdefault("parameters", []).append(KEY)
    if told.body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": told.body}}}
    if told.events:
        operation.setdefault("parameters", []).append(LAST_EVENT_ID)
    responses = {status: _answer("Done.", ref(name) if name else None) for status, name in told.answers.items()}
    if told.events:
        responses[200]["content"]["text/event-stream"] = {"schema": EVENTS}
        responses[204] = _answer("The stream has ended, and its reader has seen the event `end`.")
    responses |= {status: _answer(REFUSALS[status], ref("Error")) for status in (400, *told.refusals)}
    responses |= {status: _answer(text, ref("GatewayError")) for status, text in GATEWAY.items()}
    operation["responses"] = {str(status): responses[status] for status in sorted(responses)}


def _answer(description: str, schema: Schema | None = None) -> dict[str, Any]:
    return {"description": description} | ({"content": {"application/json": {"schema": schema}}} if schema else {})


def _records() -> dict[str, Schema]:
    """Runs and schedules, as they are described."""
    schemas: dict[str, Schema] = {}
    for name, cls, hidden in (
        ("Run", RunRecord, {"seen", "carried", "streams", "notifies_schedule"}),
        ("Schedule", ScheduleRecord, {"counts_from", "starting", "version", "limited_to"}),
    ):
        schema = cls.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        for field in hidden:
            del schema["properties"][field]
        schema["required"] = [field for field in schema["required"] if field in schema["properties"]]
        schemas[name] = schema
    schemas["Failure"]["properties"].pop("packed", None)  # encoded, and never shown
    schemas["Fork"]["properties"].pop("edit", None)  # which the history has
    schemas["Run"]["properties"]["omitted"] = OMITTED
    schemas["Schedule"]["properties"] |= {"omitted": OMITTED, "next_due": MOMENT, "buffered": COUNT}
    return schemas


def _signed(read: dict[str, Any]) -> dict[str, Any]:
    """The route of a stream's signed URL, which is answered as that of the stream."""
    token = {"name": "token", "in": "path", "required": True, "schema": TEXT}
    told = {404: "No such stream, or no such run.", 410: "The URL has expired."}
    responses = {status: answer for status, answer in read["responses"].items() if status not in ("401", "403")}
    return {
        "summary": "Read a stream by its signed URL",
        "operationId": "read_signed_stream",
        "security": [{}],
        "parameters": [token, *(each for each in read["parameters"] if each["in"] != "path")],
        "responses": responses | {str(status): _answer(text, ref("Error")) for status, text in told.items()},
    }


def _webhooks() -> dict[str, Any]:
    """The route that is public for all methods: any method, any body, and what the workflow answers."""
    refusals = {
        400: "The request contains invalid UTF-8.",
        404: "No such webhook.",
        410: REFUSALS[410],
        413: REFUSALS[413],
    }
    responses: dict[str, Any] = {
        "202": {
            "description": "The request was accepted for delivery to the run.",
            "content": {"application/json": {"schema": ANYTHING}},
        },
        "429": _answer(GATEWAY[429], ref("GatewayError")),
        "default": {"description": "The response of the workflow.", "content": {"*/*": {"schema": ANYTHING}}},
    }
    responses |= {str(status): _answer(text, ref("Error")) for status, text in refusals.items()}
    path: dict[str, Any] = {"parameters": [{"name": "token", "in": "path", "required": True, "schema": TEXT}]}
    for method in ("get", "put", "post", "delete", "options", "head", "patch"):
        path[method] = {
            "summary": "Send a request to a webhook",
            "operationId": f"webhook_{method}",
            "security": [{}],
            "parameters": [KEY, TRACEPARENT],
            "responses": responses,
        }
        if method not in ("get", "head", "options", "delete"):
            path[method]["requestBody"] = {"content": {"*/*": {"schema": {}}}}
    return path


def main() -> None:
    none = dict.fromkeys(("events_table", "runs_table", "run_queue_url", "step_queue_url", "timer_queue_url"), "none")
    application = Application(AWSWorld(Settings.model_validate(none)), in_table("none"))
    PATH.write_text(text(document(application.resolver)))


def text(made: dict[str, Any]) -> str:
    return json.dumps(made, indent=2) + "\n"


if __name__ == "__main__":
    main()
