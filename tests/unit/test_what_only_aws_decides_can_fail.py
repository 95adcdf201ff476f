"""The checks of `make verify-aws` that an emulator does not decide fail where AWS describes a stack that is broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from worldflow.devtools.verify.checks import account, api, caretaker, operation, queues, tracing
from worldflow.devtools.verify.failures import Failed
from worldflow.devtools.verify.outcome import Check, Outcome, run_checks

pytestmark = pytest.mark.one_python


class OnAws(SimpleNamespace):
    """A stack as AWS describes it: `answers` by service and method. A wait ends at once."""

    is_local = False
    name, prefix, began = "shop", "verify-1", datetime(2026, 1, 1, tzinfo=UTC)

    def client(self, service: str) -> Any:
        own = {name: answer for name, answer in self.answers.items() if name.startswith(f"{service}.")}
        return SimpleNamespace(**{name.partition(".")[2]: partial(_answer, answer) for name, answer in own.items()})

    def parameter(self, name: str) -> str:
        return str(self.parameters.get(name, ""))

    def until(self, found: Callable[[], Any], within: float = 0, otherwise: str = "") -> Any:
        if (value := found()) is None:
            raise Failed(otherwise)
        return value

    def start(self, *_: Any) -> str:
        return "run"

    def ended(self, *_: Any) -> None:
        pass

    def expect(self, *_: Any) -> None:
        pass

    def function(self, name: str) -> Mapping[str, Any]:
        configuration: Mapping[str, Any] = self.configuration
        return configuration

    def log_lines(self, name: str, pattern: str) -> list[str]:
        lines: list[str] = self.lines
        return lines

    def log_group(self, name: str) -> str:
        return f"log group of {name}"

    def last_error(self, name: str) -> str:
        return ""


def _answer(answer: Any, *_: Any, **__: Any) -> Any:
    return answer


KEY = "arn:aws:kms:eu-west-1:111122223333:key/1"
OUTPUTS = {
    "ApiUrl": "https://a1.execute-api.aws",
    "WebhookApiId": "w1",
    "WebhookSecretArn": "s",
    "SignalFunctionName": "f",
}
OUTPUTS |= {"EventsTableName": "events", "RunsTableName": "runs", "StepDeadLetterQueueUrl": "https://sqs/dead.fifo"}
LIMITS = {"ApiRateLimit": 200, "ApiBurstLimit": 400, "WebhookRateLimit": 200, "WebhookBurstLimit": 400}


def stage(rate: float, burst: float) -> dict[str, Any]:
    return {"Items": [{"DefaultRouteSettings": {"ThrottlingRateLimit": rate, "ThrottlingBurstLimit": burst}}]}


def empty_receives(a_minute: float) -> dict[str, Any]:
    return {"Datapoints": [{"Timestamp": minute, "Sum": a_minute} for minute in range(6)]}


def secret(**rotation: Any) -> dict[str, Any]:
    return {"secretsmanager.describe_secret": {"ARN": "s", **rotation}, "cloudtrail.lookup_events": {"Events": []}}


TABLE = {"dynamodb.describe_table": {"Table": {"SSEDescription": {"KMSMasterKeyArn": KEY}}}}


@pytest.mark.parametrize(
    ("check", "parameters", "good", "bad", "detail"),
    [
        (
            api.limits,
            LIMITS,
            {"answers": {"apigatewayv2.get_stages": stage(200, 400)}},
            {"answers": {"apigatewayv2.get_stages": stage(200, 5_000)}},
            "ApiBurstLimit is 5000 instead of 400",
        ),
        (
            account.key,
            {"KmsKeyArn": KEY},
            {"answers": TABLE, "configuration": {"KMSKeyArn": KEY}},
            {"answers": TABLE, "configuration": {}},
            "the environment of Orchestrator is not encrypted",
        ),
        (
            account.key,
            {"KmsKeyArn": KEY},
            {"answers": TABLE, "configuration": {"KMSKeyArn": KEY}},
            {"answers": {"dynamodb.describe_table": {"Table": {}}}, "configuration": {"KMSKeyArn": KEY}},
            "table events is encrypted with None",
        ),
        (
            account.network,
            {"SubnetIds": "subnet-1"},
            {"configuration": {"VpcConfig": {"SubnetIds": ["subnet-1"]}, "State": "Active"}},
            {"configuration": {"VpcConfig": {"SubnetIds": ["subnet-1"]}, "State": "Pending"}},
            "Orchestrator is Pending",
        ),
        (operation.logs, {}, {"lines": ["one"]}, {"lines": []}, "log group of Orchestrator is empty"),
        (
            operation.metrics,
            {},
            {"answers": {"cloudwatch.list_metrics": {"Metrics": [{"MetricName": "TurnTime"}]}}},
            {"answers": {"cloudwatch.list_metrics": {"Metrics": []}}},
            "Worldflow/shop has no metrics",
        ),
        (
            tracing.traces,
            {"Tracing": "XRay"},
            {"answers": {"xray.get_trace_summaries": {"TraceSummaries": [{}]}}},
            {"answers": {"xray.get_trace_summaries": {"TraceSummaries": []}}},
            "X-Ray has no trace of f",
        ),
        (
            operation.unknown_run,
            {},
            {"lines": []},
            {"lines": ["the orchestrator may not look"]},
            "the orchestrator may not look",
        ),
        (
            queues.pollers,
            {},
            {"answers": {"cloudwatch.get_metric_statistics": empty_receives(15)}},
            {"answers": {"cloudwatch.get_metric_statistics": empty_receives(30)}},
            "10.0 pollers",
        ),
        (
            caretaker.rotation_schedule,
            {"WebhookKeyDays": 90},
            {"answers": secret(RotationEnabled=True, NextRotationDate="tomorrow")},
            {"answers": secret(RotationEnabled=False)},
            "the secret is not scheduled for rotation",
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Check) else "",
)
def test_what_only_aws_decides_can_fail(
    check: Check, parameters: Any, good: dict[str, Any], bad: dict[str, Any], detail: str
) -> None:
    pages = SimpleNamespace(paginate=lambda **_: [{"MetricAlarms": []}])
    found = []
    for stack in (good, bad):
        answers = {"cloudwatch.get_paginator": pages, **stack.get("answers", {})}
        target = OnAws(**{**stack, "answers": answers}, parameters=parameters, outputs=OUTPUTS)
        target.world = SimpleNamespace(send=lambda _: None)
        found += run_checks(target, [check])  # type: ignore[arg-type]
    assert [result.outcome for result in found] == [Outcome.PASSED, Outcome.FAILED]
    assert detail in found[1].detail
