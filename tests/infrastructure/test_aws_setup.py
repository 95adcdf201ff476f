"""`python -m worldflow.aws_setup`, and the function behind it, on AWS as moto has it."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws
from typer.testing import CliRunner, Result

from tests.support.threads import replace_sleep
from worldflow.aws_setup import Infrastructure, setup_worldflow_infrastructure
from worldflow.aws_setup.__main__ import app
from worldflow.engine.errors import ConfigurationError
from worldflow.settings import Settings

REGION = "eu-west-1"

PARTS = [
    "table worldflow-events",
    "table worldflow-runs",
    "queue worldflow-runs-dead-letters.fifo",
    "queue worldflow-steps-dead-letters.fifo",
    "queue worldflow-timers-dead-letters",
    "queue worldflow-runs.fifo",
    "queue worldflow-steps.fifo",
    "queue worldflow-timers",
    "schedule group worldflow",
    "role worldflow-scheduler-eu-west-1",
    "bucket worldflow-payloads-123456789012-eu-west-1",
    "secret worldflow-webhooks",
]


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_REGION", REGION)
    with mock_aws():
        yield


def client(service: str, region: str = REGION) -> Any:
    return boto3.Session(region_name=region).client(service)


def run(*args: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, args, input=stdin)


def changes(**names: Any) -> list[str]:
    """What setting up changes."""
    made: list[str] = []
    setup_worldflow_infrastructure(**names, on_change=made.append)
    return made


# --- setting up ---


def test_a_setup_makes_everything():
    assert changes() == [f"{part}: created" for part in PARTS]
    assert not list(Infrastructure().faults())


def test_a_second_setup_changes_nothing_and_says_so():
    first, second = run("setup"), run("setup")
    assert first.stderr.endswith("Ready.\n")
    assert second.stderr == "Nothing to do.\n"
    assert second.stdout == first.stdout


def test_the_environment_is_all_that_settings_ask_for():
    settings = Settings.from_environment(setup_worldflow_infrastructure().environment())
    # Which modules there are is not for a table to know, nor where webhooks are reached, nor what users set.
    chosen = {"webhook_url", "payload_codec", "retention_days", "event_bus", "step_queues", "triggers"}
    assert {name for name, value in settings if not value} == chosen
    limits = {"history_limit", "turn_cpu_limit"}
    assert settings.model_fields_set == Settings.model_fields.keys() - {"workflows"} - chosen - limits


def test_it_prints_what_a_shell_evaluates():
    lines = run("setup").stdout.splitlines()
    printed = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    assert all(line.startswith("export ") for line in lines)
    assert printed == {"AWS_REGION": REGION, **setup_worldflow_infrastructure().environment()}


def test_names_of_ones_own():
    resources = setup_worldflow_infrastructure(
        region="us-east-1", events_table="E", runs_table="R", step_queue="Shop_steps.fifo", payload_bucket="my-payloads"
    )
    assert (resources.region, resources.events_table, resources.runs_table) == ("us-east-1", "E", "R")
    assert resources.run_queue_url.endswith("/Shop_runs.fifo")
    assert resources.timer_queue_arn == "arn:aws:sqs:us-east-1:123456789012:Shop_timers"
    assert resources.dead_letter_arns[2] == "arn:aws:sqs:us-east-1:123456789012:Shop_timers-dead-letters"
    assert resources.scheduler_group == "Shop"
    assert resources.scheduler_role_arn == "arn:aws:iam::123456789012:role/Shop-scheduler-us-east-1"
    assert resources.payload_bucket == "my-payloads"
    assert ":secret:Shop-webhooks-" in resources.webhook_secret_arn


def test_further_step_queues_are_named_after_the_step_queue():
    assert changes() and changes(step_queues=["heavy"]) == ["queue worldflow-steps-heavy.fifo: created"]
    printed = run("setup", "--step-queues", "heavy").stdout
    assert "export WORLDFLOW_STEP_QUEUES=heavy" in printed
    resources = setup_worldflow_infrastructure(step_queues=["heavy"])
    settings = Settings.from_environment(resources.environment())
    sqs = boto3.client("sqs", region_name=REGION)
    found = sqs.get_queue_attributes(QueueUrl=settings.url_of_step_queue("heavy"), AttributeNames=["RedrivePolicy"])
    assert "worldflow-steps-dead-letters.fifo" in found["Attributes"]["RedrivePolicy"]
    with pytest.raises(ConfigurationError, match="each name in step_queues must be"):
        setup_worldflow_infrastructure(step_queues=["Heavy"])


def test_two_regions_do_not_meet():
    setup_worldflow_infrastructure(region="us-east-1")
    assert changes(region="eu-west-1") == [f"{part}: created" for part in PARTS]
    assert not list(Infrastructure(region="us-east-1").faults())


def test_a_step_queue_beside_which_no_other_can_be_named_is_refused():
    result = run("setup", "--step-queue", "tasks.fifo")
    assert result.exit_code == 1
    assert (
        result.stderr
        == "Error: the name of the step queue must end in steps.fifo, like worldflow-steps.fifo, not be 'tasks.fifo'\n"
    )


# --- what is in the way ---


def test_a_table_of_other_keys_is_left_alone():
    client("dynamodb").create_table(
        TableName="worldflow-events",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    with pytest.raises(ConfigurationError, match="table worldflow-events has different keys, which cannot be changed"):
        setup_worldflow_infrastructure()
    assert run("status").stderr.startswith("table worldflow-events: different keys\n")


def test_a_table_that_was_made_a_moment_ago_is_asked_again_for_its_backups(monkeypatch: pytest.MonkeyPatch):
    asked = fail_first(monkeypatch, "UpdateContinuousBackups", "ContinuousBackupsUnavailableException")
    replace_sleep(monkeypatch, lambda seconds: None)
    setup_worldflow_infrastructure()
    assert len(asked) == 3, "one table was asked for twice"
    assert not list(Infrastructure().faults())


def test_a_bucket_that_is_somebody_elses_is_not_used(monkeypatch: pytest.MonkeyPatch):
    fail_first(monkeypatch, "HeadBucket", "403")
    with pytest.raises(ConfigurationError, match="belongs to another AWS account"):
        setup_worldflow_infrastructure()


def fail_first(monkeypatch: pytest.MonkeyPatch, operation: str, code: str) -> list[str]:
    """Makes AWS refuse the first request for an operation. Returns all requests for it, as they are made."""
    asked: list[str] = []
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def make_api_call(self: BaseClient, name: str, request: Any) -> Any:
        if name == operation:
            asked.append(name)
            if len(asked) == 1:
                error = {"Error": {"Code": code, "Message": ""}}
                raise self.exceptions.from_code(code)(error, name)  # type: ignore[arg-type]
        return call(self, name, request)

    monkeypatch.setattr(BaseClient, "_make_api_call", make_api_call)
    return asked


# --- the status ---


def test_the_status_of_nothing_names_everything():
    status = run("status")
    assert status.exit_code == 1
    assert status.stderr.splitlines()[:-1] == [f"{part}: missing" for part in PARTS]


def test_the_status_of_a_setup_prints_its_environment():
    setup = run("setup")
    status = run("status")
    assert (status.exit_code, status.stdout) == (0, setup.stdout)


def test_the_status_changes_nothing():
    run("status")
    assert client("sqs").list_queues().get("QueueUrls", []) == []


# --- tearing down ---


def test_a_teardown_deletes_everything_with_all_that_it_holds():
    resources = setup_worldflow_infrastructure()
    s3 = client("s3")
    s3.delete_bucket_policy(Bucket=resources.payload_bucket)  # moto heeds no conditions and would refuse the objects
    for body in (b"old", b"new"):
        s3.put_object(Bucket=resources.payload_bucket, Key="payloads/a", Body=body)
    s3.delete_object(Bucket=resources.payload_bucket, Key="payloads/a")
    result = run("teardown", "--yes")
    assert result.exit_code == 0, result.output
    assert [line for line in result.stderr.splitlines() if line.endswith(": deleted")] == [
        f"{part}: deleted" for part in reversed(PARTS)
    ]
    assert {fault.what for fault in Infrastructure().faults()} == {"missing"}


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_a_teardown_asks_first(answer: str):
    setup_worldflow_infrastructure()
    result = run("teardown", stdin=answer)
    assert result.exit_code == 1
    assert "Delete these resources in eu-west-1, with all runs and their histories?" in result.output
    assert not list(Infrastructure().faults())


def test_a_teardown_does_as_it_is_told():
    setup_worldflow_infrastructure()
    assert run("teardown", stdin="y\n").exit_code == 0
    with pytest.raises(ClientError):
        client("dynamodb").describe_table(TableName="worldflow-events")


def test_a_teardown_of_a_part_deletes_that_part():
    setup_worldflow_infrastructure()
    sqs = client("sqs")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="worldflow-timers")["QueueUrl"])
    assert "worldflow-timers:" not in run("teardown", "--yes").stderr
    assert run("teardown", "--yes").stderr == "Nothing to do.\n"
