"""What the roles allow, asked of an evaluator of policies: the conditions say what they are meant to say."""

import copy
from typing import Any

import pytest
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from tests.infrastructure.stack import Stack

TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/runs"
ROLES = ["OrchestratorRole", "StepExecutorRole", "SignalRole", "CaretakerRole"]
ACTIONS = ["GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"]


def policies(stack: Stack, role: str) -> list[Any]:
    """The statements of a role that are about the runs table."""
    statements = [copy.deepcopy(dict(statement)) for statement in stack.statements(role).values()]
    on_runs = [s for s in statements if s["Resource"] == {"Fn::GetAtt": ["RunsTable", "Arn"]}]
    for statement in on_runs:
        statement["Resource"] = TABLE
    return on_runs


def allows(statements: list[Any], action: str, *keys: str) -> bool:
    context = EvalContext(
        principal_arn="arn:aws:iam::123456789012:role/r",
        principal_type="AssumedRole",
        principal_account="123456789012",
        action=f"dynamodb:{action}",
        resource_arn=TABLE,
        region="eu-west-1",
        service_context={"dynamodb:leadingkeys": list(keys)} if keys else {},
    )
    document = {"Version": "2012-10-17", "Statement": statements}
    return bool(evaluate(context, [parse_policy_document(document)]).decision == "Allow")


@pytest.mark.parametrize("role", ROLES)
def test_a_request_that_names_no_key_is_refused(stack: Stack, role: str) -> None:
    assert [action for action in ACTIONS if allows(policies(stack, role), action)] == []


@pytest.mark.parametrize(
    ("role", "action", "key"),
    [
        ("OrchestratorRole", "PutItem", "order-1"),
        ("OrchestratorRole", "PutItem", "step#order-1#s1#1"),
        ("OrchestratorRole", "PutItem", "schedule#nightly"),
        ("OrchestratorRole", "BatchGetItem", "pauses#3"),
        ("OrchestratorRole", "DeleteItem", "hook#approval"),
        ("OrchestratorRole", "DeleteItem", "window#order"),
        ("StepExecutorRole", "UpdateItem", "step#order-1#s1#1#beat"),
        ("SignalRole", "PutItem", "order-1"),
        ("SignalRole", "PutItem", "generation#order-1"),
        ("SignalRole", "PutItem", "idempotency#1"),
        ("SignalRole", "PutItem", "window#order"),
        ("SignalRole", "PutItem", "pauses#0"),
        ("SignalRole", "GetItem", "hook#approval"),
        ("CaretakerRole", "DeleteItem", "order-1"),
        ("CaretakerRole", "BatchWriteItem", "step#order-1#s1#1"),
    ],
)
def test_what_a_function_does_is_allowed(stack: Stack, role: str, action: str, key: str) -> None:
    assert allows(policies(stack, role), action, key)


@pytest.mark.parametrize(
    ("role", "action", "key"),
    [
        ("OrchestratorRole", "GetItem", "idempotency#1"),
        ("OrchestratorRole", "DeleteItem", "order-1"),
        ("OrchestratorRole", "UpdateItem", "order-1"),
        ("StepExecutorRole", "GetItem", "order-1"),
        ("StepExecutorRole", "PutItem", "hook#approval"),
        ("StepExecutorRole", "DeleteItem", "step#order-1#s1#1"),
        ("SignalRole", "GetItem", "step#order-1#s1#1"),
        ("SignalRole", "PutItem", "step#order-1#s1#1"),
        ("SignalRole", "PutItem", "hook#approval"),
        ("SignalRole", "DeleteItem", "order-1"),
        ("CaretakerRole", "DeleteItem", "schedule#nightly"),
        ("CaretakerRole", "PutItem", "idempotency#1"),
    ],
)
def test_what_it_does_not_do_is_refused(stack: Stack, role: str, action: str, key: str) -> None:
    assert not allows(policies(stack, role), action, key)


def test_one_key_among_others_that_is_not_its_own_is_enough_to_refuse(stack: Stack) -> None:
    assert not allows(policies(stack, "CaretakerRole"), "BatchWriteItem", "order-1", "schedule#nightly")
