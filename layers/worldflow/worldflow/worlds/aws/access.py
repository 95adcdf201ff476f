"""The clients of an `AWSWorld`, and its tables: what its parts are made with."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial
from itertools import chain
from typing import Any

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import ClientError, NoRegionError

from worldflow import clock
from worldflow.engine.errors import ConfigurationError
from worldflow.settings import NO_REGION, Settings, variable
from worldflow.worlds.outages import OutageError

_OLDEST_BOTOCORE = (1, 35, 2)
"""The first with S3's conditional writes, without which no run is archived. In Lambda it is the runtime's own."""

if tuple(map(int, botocore.__version__.split(".")[:3])) < _OLDEST_BOTOCORE:
    raise ImportError(
        f"AWSWorld needs botocore {'.'.join(map(str, _OLDEST_BOTOCORE))} or later, but {botocore.__version__} is "
        "installed: require boto3>=1.40 (for Lambda, in layers/workflows/requirements.txt)"
    )

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 5}, connect_timeout=3, read_timeout=10, max_pool_connections=20
)

_NAMING = {
    "dynamodb": ("ResourceNotFoundException", ("runs_table", "events_table")),
    "sqs": ("AWS.SimpleQueueService.NonExistentQueue", ("run_queue_url", "step_queue_url", "timer_queue_url")),
    "s3": ("NoSuchBucket", ("payload_bucket",)),
}
"""How each service says that something is not there, and the settings that name it."""


_THROTTLED = (
    "BandwidthLimitExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "SlowDown",
    "TooManyRequestsException",
)
"""How services say that there are too many requests, besides those that call it throttling."""

REQUEST_SECONDS = 8.0
"""After so long a request that got no answer is not made again: a service that hangs is to cost a turn an error, and
not the function its life. The last attempt may take `connect_timeout` and `read_timeout` on top.
"""


def end_retries_in_time(client: Any) -> None:
    """Lets no request of a client be made again when `REQUEST_SECONDS` have passed since it was first made."""
    client.meta.events.register("request-created", _end_in_time)
    client.meta.events.register_first("needs-retry", _remember_failure)


def _remember_failure(request_dict: dict[str, Any], response: Any, caught_exception: Any, **_: Any) -> None:
    request_dict["context"]["worldflow_failure"] = caught_exception, response


def _end_in_time(request: Any, operation_name: str, **_: Any) -> None:
    began = request.context.setdefault("worldflow_began", time.monotonic())
    if time.monotonic() - began > REQUEST_SECONDS:
        error, response = request.context["worldflow_failure"]
        raise error or ClientError(response[1], operation_name)


class AWSAccess:
    """What is asked of AWS. May be used from several threads."""

    def __init__(self, settings: Settings | None = None, *, session: boto3.Session | None = None) -> None:
        self.settings = settings or Settings.from_environment()
        self.session = session or boto3.Session(region_name=os.environ.get("AWS_REGION"))
        self._making = threading.Lock()

    def now(self) -> datetime:
        """The time, in UTC."""
        return clock.now()

    def when_throttled(self, call: Callable[[], None]) -> None:
        """Calls for each request that AWS answers with "too many", before it is sent again: of clients that are made
        from now on.
        """

        def look(response: tuple[Any, Mapping[str, Any]] | None, **_: Any) -> None:
            if response and _is_throttled(response[1]):
                call()

        self.session.events.register("needs-retry", look)

    def client(self, service: str) -> Any:
        session: Any = self.session
        try:
            with self._making:  # clients are for several threads, and the session that makes them is not
                client = session.client(service, config=_CONFIG)
        except NoRegionError:
            raise ConfigurationError(NO_REGION) from None
        end_retries_in_time(client)
        if service in _NAMING:
            client.meta.events.register("after-call", partial(self._say_what_is_missing, *_NAMING[service]))
        return client

    def _say_what_is_missing(self, code: str, settings: Sequence[str], parsed: dict[str, Any], **_: Any) -> None:
        """Adds the names to an error of AWS that says only that something is not there."""
        error = parsed.get("Error", {})
        if error.get("Code") == code:
            names = ", ".join(f"{variable(name)} is {getattr(self.settings, name)}" for name in settings)
            error["Message"] = f"{error.get('Message', '').rstrip('.')}; {names}, in {self.session.region_name}"

    @cached_property
    def dynamodb(self) -> Any:
        return self.client("dynamodb")

    @cached_property
    def sqs(self) -> Any:
        return self.client("sqs")

    @cached_property
    def scheduler(self) -> Any:
        return self.client("scheduler")

    @cached_property
    def eventbridge(self) -> Any:
        return self.client("events")

    @cached_property
    def s3(self) -> Any:
        return self.client("s3")

    def put(
        self,
        table: str,
        item: dict[str, Any],
        condition: str | None,
        values: dict[str, Any] | None = None,
        names: dict[str, str] | None = None,
    ) -> bool:
        """Puts an item on a condition. Returns whether the condition held."""
        request = {"TableName": table, "Item": as_attributes(item)}
        return _if(self.dynamodb.put_item, request, condition, values, names)

    def delete(
        self,
        key: str,
        condition: str | None,
        values: dict[str, Any] | None = None,
        names: dict[str, str] | None = None,
    ) -> bool:
        """Deletes an item of the table of runs on a condition. Returns whether the condition held."""
        request = {"TableName": self.settings.runs_table, "Key": as_attributes({"run_id": key})}
        return _if(self.dynamodb.delete_item, request, condition, values, names)

    def get(self, run_id: str) -> dict[str, Any] | None:
        answer = self.dynamodb.get_item(
            TableName=self.settings.runs_table, Key=as_attributes({"run_id": run_id}), ConsistentRead=True
        )
        return values_of(answer["Item"]) if "Item" in answer else None

    def get_all(self, keys: Sequence[str]) -> list[dict[str, Any] | None]:
        """Items of the table of runs, by their keys, in one request. Raises `OutageError` if it leaves some out."""
        table = self.settings.runs_table
        wanted = {"Keys": [as_attributes({"run_id": key}) for key in keys], "ConsistentRead": True}
        answer = self.dynamodb.batch_get_item(RequestItems={table: wanted})
        if answer.get("UnprocessedKeys"):
            raise OutageError("DynamoDB left out some of the items that were asked for: it is throttling")
        found = {item["run_id"]: item for item in map(values_of, answer["Responses"].get(table, ()))}
        return [found.get(key) for key in keys]

    def query(self, **request: Any) -> Iterator[dict[str, Any]]:
        """The items of a query, page after page."""
        return chain.from_iterable(items for items, _ in self.pages(**request))

    def pages(self, **request: Any) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        """The pages of a query, of 1 MB each, and whether there is more."""
        while True:
            answer = self.dynamodb.query(**request)
            last = answer.get("LastEvaluatedKey")
            yield [values_of(item) for item in answer["Items"]], last is not None
            if last is None:
                return
            request["ExclusiveStartKey"] = last

    def wake(self, message: str) -> dict[str, Any]:
        """The target of a schedule, which puts a message into the queue of timers.

        What cannot be put there for a day goes to their dead letters, from where it comes back.
        """
        dead_letters = self.settings.timer_dead_letter_arn
        return {
            "Arn": self.required("timer_queue_arn"),
            "RoleArn": self.required("scheduler_role_arn"),
            "Input": message,
            **({"DeadLetterConfig": {"Arn": dead_letters}} if dead_letters else {}),
        }

    def required(self, name: str) -> str:
        value: str | None = getattr(self.settings, name)
        if not value:
            raise ConfigurationError(f"missing from the environment: {variable(name)}")
        return value


def _if(
    write: Callable[..., Any],
    request: dict[str, Any],
    condition: str | None,
    values: dict[str, Any] | None,
    names: dict[str, str] | None,
) -> bool:
    """Makes a request to write an item. Returns whether the condition held."""
    if condition:
        request["ConditionExpression"] = condition
    if values:
        request["ExpressionAttributeValues"] = as_attributes(values)
    if names:
        request["ExpressionAttributeNames"] = names
    try:
        write(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True


def _is_throttled(answer: Mapping[str, Any]) -> bool:
    code = answer.get("Error", {}).get("Code", "")
    return "Throttl" in code or code in _THROTTLED or answer.get("ResponseMetadata", {}).get("HTTPStatusCode") == 429


def is_missing(error: ClientError) -> bool:
    """Whether S3 has no such object: it says "denied" to who may not list the bucket."""
    return error.response["Error"]["Code"] in ("NoSuchKey", "404", "AccessDenied", "403")


def as_attributes(item: dict[str, Any]) -> dict[str, Any]:
    """Text, whole numbers and objects of these as DynamoDB's JSON has them."""
    return {key: _attribute(value) for key, value in item.items()}


def _attribute(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"M": as_attributes(value)}
    return {"N": str(value)} if isinstance(value, int) else {"S": value}


def values_of(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: _value(attribute) for key, attribute in attributes.items()}


def _value(attribute: dict[str, Any]) -> Any:
    if "M" in attribute:
        return values_of(attribute["M"])
    return int(attribute["N"]) if "N" in attribute else attribute["S"]
