"""CloudFormation deletes no data with a stack; `make delete` does, of a stack of development."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.infrastructure.stack import NO_VALUE, ROOT, Stack
from worldflow.devtools.local_aws import LocalAws

DATA = ["EventsTable", "RunsTable", "PayloadBucket", "WebhookSecret", "RunQueue", "RunDeadLetterQueue"]
OF_ALL_KINDS = ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SecretsManager::Secret")


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_all_that_holds_data_is_kept_but_of_a_first_deployment_that_fails(stage: str) -> None:
    resources = Stack(Stage=stage).resources
    assert {id for id, resource in resources.items() if resource["Type"] in OF_ALL_KINDS} <= set(DATA)
    for logical_id in DATA:
        assert resources[logical_id]["DeletionPolicy"] == "RetainExceptOnCreate", logical_id
        assert resources[logical_id]["UpdateReplacePolicy"] == "Retain", logical_id


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    with LocalAws(tmp_path_factory.mktemp("aws")) as aws:
        yield aws


def create(aws: LocalAws, name: str, stage: str) -> dict[str, str]:
    """A stack of what holds data, and of a queue that does not. Returns the physical ids."""
    resources = Stack(Stage=stage).resources
    resources = {id: resources[id] for id in [*DATA, "TimerQueue", "TimerDeadLetterQueue"]}
    parameters = {"Stage": {"Type": "String", "Default": stage}}
    template = {"Parameters": parameters, "Resources": without_no_values(resources)}
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    found = cloudformation.list_stack_resources(StackName=name)["StackResourceSummaries"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}


def without_no_values(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: without_no_values(value) for key, value in node.items() if value != NO_VALUE}
    return [without_no_values(value) for value in node] if isinstance(node, list) else node


def there_are(aws: LocalAws) -> set[str]:
    """The physical ids of all tables, buckets, secrets and queues of the account."""
    return {
        *aws.client("dynamodb").list_tables()["TableNames"],
        *(bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]),
        # Its ARN on AWS, its name here.
        *(secret[id] for secret in aws.client("secretsmanager").list_secrets()["SecretList"] for id in ("ARN", "Name")),
        *aws.client("sqs").list_queues().get("QueueUrls", []),
    }


def make_delete(aws: LocalAws, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "worldflow.devtools.deletion", name, "--yes"]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **aws.env}, capture_output=True, text=True, check=False)


def test_cloudformation_keeps_the_data_and_nothing_else(aws: LocalAws) -> None:
    made = create(aws, "shop", "prod")
    aws.client("cloudformation").delete_stack(StackName="shop")
    aws.client("cloudformation").get_waiter("stack_delete_complete").wait(StackName="shop", WaiterConfig={"Delay": 1})

    assert there_are(aws) & set(made.values()) == {made[logical_id] for logical_id in DATA}


def test_make_delete_deletes_the_data_too(aws: LocalAws, tmp_path: Path) -> None:
    made = create(aws, "scratch", "dev")
    aws.client("s3").put_object(Bucket=made["PayloadBucket"], Key="payloads/order-1/a", Body=b"{}")
    aws.client("s3").delete_object(Bucket=made["PayloadBucket"], Key="payloads/order-1/a")

    deleted = make_delete(aws, "scratch")

    assert deleted.returncode == 0, deleted.stderr
    assert not there_are(aws) & set(made.values())


def test_make_delete_refuses_a_stack_of_production(aws: LocalAws) -> None:
    made = create(aws, "live", "prod")

    refused = make_delete(aws, "live")

    assert (refused.returncode, refused.stderr) == (
        1,
        "Error: stack live was not deleted: its Stage is prod, but only data of Stage dev can be deleted\n",
    )
    assert set(made.values()) <= there_are(aws)
