from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from worldflow.aws_setup import Infrastructure, setup_worldflow_infrastructure
from worldflow.aws_setup.__main__ import app

REGION = "eu-west-1"


@pytest.fixture(scope="module", autouse=True)
def whole() -> Iterator[None]:
    """One setup for all tests: each mends what it damages."""
    client.cache_clear()
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        environment.delenv("AWS_ENDPOINT_URL", raising=False)
        environment.delenv("AWS_PROFILE", raising=False)
        environment.setenv("AWS_REGION", REGION)
        setup_worldflow_infrastructure()
        yield


@cache
def client(service: str) -> Any:
    return boto3.Session(region_name=REGION).client(service)


def remove_index() -> None:
    updates = [{"Delete": {"IndexName": "by_time"}}]
    client("dynamodb").update_table(TableName="worldflow-runs", GlobalSecondaryIndexUpdates=updates)


def stop_recovery() -> None:
    client("dynamodb").update_continuous_backups(
        TableName="worldflow-events", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    )


def stop_expiry() -> None:
    client("dynamodb").update_time_to_live(
        TableName="worldflow-runs", TimeToLiveSpecification={"AttributeName": "expires_at", "Enabled": False}
    )


def delete_queue() -> None:
    client("sqs").delete_queue(QueueUrl=url("worldflow-timers"))


def shorten_visibility() -> None:
    set_attributes("worldflow-steps.fifo", VisibilityTimeout="30")


def redirect_dead_letters() -> None:
    target = "arn:aws:sqs:eu-west-1:123456789012:worldflow-steps-dead-letters.fifo"
    policy = f'{{"deadLetterTargetArn": "{target}", "maxReceiveCount": 1000}}'
    set_attributes("worldflow-runs.fifo", RedrivePolicy=policy)


def open_queue() -> None:
    statement = '{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}'
    policy = f'{{"Version": "2012-10-17", "Statement": [{statement}]}}'
    client("sqs").set_queue_attributes(QueueUrl=url("worldflow-timers"), Attributes={"Policy": policy})


def set_attributes(queue: str, **attributes: str) -> None:
    """Sets these and, what moto forgets otherwise, the queue's policy."""
    kept = client("sqs").get_queue_attributes(QueueUrl=url(queue), AttributeNames=["Policy"])["Attributes"]
    client("sqs").set_queue_attributes(QueueUrl=url(queue), Attributes=kept | attributes)


def widen_role() -> None:
    statement = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}]}'
    client("iam").put_role_policy(
        RoleName="worldflow-scheduler-eu-west-1", PolicyName="WakeTimers", PolicyDocument=statement
    )


def open_bucket() -> None:
    client("s3").delete_public_access_block(Bucket="worldflow-payloads-123456789012-eu-west-1")


def delete_secret() -> None:
    client("secretsmanager").delete_secret(SecretId="worldflow-webhooks", ForceDeleteWithoutRecovery=True)


def url(queue: str) -> str:
    found: str = client("sqs").get_queue_url(QueueName=queue)["QueueUrl"]
    return found


DAMAGES = [
    (remove_index, "table worldflow-runs: no index by_time"),
    (stop_recovery, "table worldflow-events: no point-in-time recovery"),
    (stop_expiry, "table worldflow-runs: no expiry by expires_at"),
    (delete_queue, "queue worldflow-timers: missing"),
    (shorten_visibility, "queue worldflow-steps.fifo: VisibilityTimeout 30 instead of 330"),
    (redirect_dead_letters, "queue worldflow-runs.fifo: RedrivePolicy "),
    (open_queue, "queue worldflow-timers: Policy "),
    (widen_role, "role worldflow-scheduler-eu-west-1: other permissions"),
    (open_bucket, "bucket worldflow-payloads-123456789012-eu-west-1: other public access"),
    (delete_secret, "secret worldflow-webhooks: missing"),
]


@pytest.mark.parametrize(("damage", "fault"), DAMAGES)
def test_setting_up_again_mends_that_and_nothing_else(damage: Callable[[], None], fault: str):
    infrastructure = Infrastructure()
    damage()
    (found,) = map(str, infrastructure.faults())
    assert found.startswith(fault)
    changes: list[str] = []
    infrastructure.fix(changes.append)
    assert len(changes) == 1
    assert not list(infrastructure.faults())


def test_the_status_names_it():
    stop_expiry()
    status = CliRunner().invoke(app, ["status"])
    setup_worldflow_infrastructure()
    assert status.exit_code == 1
    assert status.stderr == "table worldflow-runs: no expiry by expires_at\nRun `setup` to fix this.\n"
    assert status.stdout == ""
