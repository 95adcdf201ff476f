"""What the emulator has served: the requests that AWS would charge for.

Requests over HTTP are counted where they are dispatched. Those that never travel over HTTP here, but do on AWS, are
counted by the patches that do them: the receives and deletes of event source mappings, and what the Scheduler sends.
"""

import json
import math
import threading
import time
from collections import Counter
from typing import Any

from ministack import app
from ministack.core import iam_actions
from ministack.services import lambda_svc

from worldflow.devtools.local_aws.launcher import UNCOUNTED

_READS = {"GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems"}
_WRITES = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}


class Counts:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._requests: Counter[tuple[str, str]] = Counter()
            self._deliveries: Counter[tuple[str, str]] = Counter()
            self._read_units = self._write_units = self._gb_seconds = 0.0

    def request(self, service: str, operation: str) -> None:
        with self._lock:
            self._requests[service, operation] += 1

    def delivery(self, queue: str, fate: str, messages: int) -> None:
        with self._lock:
            self._deliveries[queue, fate] += messages

    def read_units(self, units: float) -> None:
        with self._lock:
            self._read_units += units

    def write_units(self, units: float) -> None:
        with self._lock:
            self._write_units += units

    def gb_seconds(self, seconds: float) -> None:
        with self._lock:
            self._gb_seconds += seconds

    def as_json(self) -> dict[str, Any]:
        with self._lock:
            return {
                "requests": [[*key, count] for key, count in sorted(self._requests.items())],
                "deliveries": [[*key, count] for key, count in sorted(self._deliveries.items())],
                "read_units": self._read_units,
                "write_units": self._write_units,
                "gb_seconds": self._gb_seconds,
            }


counts = Counts()

_extract_iam_action = iam_actions.extract_iam_action
_dispatch = app._dispatch_service_request
_execute_api = app._handle_execute_api_request
_execute = lambda_svc._execute_function_dispatch


def apply() -> None:
    app._dispatch_service_request = _count_request
    app._handle_execute_api_request = _count_api_call
    lambda_svc._execute_function_dispatch = _count_invocation


async def _count_request(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any], request_id: str
) -> Any:
    parameters = app._routing_params(method, path, headers, body, query)
    service = app.detect_service(method, path, headers, parameters)
    action = _extract_iam_action(service, method, path, headers, body, parameters) or f"{service}:{method}"
    namespace, _, operation = action.partition(":")
    if UNCOUNTED in headers:
        return await _dispatch(method, path, headers, body, query, request_id)
    if namespace == "lambda" and operation == "InvokeFunction":  # counted with all the other invocations
        return await _dispatch(method, path, headers, body, query, request_id)
    counts.request(namespace, operation)
    if namespace == "dynamodb" and operation in _READS | _WRITES:
        return await _count_units(operation, method, path, headers, body, query, request_id)
    return await _dispatch(method, path, headers, body, query, request_id)


async def _count_units(
    operation: str, method: str, path: str, headers: dict[str, str], body: bytes, query: Any, request_id: str
) -> Any:
    request = json.loads(body)
    if operation in _WRITES:
        body = json.dumps({"ReturnConsumedCapacity": "TOTAL", **request}).encode()
    status, response_headers, answer = await _dispatch(method, path, headers, body, query, request_id)
    if operation in _READS:
        # The emulator's own number ignores the size of what was read.
        blocks = max(1, math.ceil(len(answer) / 4096))
        counts.read_units(blocks if request.get("ConsistentRead") else blocks / 2)
    elif status == 200:
        consumed = json.loads(answer).get("ConsumedCapacity", [])
        for table in consumed if isinstance(consumed, list) else [consumed]:
            counts.write_units(table["CapacityUnits"])
    elif b"ConditionalCheckFailed" in answer:
        counts.write_units(1)
    return status, response_headers, answer


async def _count_api_call(*args: Any, **options: Any) -> Any:
    response = await _execute_api(*args, **options)
    if response is not None:
        counts.request("apigateway", "Invoke")
    return response


def _count_invocation(
    function: dict[str, Any], config: dict[str, Any], event: Any, request_id: str, started: float
) -> Any:
    counts.request("lambda", "Invoke")
    begun = time.monotonic()
    try:
        return _execute(function, config, event, request_id, started)
    finally:
        counts.gb_seconds((time.monotonic() - begun) * config.get("MemorySize", 128) / 1024)
