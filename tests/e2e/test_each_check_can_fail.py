"""The checks of `make verify-aws` report a failure where what they check is broken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import boto3
import pytest

from tests.e2e.conftest import until, visible_again_after
from worldflow.devtools.local_aws.launcher import LocalAws
from worldflow.devtools.stack import Stack
from worldflow.devtools.verify.checks import api, applications, caretaker, operation, queues, runs, starts, timers
from worldflow.devtools.verify.forgetting import forget
from worldflow.devtools.verify.outcome import Check, Outcome, run_checks
from worldflow.devtools.verify.target import PATIENCE, Target

T = TypeVar("T")
Break = Callable[[Target], AbstractContextManager[None]]


class Impatient(Target):
    """Waits for seconds, and not for minutes, where it waits for what is broken."""

    expected = "nothing"
    """Of what the check says then."""
    aws: LocalAws
    """Where the stack is."""

    def until(self, found: Callable[[], T | None], within: float = PATIENCE, otherwise: str = "not found") -> T:
        is_end = "its last event" in self.expected and otherwise == "not found"
        return super().until(found, 4 if is_end or self.expected in otherwise else within, otherwise)


def reached(stack: Stack) -> Impatient:
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    target = Impatient(stack.name, session=session)
    target.aws = stack.aws
    return target


@pytest.fixture(scope="module")
def started(stack: Stack) -> Iterator[list[str]]:
    """Every run of these tests. They are removed after all, when messages that failed have come again."""
    runs: list[str] = []
    with visible_again_after(10, stack, receives=1_000):
        yield runs
    with pytest.MonkeyPatch.context() as environment:
        for name, value in stack.environment.items():
            environment.setenv(name, value)
        target = reached(stack)
        target.runs = runs
        assert forget(target) == []


@pytest.fixture
def target(stack: Stack, application: dict[str, str], started: list[str]) -> Iterator[Impatient]:
    target = reached(stack)
    yield target
    started += target.runs


def without_right(function: str, sid: str, *actions: str, cold: bool = False) -> Break:
    """A function's role lacks actions of a statement; the whole statement by default.

    cold: its processes have kept what they read with the right, and are replaced.
    """

    @contextmanager
    def broken(target: Target) -> Iterator[None]:
        iam, role = target.client("iam"), target.function(function)["Role"].rpartition("/")[2]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            policy = {"RoleName": role, "PolicyName": name}
            before = iam.get_role_policy(**policy)["PolicyDocument"]
            if any(one.get("Sid") == sid for one in before["Statement"]):
                break
        changed = json.loads(json.dumps(before))
        statement = next(one for one in changed["Statement"] if one["Sid"] == sid)
        statement["Action"] = [one for one in _list(statement["Action"]) if actions and one not in actions]
        changed["Statement"] = [one for one in changed["Statement"] if one["Action"]]
        iam.put_role_policy(**policy, PolicyDocument=json.dumps(changed))
        if cold:
            name = target.outputs[f"{function}FunctionName"]
            killed = set(target.aws.kill_workers(name))
            until(lambda: killed.isdisjoint(target.aws.worker_pids(name)) or None, 10)
        try:
            yield
        finally:
            iam.put_role_policy(**policy, PolicyDocument=json.dumps(before))

    return broken


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def disabled(queue: str) -> Break:
    """Lambda does not receive from a queue."""

    @contextmanager
    def broken(target: Target) -> Iterator[None]:
        lambdas, name = target.client("lambda"), target.outputs[f"{queue}Url"].rpartition("/")[2]
        sources = [one for function in ("Orchestrator", "StepExecutor") for one in target.event_sources(function)]
        (source,) = [one["UUID"] for one in sources if one["EventSourceArn"].endswith(f":{name}")]
        lambdas.update_event_source_mapping(UUID=source, Enabled=False)
        try:
            yield
        finally:
            lambdas.update_event_source_mapping(UUID=source, Enabled=True)

    return broken


def changed_policy(name: str, *, without: str = "", allowing: str = "") -> Break:
    """A managed policy of the stack lacks a statement, or allows an action on everything."""

    @contextmanager
    def broken(target: Target) -> Iterator[None]:
        iam, arn = target.client("iam"), {"PolicyArn": target.outputs[f"{name}Arn"]}
        version = iam.get_policy(**arn)["Policy"]["DefaultVersionId"]
        before = iam.get_policy_version(**arn, VersionId=version)["PolicyVersion"]["Document"]

        def put(document: Any) -> None:
            nonlocal version
            made = iam.create_policy_version(**arn, PolicyDocument=json.dumps(document), SetAsDefault=True)
            iam.delete_policy_version(**arn, VersionId=version)
            version = made["PolicyVersion"]["VersionId"]

        statements = [one for one in before["Statement"] if one["Sid"] != without]
        if allowing:
            statements.append({"Effect": "Allow", "Action": allowing, "Resource": "*"})
        put(before | {"Statement": statements})
        try:
            yield
        finally:
            put(before)

    return broken


@contextmanager
def an_open_route(target: Target) -> Iterator[None]:
    """One route takes requests of anybody."""
    gateway, id = target.client("apigatewayv2"), target.outputs["ApiUrl"].removeprefix("https://").partition(".")[0]
    route = next(one for one in gateway.get_routes(ApiId=id)["Items"] if one["RouteKey"] == "GET /runs/{run_id}")
    gateway.update_route(ApiId=id, RouteId=route["RouteId"], AuthorizationType="NONE")
    try:
        yield
    finally:
        gateway.update_route(ApiId=id, RouteId=route["RouteId"], AuthorizationType=route["AuthorizationType"])


@pytest.mark.parametrize(
    ("check", "broken", "detail"),
    [
        (api.authorisation, an_open_route, "routes whose authorisation is not AWS_IAM: {'GET /runs/{run_id}': 'NONE'}"),
        (api.idempotent_start, without_right("Signal", "Requests"), "POST /runs: 500"),
        (api.listing, without_right("Signal", "ListRuns"), "GET /runs?status=completed&workflow=hello&limit=100: 500"),
        (applications.start_policy, changed_policy("StartPolicy", without="Send"), "refused what it is for"),
        (applications.start_policy, changed_policy("StartPolicy", allowing="dynamodb:Query"), "not for: list_runs"),
        (applications.read_policy, changed_policy("ReadPolicy", without="ListRuns"), "refused what it is for"),
        (applications.read_policy, changed_policy("ReadPolicy", allowing="s3:PutObject"), "not for: write_a_payload"),
        (applications.read_policy, changed_policy("ReadPolicy", allowing="execute-api:Invoke"), "allows POST /runs"),
        (applications.operate_policy, changed_policy("OperatePolicy", without="Schedule"), "refused what it is for"),
        (applications.operate_policy, changed_policy("OperatePolicy", without="Schedules"), "refused what it is for"),
        (caretaker.archive, without_right("Caretaker", "Payloads"), "the caretaker could not archive"),
        (caretaker.rotation, without_right("Caretaker", "RotateWebhookKeys"), "is not the current one"),
        (caretaker.sweep, without_right("Caretaker", "Send"), "the caretaker failed: "),
        (operation.event_sources, disabled("TimerDeadLetterQueue"), "is Disabled"),
        (queues.dead_run, disabled("RunDeadLetterQueue"), "its last event is RunStarted"),
        (queues.dead_step, disabled("StepDeadLetterQueue"), "its last event is StepScheduled"),
        (queues.dead_timer, disabled("TimerDeadLetterQueue"), "its last event is RunStarted"),
        (runs.abandoned, without_right("Orchestrator", "AbandonSteps"), "is not abandoned"),
        (runs.cancellation, without_right("Orchestrator", "Schedule", "scheduler:DeleteSchedule"), "still exists"),
        (runs.children, without_right("Orchestrator", "Runs", "dynamodb:PutItem"), "its last event is"),
        (runs.again, without_right("Signal", "ReadHistory"), "/events: 500"),
        (runs.generations, without_right("Orchestrator", "Runs", "dynamodb:PutItem"), "its last event is"),
        (runs.hooks, without_right("Orchestrator", "ForgetHooks"), "the hook's item still exists"),
        (runs.large_values, without_right("StepExecutor", "Payloads"), "its last event is StepScheduled"),
        (runs.questions, without_right("Signal", "ReadHistory"), "500"),
        (runs.signals, without_right("Signal", "Send"), "POST /runs: 500"),
        (runs.steps, without_right("Orchestrator", "Runs", "dynamodb:BatchGetItem"), "its last event is none"),
        (runs.steps, without_right("StepExecutor", "Ledger"), "its last event is"),
        (runs.streams, without_right("StepExecutor", "Streams"), "its last event is"),
        (runs.streams, without_right("Orchestrator", "NamesOfStreams"), "its last event is"),
        (runs.webhooks, without_right("Signal", "CheckWebhooks", cold=True), "a forged URL got status 500"),
        (starts.delayed, without_right("Signal", "Delay"), "POST /runs: 500"),
        (starts.delayed, without_right("Signal", "DelayForLong"), "POST /runs: 500"),
        (starts.gathered, without_right("Signal", "Starts"), "POST /runs: 500"),
        (starts.limited, without_right("Signal", "Limits"), "PATCH /limits/verify: 500"),
        (timers.recurring, without_right("Signal", "Schedule", "scheduler:CreateSchedule"), "POST /schedules: 500"),
        (timers.schedule_of_a_sleep, without_right("Orchestrator", "Schedule"), "there is no schedule for"),
        (timers.short, disabled("TimerQueue"), "its last event is TimerStarted"),
    ],
    ids=lambda value: value.name if isinstance(value, Check) else "",
)
def test_what_is_broken_fails(target: Impatient, check: Check, broken: Break, detail: str) -> None:
    target.expected = detail
    with broken(target):
        (result,) = run_checks(target, [check])
    assert result.outcome is Outcome.FAILED
    assert detail in result.detail
    left = [one["schedule_id"] for one in target.expect(200, "GET", "/schedules")["schedules"]]
    assert [name for name in left if name.startswith(target.prefix)] == []
