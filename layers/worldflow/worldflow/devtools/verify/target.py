"""The deployed stack to check, reached with the caller's credentials."""

from __future__ import annotations

import os
import time
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from json import load
from typing import Any, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from worldflow.devtools.stack import Answer, request
from worldflow.devtools.verify.failures import Failed, Skipped
from worldflow.settings import Settings
from worldflow.stacks import environment
from worldflow.worlds import AWSWorld

T = TypeVar("T")

FUNCTIONS = ("Orchestrator", "StepExecutor", "Signal", "Caretaker")

ENDED = {"completed", "failed", "cancelled", "continued"}
PATIENCE = 90.0
"""Seconds that a run of a few steps may take, with the cold starts of every function."""


class Target:
    """A stack, by its name. `prefix` begins the id of every run that is made here.

    token: a bearer token for an API with `JwtIssuer`; without one requests are signed with the caller's credentials.
    """

    def __init__(self, name: str, *, session: boto3.Session | None = None, token: str | None = None) -> None:
        self.name = name
        self.session = session or boto3.Session(region_name=os.environ.get("AWS_REGION"))
        self.prefix = f"verify-{uuid.uuid4().hex[:8]}"
        self.began = datetime.now(UTC)
        self.runs: list[str] = []
        """Every run that the checks started."""
        self._token = token
        self._clients: dict[str, Any] = {}
        (stack,) = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        self.outputs: Mapping[str, str] = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
        self.parameters: Mapping[str, str] = {
            one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", [])
        }

    # --- AWS ---

    def client(self, service: str) -> Any:
        if service not in self._clients:
            # The caretaker is called once, and may take 15 minutes.
            config = Config(read_timeout=910, retries={"max_attempts": 0}) if service == "lambda" else None
            client: Any = self.session.client(service, config=config)  # type: ignore[call-overload]
            self._clients[service] = client
        return self._clients[service]

    @cached_property
    def endpoint(self) -> str:
        return str(self.client("cloudformation").meta.endpoint_url)

    @property
    def is_local(self) -> bool:
        """Whether this is an emulator."""
        host = urlsplit(self.endpoint).hostname or ""
        return not host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))

    @cached_property
    def enforces_iam(self) -> bool:
        """Whether the orchestrator's role is refused a request that it does not allow."""
        if not self.is_local:
            return True
        with urllib.request.urlopen(f"{self.endpoint.rstrip('/')}/_local_aws/credentials", timeout=10) as response:
            credentials = load(response)[self.outputs["OrchestratorFunctionName"]]
        tables: Any = boto3.client("dynamodb", region_name=self.session.region_name, **credentials)
        try:
            tables.scan(TableName=self.outputs["EventsTableName"], Limit=1)
        except ClientError as error:
            return error.response["Error"]["Code"] == "AccessDeniedException"
        return False

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which an application reaches the stack."""
        return environment(self.outputs)

    @cached_property
    def world(self) -> AWSWorld:
        """The stack as its operator's tools reach it."""
        if self.parameter("PayloadKeyArns"):
            os.environ["WORLDFLOW_PAYLOAD_KEYS"] = self.parameter("PayloadKeyArns")
        codec = (
            {"WORLDFLOW_PAYLOAD_CODEC": "worldflow.encryption:kms_codec"} if self.parameter("PayloadKeyArns") else {}
        )
        return AWSWorld(Settings.from_environment({**self.environment, **codec}), session=self.session)

    def parameter(self, name: str) -> str:
        """A parameter of the stack, empty where it has none of that name."""
        return self.parameters.get(name, "")

    def function(self, name: str) -> dict[str, Any]:
        """The configuration of a function: `Orchestrator`, `StepExecutor`, `Signal` or `Caretaker`."""
        answer: dict[str, Any] = self.client("lambda").get_function_configuration(
            FunctionName=self.outputs[f"{name}FunctionName"]
        )
        return answer

    def event_sources(self, function: str) -> list[dict[str, Any]]:
        """The event source mappings of a function."""
        pages = self.client("lambda").get_paginator("list_event_source_mappings")
        found = pages.paginate(FunctionName=self.outputs[f"{function}FunctionName"])
        return [mapping for page in found for mapping in page["EventSourceMappings"]]

    def log_group(self, name: str) -> str:
        """Where a function logs."""
        try:
            return f"log group {self.function(name)['LoggingConfig']['LogGroup']}"
        except (ClientError, KeyError):
            return f"the log group of function {self.outputs.get(f'{name}FunctionName', name)}"

    def last_error(self, name: str) -> str:
        """The last error that a function has logged since the checks began, after a colon; empty if there is none."""
        with suppress(ClientError, KeyError, IndexError):
            found = self.log_lines(name, '?ERROR ?Error ?errorMessage ?AccessDenied ?"Task timed out"')
            return f": {found[-1][:400]}"
        return ""

    def log_lines(self, name: str, pattern: str) -> list[str]:
        """What a function has logged since the checks began, by a filter pattern of CloudWatch Logs."""
        pages = (
            self.client("logs")
            .get_paginator("filter_log_events")
            .paginate(
                logGroupName=self.function(name)["LoggingConfig"]["LogGroup"],
                filterPattern=pattern,
                startTime=int(self.began.timestamp() * 1_000),
                PaginationConfig={"MaxItems": 200},
            )
        )
        return [event["message"].strip() for page in pages for event in page["events"]]

    # --- the API ---

    @cached_property
    def api_url(self) -> str:
        return self._reachable(self.outputs["ApiUrl"])

    def _reachable(self, url: str) -> str:
        """The URL of an HTTP API, or where the local AWS serves it."""
        if not self.is_local:
            return url
        parts = urlsplit(url)
        return f"{self.endpoint.rstrip('/')}/_aws/execute-api/{(parts.hostname or '').partition('.')[0]}{parts.path}"

    def call_webhook(self, method: str, url: str, body: str) -> Answer:
        """One request to a webhook, by the URL that its run has handed out."""
        return request(method, self._reachable(url), body, {}, None, "")

    def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, *, sign: bool = True
    ) -> Answer:
        """One request to the API, as its callers make them. A `str` body is sent as it is."""
        sent = dict(headers or {})
        credentials = None
        if sign and self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        elif sign and self.parameter("JwtIssuer"):
            raise Skipped(f"the API requires a token from {self.parameter('JwtIssuer')}: set TOKEN=...")
        elif sign:
            credentials = self.session.get_credentials()
        return request(method, self.api_url + path, body, sent, credentials, self.session.region_name or "")

    def expect(self, status: int, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The body of an answer. Raises `Failed` for one of another status."""
        answer = self.call(method, path, body, **options)
        if answer.status == 403 and options.get("sign", True) and status != 403:
            raise Failed(f"{method} {path}: 403 {answer.body}; your identity needs execute-api:Invoke on the API")
        if answer.status != status:
            raise Failed(f"{method} {path}: {answer.status} {answer.body} instead of {status}")
        return answer.body

    # --- runs ---

    def start(
        self,
        workflow: str,
        input: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> str:
        """Starts a run over the API. Raises `Skipped` where the stack does not know its workflow."""
        run_id = run_id or f"{self.prefix}-{workflow.removeprefix('verify_')}-{len(self.runs)}"
        body = {"workflow": workflow, "input": input or {}, "run_id": run_id, **options}
        answer = self.call("POST", "/runs", body, headers)
        self.runs.append(run_id)  # which may have started, whatever the answer
        if answer.status == 422 and [field["field"] for field in answer.body["error"]["fields"]] == ["workflow"]:
            raise Skipped(f"the stack has no workflow {workflow!r}: to deploy it, omit DEPLOY=no")
        if answer.status not in (200, 201):
            raise Failed(f"POST /runs: {answer.status} {answer.body}")
        return run_id

    def record(self, run_id: str) -> dict[str, Any]:
        record: dict[str, Any] = self.expect(200, "GET", f"/runs/{run_id}")
        return record

    def events(self, run_id: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.expect(200, "GET", f"/runs/{run_id}/events")["events"]
        return events

    def types(self, run_id: str) -> list[str]:
        return [event["event_type"] for event in self.events(run_id)]

    def ended(self, run_id: str, status: str = "completed", *, within: float = PATIENCE) -> dict[str, Any]:
        """The record of a run once it has ended. Raises `Failed` for another status, and if it does not end."""

        def look() -> dict[str, Any] | None:
            record = self.record(run_id)
            return record if record["status"] in ENDED | {"blocked"} else None

        try:
            record = self.until(look, within)
        except Failed:
            events = self.types(run_id)
            raise Failed(
                f"run {run_id} is {self.record(run_id)['status']} after {within:g} s; its last event is "
                f"{events[-1] if events else 'none'}"
            ) from None
        if record["status"] != status:
            why = record.get("blocked_reason") or record.get("error") or record.get("result")
            raise Failed(f"run {run_id} is {record['status']} instead of {status}: {why}")
        return record

    def waits(self, run_id: str, event_type: str) -> None:
        """Waits until the history of a run has an event of a type."""
        self.until(lambda: event_type in self.types(run_id) or None, PATIENCE, f"{run_id} has no {event_type}")

    def until(self, found: Callable[[], T | None], within: float = PATIENCE, otherwise: str = "not found") -> T:
        """What `found` returns, once that is something. Raises `Failed` that says `otherwise`."""
        deadline = time.monotonic() + within
        while True:
            if (value := found()) is not None:
                return value
            if time.monotonic() > deadline:
                raise Failed(f"{otherwise} after {within:g} s")
            time.sleep(0.1 if self.is_local else 0.5)
