"""The caretaker: it archives runs and rotates the webhooks' key."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from worldflow.devtools.verify.checks.runs import LARGE, open_webhook
from worldflow.devtools.verify.failures import Failed, Skipped
from worldflow.devtools.verify.outcome import check
from worldflow.devtools.verify.target import Target
from worldflow.worlds.records import RunRecord


@check(
    "Archive",
    statements=(
        "CaretakerRole.History",
        "CaretakerRole.Runs",
        "CaretakerRole.ListRuns",
        "CaretakerRole.ForgetTimers",
        "CaretakerRole.Payloads",
        "CaretakerRole.ListPayloads",
        "CaretakerRole.Archives",
        "SignalRole.Archives",
    ),
    look=("Caretaker",),
)
def archive(target: Target) -> str:
    """The caretaker archives old runs: it writes the archive, seals the record in a transaction, deletes the run's
    items and the record in another. The run is then read from the archive. (Its record is changed to say that it ended
    longer ago than RetentionDays.)
    """
    days = int(target.parameter("RetentionDays") or 0)
    if not days:
        raise Skipped("the stack archives nothing: PARAMETERS=RetentionDays=1")
    run_id = target.start("verify_pass", {"value": "x" * LARGE})
    asleep = target.start("verify_nap", {"duration": "30d"})
    target.ended(run_id)
    target.waits(asleep, "TimerStarted")
    target.expect(202, "POST", f"/runs/{asleep}/cancel")
    target.ended(asleep, "cancelled")
    for one in (run_id, asleep):
        _grow_old(target, one, timedelta(days=days, hours=1))

    def archived() -> bool | None:
        report = call(target)
        if report.get("archive", {}).get("failed"):
            raise Failed(f"the caretaker could not archive {report['archive']['failed']} runs{_why(target, run_id)}")
        return not any(target.world.get_run(one) for one in (run_id, asleep)) or None

    target.until(archived, 60, "the caretaker did not find the run to archive")  # an index lags behind its table
    left = target.world.load_history(run_id)
    if left:
        raise Failed(f"{len(left)} events of the archived run are still in the table")
    found = target.record(run_id)
    if (found["status"], found["result"]) != ("completed", "x" * LARGE):
        raise Failed("the run read from the archive differs from the original")
    return "archived, removed from the tables, and read from S3 with its large result"


def _grow_old(target: Target, run_id: str, age: timedelta) -> None:
    """Changes the record of a run so that it began and ended earlier."""
    record = target.world.get_run(run_id)
    if record is None or record.ended_at is None:
        raise Failed(f"run {run_id} has ended, but its record does not say so")
    changes = {"created_at": record.created_at - age, "ended_at": record.ended_at - age}
    target.world.update_run(record.model_copy(update=changes))


@check(
    "Sweep", statements=("CaretakerRole.ListRuns", "CaretakerRole.History", "CaretakerRole.Send"), look=("Caretaker",)
)
def sweep(target: Target) -> str:
    """The caretaker finds a run whose start was lost, and starts it. (Its record is written without a message.)"""
    run_id = f"{target.prefix}-lost-{len(target.runs)}"
    target.runs.append(run_id)
    asked = datetime.now(UTC) - timedelta(minutes=10)
    target.world.create_run(
        RunRecord(run_id=run_id, workflow_name="hello", input={"name": "lost"}, created_at=asked, updated_at=asked)
    )

    def started() -> bool | None:
        call(target)
        return target.world.load_history(run_id, commits=1) != [] or None

    target.until(started, 60, f"the caretaker did not start run {run_id}")
    target.ended(run_id)
    return f"{run_id} was started"


def call(target: Target) -> dict[str, Any]:
    """Calls the caretaker as EventBridge does each hour. Raises `Failed` if it fails."""
    answer = target.client("lambda").invoke(FunctionName=target.outputs["CaretakerFunctionName"], Payload=b"{}")
    body = json.loads(answer["Payload"].read() or b"null")
    if answer.get("FunctionError"):
        raise Failed(f"the caretaker failed: {body}")
    return body or {}


def _why(target: Target, run_id: str) -> str:
    """The last line of the caretaker's log about a run, where it can be read."""
    with suppress(ClientError, KeyError, IndexError):
        last = target.log_lines("Caretaker", f'"{run_id}"')[-1]
        return f": {last[:1_000]}"
    return ""


@check(
    "Rotation of the webhooks' key",
    statements=("CaretakerRole.RotateWebhookKeys",),
    behaviour="Secrets Manager may invoke the caretaker",
    look=("Caretaker",),
)
def rotation(target: Target) -> str:
    """Secrets Manager rotates the key through the caretaker, in four steps. A URL signed with the previous key is still
    accepted, and a forged one is not.
    """
    _rotated_at_all(target)
    run_id, url = open_webhook(target)
    secrets, secret = target.client("secretsmanager"), target.outputs["WebhookSecretArn"]
    version = secrets.rotate_secret(SecretId=secret)["VersionId"]

    def rotated() -> bool | None:
        stages = secrets.describe_secret(SecretId=secret)["VersionIdsToStages"]
        return "AWSCURRENT" in stages.get(version, ()) or None

    target.until(rotated, 120, f"version {version} of the secret is not the current one")
    answer = target.call_webhook("POST", url, "signed before")
    if answer.status != 201:
        raise Failed(f"a URL signed with the previous key got {answer.status} {answer.body}")
    target.ended(run_id)
    forged = target.call_webhook("POST", f"{url[:-8]}AAAAAAAA", "forged").status
    if forged != 404:
        raise Failed(f"a forged URL got status {forged}")
    return f"version {version} is current; a URL signed before it is accepted"


@check(
    "Rotation stays scheduled",
    behaviour="Secrets Manager: the rotation test at a deployment (RotateImmediatelyOnUpdate: false)",
    only_on_aws="the local AWS rotates nothing by time",
    look=("Caretaker",),
)
def rotation_schedule(target: Target) -> Generator[None, None, str]:
    """A deployment makes Secrets Manager test the rotation. The rotation is scheduled afterwards, CloudTrail tells
    whether the test failed, and the caretaker's alarm, which a failed test would set off, is not in alarm.
    """
    _rotated_at_all(target)
    yield  # CloudTrail and alarms lag by minutes
    found = target.client("secretsmanager").describe_secret(SecretId=target.outputs["WebhookSecretArn"])
    failed = _failed_tests(target, found["ARN"])
    if not found.get("RotationEnabled") or not (found.get("NextRotationDate") or target.is_local):
        raise Failed(f"the secret is not scheduled for rotation ({failed})")
    alarms = [
        alarm["AlarmName"]
        for page in target.client("cloudwatch").get_paginator("describe_alarms").paginate(StateValue="ALARM")
        for alarm in page["MetricAlarms"]
        if alarm["AlarmName"].startswith(f"{target.name}-Caretaker")
    ]
    if alarms:
        raise Failed(f"{', '.join(alarms)} is in alarm ({failed})")
    return f"the next rotation is due {found.get('NextRotationDate')}; {failed}"


def _rotated_at_all(target: Target) -> None:
    if target.parameter("WebhookKeyDays") == "0":
        raise Skipped("the stack does not rotate the key: PARAMETERS=WebhookKeyDays=90")


def _failed_tests(target: Target, secret: str) -> str:
    try:
        events = target.client("cloudtrail").lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "TestRotationFailed"}],
            StartTime=target.began - timedelta(hours=1),
        )["Events"]
    except ClientError:
        return "CloudTrail could not be read"
    count = sum(secret in json.dumps(event, default=str) for event in events)
    return f"{count} TestRotationFailed in CloudTrail in the last hour"
