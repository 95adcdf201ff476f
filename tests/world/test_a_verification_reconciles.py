"""`make verify-aws` gives `python -m worldflow reconcile --dry-run`, and tells a healthy stack from one that is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import boto3
import pytest

from tests.support.aws import REGION
from tests.support.systems import AWSSystem, start
from worldflow.devtools.verify.checks import reconciling
from worldflow.devtools.verify.outcome import Outcome, Result, run_checks
from worldflow.devtools.verify.workflows import verify_nap, verify_pass
from worldflow.worlds.aws.restored import AWSRestored

WORKFLOWS = {"verify_nap": verify_nap, "verify_pass": verify_pass}


class Target:
    """The stack of these tests, as a check reaches it."""

    is_local = True
    enforces_iam = True

    def __init__(self, aws: AWSSystem) -> None:
        self._aws, self.world = aws, aws.world
        settings = aws.world.settings
        self.outputs = {
            "EventsTableName": settings.events_table,
            "RunsTableName": settings.runs_table,
            "SchedulerGroupName": settings.scheduler_group,
        }

    def client(self, service: Any) -> Any:
        return boto3.client(service, region_name=REGION)

    def start(self, workflow: str, input: Mapping[str, Any]) -> str:
        start(self._aws, workflow, WORKFLOWS[workflow], **input)
        return workflow

    def ended(self, run_id: str) -> None:
        assert self.world.read_run(run_id).status == "completed"

    def until(self, found: Callable[[], Any], within: float, otherwise: str) -> Any:
        return found()


def result(target: Target) -> Result:
    (found,) = run_checks(target, [reconciling.reconcile])  # type: ignore[arg-type]
    return found


def test_a_healthy_stack_passes_and_keeps_all_that_it_had(aws: AWSSystem) -> None:
    assert result(Target(aws)).outcome is Outcome.PASSED
    assert {aws.world.read_run(run_id).status for run_id in WORKFLOWS} == {"completed", "running"}
    assert reconciling.repairs_of(Target(aws), {*WORKFLOWS}) == []  # type: ignore[arg-type]


def test_a_record_that_is_not_as_its_history_fails(aws: AWSSystem) -> None:
    class Wrong(Target):
        def ended(self, run_id: str) -> None:
            record = self.world.read_run(run_id)
            AWSRestored(self.world.access).replace(record.model_copy(update={"status": "failed"}), record)

    found = result(Wrong(aws))
    assert found.outcome is Outcome.FAILED
    assert "records rewritten from their histories: verify_pass" in found.detail


def test_a_missing_record_that_is_not_found_fails(aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciling, "repairs_of", lambda target, ours: [])
    found = result(Target(aws))
    assert (found.outcome, found.detail.rpartition(": ")[2]) == (Outcome.FAILED, "nothing")
    assert aws.world.read_run("verify_pass").status == "completed"


def test_what_is_large_is_not_read_whole(aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciling, "MOST_BYTES", -1)
    assert result(Target(aws)).outcome is Outcome.SKIPPED
