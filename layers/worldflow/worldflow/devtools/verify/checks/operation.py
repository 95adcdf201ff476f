"""What operators rely on: event sources, logs, metrics, status events."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import suppress
from functools import partial

from botocore.exceptions import ClientError

from worldflow.devtools.verify.failures import Failed, Skipped, Undecided
from worldflow.devtools.verify.outcome import check
from worldflow.devtools.verify.target import FUNCTIONS, Target
from worldflow.worlds.aws.archive import MAY_NOT_LOOK
from worldflow.worlds.messages import Poke

WITHOUT_ROLES = "the local AWS writes logs without the functions' roles"
NO_METRICS = "the local AWS reads no metrics from logs"


@check(
    "Logs",
    statements=("OrchestratorRole.Log", "StepExecutorRole.Log", "SignalRole.Log", "CaretakerRole.Log"),
    only_on_aws=WITHOUT_ROLES,
)
def logs(target: Target) -> Generator[None, None, str]:
    """Each function has written to its log group."""
    if target.is_local:
        raise Undecided(WITHOUT_ROLES)
    yield
    for function in FUNCTIONS:
        target.until(partial(_logged, target, function), 60, f"{target.log_group(function)} is empty")
    return f"{len(FUNCTIONS)} log groups"


def _logged(target: Target, function: str) -> bool | None:
    return target.log_lines(function, "") != [] or None


@check(
    "Unknown runs",
    statements=("OrchestratorRole.Archives", "OrchestratorRole.Absences", "SignalRole.Absences"),
    only_on_aws="the local AWS does not ask for the right to list",
    look=("Orchestrator",),
)
def unknown_run(target: Target) -> Generator[None, None, str]:
    """The API's function and the orchestrator look in the archive for a run that has no record, and S3 says that it is
    not there. Without the right to list, S3 says that it is forbidden: the API does not answer 404, the orchestrator
    warns.
    """
    run_id = f"{target.prefix}-nobody"
    target.expect(404, "GET", f"/runs/{run_id}")
    target.world.send([Poke(run_id=run_id)])
    if target.is_local:
        raise Undecided("the local AWS does not ask for the right to list")
    yield
    warnings = target.log_lines("Orchestrator", f'"{MAY_NOT_LOOK}" "{run_id}"')
    if warnings:
        raise Failed(warnings[-1][:400])
    return "no archive and no warning"


@check(
    "Event sources",
    statements=("OrchestratorRole.Receive", "StepExecutorRole.Receive"),
    only_on_aws="the local AWS receives messages without the functions' roles",
    look=("Orchestrator", "StepExecutor"),
)
def event_sources(target: Target) -> Generator[None, None, str]:
    """Lambda receives from every queue with the role of its function: each event source mapping is enabled and reports
    no problem.
    """
    yield
    mappings = [mapping for function in ("Orchestrator", "StepExecutor") for mapping in target.event_sources(function)]
    wrong = [
        f"{mapping['EventSourceArn'].rpartition(':')[2]} is {mapping['State']} ({mapping.get('LastProcessingResult')})"
        for mapping in mappings
        if mapping["State"] != "Enabled" or "PROBLEM" in (mapping.get("LastProcessingResult") or "")
    ]
    if wrong or len(mappings) != 6:
        raise Failed("; ".join(wrong) or f"{len(mappings)} event sources instead of 6")
    return f"{len(mappings)} enabled"


@check(
    "Metrics",
    behaviour="CloudWatch reads metrics from the functions' logs (EMF)",
    only_on_aws=NO_METRICS,
    look=FUNCTIONS,
)
def metrics(target: Target) -> Generator[None, None, str]:
    """The stack's namespace has metrics."""
    if target.is_local:
        raise Undecided(NO_METRICS)
    yield
    namespace = f"Worldflow/{target.name}"

    def names() -> set[str] | None:
        answer = target.client("cloudwatch").list_metrics(Namespace=namespace)
        return {metric["MetricName"] for metric in answer["Metrics"]} or None

    return f"{len(target.until(names, 300, f'{namespace} has no metrics'))} metrics in {namespace}"


@check(
    "Status events",
    statements=("OrchestratorRole.Announce",),
    look=("Orchestrator",),
)
def status_events(target: Target) -> str:
    """With EventBusName the orchestrator tells the bus that a run completed; a rule sends it to a queue, for as long as
    this takes.
    """
    bus = target.parameter("EventBusName")
    if not bus:
        raise Skipped("the stack has no EventBusName: PARAMETERS=EventBusName=default")
    name, run_id = f"{target.prefix}-events", f"{target.prefix}-announced"
    pattern = {"source": ["worldflow"], "detail": {"run_id": [run_id]}}
    sqs, events = target.client("sqs"), target.client("events")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    try:
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        rule = events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))["RuleArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
        if not target.is_local:
            time.sleep(30)  # until the rule is in effect, as EventBridge's documentation advises
        target.ended(target.start("hello", {"name": "announced"}, run_id=run_id))

        def received() -> str | None:
            for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                if json.loads(message["Body"])["detail-type"] == "Run Completed":
                    return str(json.loads(message["Body"])["detail-type"])
            return None

        return f"{target.until(received, 60, 'the bus received no event of the end of the run')!r} came over {bus}"
    finally:
        with suppress(ClientError):
            events.remove_targets(Rule=name, EventBusName=bus, Ids=["queue"])
            events.delete_rule(Name=name, EventBusName=bus)
        sqs.delete_queue(QueueUrl=queue)
