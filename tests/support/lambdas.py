"""What Lambda gives its functions: events, a context, an environment of their own."""

from __future__ import annotations

import atexit
import base64
import functools
import gc
import importlib.util
import itertools
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.clock import START

ROOT = Path(__file__).parents[2]
API = "worldflow.serving.api"

_modules = itertools.count(1)
_messages = itertools.count(1)


@dataclass
class Context:
    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:function"
    aws_request_id: str = "6f0c4c1e-5b1a-4d6f-9c53-7f4f0e6f2b11"

    def get_remaining_time_in_millis(self) -> int:
        return 29_000


def load_function(name: str, service: str | None = None, *, tracing: str = "Off") -> ModuleType:
    """`functions/<name>/app.py`, imported anew as by a cold start. Each is called `app`, hence by its path.

    It takes over the engine's log, as it should in a process of its own: see `own_log`.
    """
    folder = ROOT / "functions" / name
    for imported in api_modules():
        del sys.modules[imported]
    spec = importlib.util.spec_from_file_location(f"{name}_app_{next(_modules)}", folder / "app.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # where pydantic looks for what annotations name
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("POWERTOOLS_SERVICE_NAME", service or name)
        environment.setenv("POWERTOOLS_METRICS_NAMESPACE", "Worldflow/shop-prod")
        environment.setenv("WORLDFLOW_TRACING", tracing)
        environment.setattr(gc, "freeze", lambda: None)  # what tests have made is not to stay
        spec.loader.exec_module(module)
    module.__dict__["beside"] = api_modules()
    return module


def api_modules() -> dict[str, ModuleType]:
    """The modules of the API's package that were imported last."""
    return {name: module for name, module in sys.modules.items() if f"{name}.".startswith(f"{API}.")}


def api_module(name: str) -> ModuleType:
    """A module of the API's package, as the warm function has it."""
    module: ModuleType = function("signal").beside[f"{API}.{name}"]
    return module


def unload(module: ModuleType) -> None:
    """The end of the function's process, for one that runs steps."""
    if hasattr(module, "run_steps"):
        close_step_handler(module.run_steps)


def close_step_handler(handler: Any) -> None:
    """Closes the event loop that lives as long as the function's process."""
    handler.__self__.close()


def close_orchestrator_handler(handler: Any) -> None:
    """Lets go of the live runs, as the end of the process does."""
    handler.__self__.close()


@functools.cache
def function(name: str) -> ModuleType:
    """A function that is warm: imported once for all tests."""
    with own_log():
        module = load_function(name)
    atexit.register(unload, module)
    return module


@contextmanager
def own_log() -> Iterator[None]:
    """Leaves the loggers as they were."""
    loggers = [logging.getLogger(), logging.getLogger("worldflow"), logging.getLogger("workflows")]
    before = [(logger, logger.handlers[:], logger.filters[:], logger.level, logger.propagate) for logger in loggers]
    try:
        yield
    finally:
        for logger, handlers, filters, level, propagate in before:
            logger.handlers, logger.filters, logger.propagate = handlers, filters, propagate
            logger.setLevel(level)


def sqs_record(
    arn: str,
    body: str,
    *,
    id: str | None = None,
    receives: int = 1,
    group: str | None = None,
    receipt: str | None = None,
    sent_at: float = START.timestamp(),
) -> dict[str, Any]:
    """One record of an event that Lambda makes of messages in a queue."""
    id = id or f"message-{next(_messages)}"
    attributes = {
        "ApproximateReceiveCount": str(receives),
        "SentTimestamp": str(int(sent_at * 1_000)),
        "SenderId": "AROAEXAMPLE:orchestrator",
        "ApproximateFirstReceiveTimestamp": "1768471200005",
    }
    if group:
        attributes |= {"MessageGroupId": group, "MessageDeduplicationId": id, "SequenceNumber": "18870000000000000000"}
    return {
        "messageId": id,
        "receiptHandle": receipt or f"handle-of-{id}",
        "body": body,
        "attributes": attributes,
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": "eu-west-1",
    }


def sqs_event(*records: dict[str, Any]) -> dict[str, Any]:
    return {"Records": list(records)}


def failures(answer: dict[str, Any]) -> list[str]:
    """The ids of the messages that Lambda would put back."""
    return [item["itemIdentifier"] for item in answer["batchItemFailures"]]


def http_event(
    method: str,
    path: str,
    body: Any = None,
    *,
    headers: dict[str, str] | None = None,
    query: Sequence[tuple[str, str]] = (),
    encoded: bool = False,
) -> dict[str, Any]:
    """What API Gateway makes of a request to an HTTP API, payload format 2.0.

    body: text as it is, bytes encoded, anything else as JSON.
    encoded: as API Gateway does with a body whose content type it does not know as text.
    """
    encoded = encoded or isinstance(body, bytes)
    text = body if isinstance(body, str | bytes) or body is None else json.dumps(body)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": urlencode(query),
        "headers": {
            "accept": "*/*",
            "content-type": "application/json",
            "host": "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com",
            **{name.lower(): value for name, value in (headers or {}).items()},
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "authorizer": {
                "iam": {
                    "accessKey": "AKIAIOSFODNN7EXAMPLE",
                    "accountId": "123456789012",
                    "callerId": "AIDACKCEVSQ6C2EXAMPLE",
                    "cognitoIdentity": None,
                    "principalOrgId": None,
                    "userArn": "arn:aws:iam::123456789012:user/shop",
                    "userId": "AIDACKCEVSQ6C2EXAMPLE",
                }
            },
            "domainName": "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "a1b2c3d4e5",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.10",
                "userAgent": "curl/8.5.0",
            },
            "requestId": "XqT1iiMRDoEEPUw=",
            "routeKey": f"{method} {path}",
            "stage": "$default",
            "time": "15/Jan/2026:10:00:00 +0000",
            "timeEpoch": 1768471200000,
        },
        "isBase64Encoded": encoded,
    }
    if query:
        event["queryStringParameters"] = dict(query)
    if text is not None:
        data = text if isinstance(text, bytes) else text.encode()
        event["body"] = base64.b64encode(data).decode() if encoded else data.decode()
    return event
