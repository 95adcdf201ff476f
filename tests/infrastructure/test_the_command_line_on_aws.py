"""The commands do on AWS what they do on a LocalWorld file, with the environment that `aws_setup` prints."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from worldflow import wait_for_signal, workflow
from worldflow.aws_setup import setup_worldflow_infrastructure
from worldflow.cli import app
from worldflow.turns.turns import Turns
from worldflow.worlds import AWSWorld
from worldflow.worlds.messages import Poke

REGION = "eu-west-1"

Command = Callable[..., Any]


@workflow
async def ask_on_aws(question: str) -> dict[str, object]:
    return {question: await wait_for_signal("answer")}


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_DEFAULT_REGION", "WORLDFLOW_LOCAL", "WORLDFLOW_WORKFLOWS"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)  # moto's own
        monkeypatch.setenv("AWS_REGION", REGION)
        for name, value in setup_worldflow_infrastructure().environment().items():
            monkeypatch.setenv(name, value)

        def run(*args: str) -> Any:
            result = CliRunner().invoke(app, [*args, "--json"])
            assert result.exit_code == 0, result.output
            return json.loads(result.stdout)

        yield run


def test_a_run_is_started_signalled_shown_and_listed(command: Command):
    started = command("start", "ask_on_aws", "--run-id", "one", "--input", '{"question": "Well?"}')
    assert (started["status"], started["created"]) == ("pending", True)
    assert command("signal", "one", "answer", "--value", "42").keys() == {"run_id", "signal_id"}
    # One turn, as the orchestrator's function would take it.
    Turns(AWSWorld()).take("one", [Poke(run_id="one")])
    assert command("events", "one")["payload"]["input"] == {"question": "Well?"}
    assert command("status", "one")["status"] == "running"
    (listed,) = command("list", "--status", "running", "--workflow", "ask_on_aws")["runs"]
    assert listed["run_id"] == "one"
    assert command("cancel", "one") == {"run_id": "one"}


@workflow
async def fails_on_aws() -> None:
    raise ValueError("no more")


def test_a_traceback_is_shown_where_it_is_asked_for(command: Command):
    command("start", "fails_on_aws", "--run-id", "one")
    Turns(AWSWorld()).take("one", [Poke(run_id="one")])
    shown, with_traceback = (
        CliRunner().invoke(app, ["status", "one", *args]).stdout for args in ((), ("--traceback",))
    )
    assert "ValueError: no more" in shown
    assert "Traceback" not in shown
    assert with_traceback.startswith(shown)
    assert "in fails_on_aws" in with_traceback


def test_what_was_restored_is_reconciled(command: Command):
    # moto reads no conditions, and would refuse everything for want of TLS.
    boto3.client("s3").delete_bucket_policy(Bucket=os.environ["WORLDFLOW_PAYLOAD_BUCKET"])
    command("start", "ask_on_aws", "--run-id", "one", "--input", '{"question": "Well?"}')
    Turns(AWSWorld()).take("one", [Poke(run_id="one")])

    plan = CliRunner().invoke(app, ["reconcile", "--dry-run"])
    assert plan.exit_code == 0
    assert "open runs marked as restored: one\n" in plan.stdout
    assert "Nothing was changed" in plan.stderr
    counted = command("reconcile")
    assert (counted["open_runs"], counted["marked"], counted["woken"], counted["dry_run"]) == (1, 1, 1, False)
    assert command("reconcile")["marked"] == 0
