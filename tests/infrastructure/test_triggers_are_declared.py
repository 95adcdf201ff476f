"""Triggers are added to the template as docs/guide/triggers.md shows; without them the stack has none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.docs.pages import blocks
from tests.infrastructure.stack import ROOT, TEMPLATE, Stack, target

(SNIPPET,) = blocks("docs/guide/triggers.md", "yaml")
OWN: dict[str, Any] = {
    "Uploads": {"Type": "AWS::S3::Bucket"},
    "CustomersTable": {"Type": "AWS::DynamoDB::Table", "Properties": {}},
    "ClicksStream": {"Type": "AWS::Kinesis::Stream", "Properties": {"ShardCount": 1}},
}


@pytest.fixture(scope="module")
def declared() -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TEMPLATE, "Resources", TEMPLATE["Resources"] | yaml_parse(SNIPPET) | OWN)
        yield Stack()


def test_the_default_stack_has_no_trigger(stack: Stack) -> None:
    assert [name for name in stack.resources if name.startswith("Trigger")] == []


def test_records_come_to_the_function_and_go_to_dead_letters(declared: Stack) -> None:
    mappings = declared.all("Lambda::EventSourceMapping")
    own = {id: mapping for id, mapping in mappings.items() if target(mapping["FunctionName"]) == "TriggerFunction"}
    assert {target(mapping["EventSourceArn"]) for mapping in own.values()} == {
        "OrdersQueue",
        "CustomersTable",
        "ClicksStream",
    }
    for mapping in own.values():
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        if target(mapping["EventSourceArn"]) != "OrdersQueue":
            assert target(mapping["DestinationConfig"]["OnFailure"]["Destination"]) == "TriggerDeadLetterQueue"
    assert target(declared["OrdersQueue"]["RedrivePolicy"]["deadLetterTargetArn"]) == "TriggerDeadLetterQueue"
    assert target(declared["TriggerFunction"]["DeadLetterConfig"]["TargetArn"]) == "TriggerDeadLetterQueue"


def test_the_function_outlives_no_visibility_timeout(declared: Stack) -> None:
    assert declared["OrdersQueue"]["VisibilityTimeout"] >= declared["TriggerFunction"]["Timeout"] + 30
    assert declared["TriggerFunction"]["RecursiveLoop"] == "Allow"


def test_its_role_starts_runs_and_no_more(declared: Stack) -> None:
    role = declared["TriggerFunctionRole"]
    named = [policy for policy in role["ManagedPolicyArns"] if policy != {"Ref": "StartPolicy"}]
    assert {"Ref": "StartPolicy"} in role["ManagedPolicyArns"]
    assert {str(policy).rpartition("/")[2].strip("'}") for policy in named} <= {
        "AWSLambdaBasicExecutionRole", "AWSLambdaSQSQueueExecutionRole", "AWSLambdaDynamoDBExecutionRole",
        "AWSLambdaKinesisExecutionRole", "AWSXRayDaemonWriteAccess", "AWSXrayWriteOnlyAccess",
    }  # fmt: skip


def test_its_code_is_there(declared: Stack) -> None:
    assert (ROOT / yaml_parse(SNIPPET)["TriggerFunction"]["Properties"]["CodeUri"] / "app.py").is_file()
