"""Each right of a role is for a request that the code makes, and for each request somebody has the right."""

import re
from pathlib import Path

import pytest

from tests.infrastructure.stack import ROOT, Stack, listed

ROLES = ["OrchestratorRole", "StepExecutorRole", "SignalRole", "CaretakerRole"]
ENGINE = ROOT / "layers/worldflow/worldflow"

# What Lambda does with a function's role, what the library for idempotency does with the API's, and what X-Ray's does.
OF_OTHERS = {
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "iam:PassRole",  # with each schedule that is created
}
# Requests that ask for a right, or rights, of another name.
RIGHTS = {
    "batch_get_item": {"dynamodb:BatchGetItem"},
    "send_message_batch": {"sqs:SendMessage"},
    "delete_message_batch": {"sqs:DeleteMessage"},
    "change_message_visibility_batch": {"sqs:ChangeMessageVisibility"},
    "transact_write_items": {"dynamodb:PutItem", "dynamodb:DeleteItem"},
    "copy_object": {"s3:GetObject", "s3:PutObject"},
    "list_objects_v2": {"s3:ListBucket"},
}
# Asks with the rights of the person who reconciles tables that were restored, and not with a role of the stack.
BY_A_PERSON = {"restored.py"}
PREFIXES = {
    "item": "dynamodb",
    "query": "dynamodb",
    "object": "s3",
    "message": "sqs",
    "attributes": "sqs",
    "schedule": "scheduler",
    "secret": "secretsmanager",
    "value": "secretsmanager",
    "stage": "secretsmanager",
    "events": "events",
}
REQUEST = re.compile(
    r"\b(?:dynamodb|sqs|s3|scheduler|eventbridge|client\(\"\w+\"\)|client)\s*\.(?:get_paginator\(\"(\w+)\"|(\w+)\()"
)


def requests_in(file: Path) -> set[str]:
    return {paginated or called for paginated, called in REQUEST.findall(file.read_text())} - {"get_paginator"}


def rights(request: str) -> set[str]:
    action = "".join(word.title() for word in request.split("_"))
    return RIGHTS.get(request) or {f"{PREFIXES[request.split('_')[-1]]}:{action}"}


def made() -> set[str]:
    """The rights that the engine's requests ask for."""
    return {
        right
        for file in (ENGINE / "worlds/aws").glob("*.py")
        if file.name not in BY_A_PERSON
        for request in requests_in(file)
        for right in rights(request)
    }


@pytest.fixture(scope="module")
def stack() -> Stack:
    """With all that a role may have a right for."""
    return Stack(EventBusName="orders")


@pytest.mark.parametrize("role", ROLES)
def test_no_right_is_for_nothing(stack: Stack, role: str) -> None:
    has = {action for statement in stack.statements(role).values() for action in listed(statement["Action"])}
    assert has - OF_OTHERS - made() == set()


def test_no_request_is_made_without_a_right(stack: Stack) -> None:
    has = {a for role in ROLES for statement in stack.statements(role).values() for a in listed(statement["Action"])}
    assert made() - has == set()


def test_nothing_else_in_the_engine_asks_aws_for_anything() -> None:
    asking = {
        file.relative_to(ENGINE).as_posix()
        for file in ENGINE.rglob("*.py")
        if re.search(r"\bboto3\.\w+\(|(?:access|_session|session|boto3)\.client\(", file.read_text())
    }
    # Names what workflows may not call; asks KMS, if you ask for it; only counts; reads a stack's outputs for a person.
    # What is in devtools and in the console is in no layer.
    others = {"determinism/names.py", "encryption.py", "costs/metering.py", "stacks.py"}
    assert {
        name for name in asking - others if not name.startswith(("aws_setup/", "console/", "devtools/", "worlds/aws/"))
    } == set()
