"""Least privilege: a role for each function, and in it what that function does and nothing else."""

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.infrastructure.stack import Properties, Stack, listed, target
from worldflow import InvalidInputError
from worldflow.engine.ids import check_run_id, limit_key, starts_key, stream_key
from worldflow.worlds.aws.messages import schedule_name
from worldflow.worlds.messages import Delayed, Poke, Start

ROLES = {
    "OrchestratorFunction": "OrchestratorRole",
    "StepExecutorFunction": "StepExecutorRole",
    "SignalFunction": "SignalRole",
    "CaretakerFunction": "CaretakerRole",
}
RECEIVE = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"}
SEND = {"sqs:SendMessage"}
LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
PAYLOADS = {"s3:GetObject", "s3:PutObject"}
READ_SECRET = {"secretsmanager:GetSecretValue"}

# Everything that a role may do with anything of the stack.
ALLOWED = {
    "OrchestratorRole": {
        "EventsTable": {"dynamodb:Query", "dynamodb:PutItem"},
        "RunsTable": {
            "dynamodb:GetItem",
            "dynamodb:BatchGetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            "dynamodb:DeleteItem",
        },
        "RunQueue": RECEIVE | SEND,
        "StepQueue": SEND,
        "TimerQueue": RECEIVE | SEND,
        "RunDeadLetterQueue": RECEIVE | SEND,
        "StepDeadLetterQueue": RECEIVE,
        "TimerDeadLetterQueue": RECEIVE,
        "schedules": {"scheduler:CreateSchedule", "scheduler:DeleteSchedule"},
        "SchedulerRole": {"iam:PassRole"},
        "PayloadBucket": PAYLOADS | {"s3:ListBucket"},
        "WebhookSecret": READ_SECRET,
        "OrchestratorLogGroup": LOG,
    },
    "StepExecutorRole": {
        "EventsTable": {"dynamodb:Query", "dynamodb:PutItem"},
        "RunsTable": {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
        "RunQueue": SEND,
        "StepQueue": RECEIVE,
        "PayloadBucket": PAYLOADS,
        "StepExecutorLogGroup": LOG,
    },
    "SignalRole": {
        "EventsTable": {"dynamodb:Query", "dynamodb:PutItem"},
        "RunsTable": {
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            "dynamodb:DeleteItem",
            "dynamodb:Query",
        },
        "RunQueue": SEND,
        "TimerQueue": SEND,
        "schedules of starts": {"scheduler:CreateSchedule"},
        "schedules that recur": {"scheduler:CreateSchedule", "scheduler:UpdateSchedule", "scheduler:DeleteSchedule"},
        "SchedulerRole": {"iam:PassRole"},
        "PayloadBucket": PAYLOADS | {"s3:ListBucket"},
        "WebhookSecret": READ_SECRET,
        "SignalLogGroup": LOG,
    },
    "CaretakerRole": {
        "EventsTable": {"dynamodb:Query", "dynamodb:BatchWriteItem"},
        "RunsTable": {
            "dynamodb:GetItem",
            "dynamodb:BatchGetItem",
            "dynamodb:PutItem",
            "dynamodb:DeleteItem",
            "dynamodb:BatchWriteItem",
            "dynamodb:Query",
        },
        "RunQueue": SEND,
        "schedules": {"scheduler:DeleteSchedule"},
        "PayloadBucket": PAYLOADS | {"s3:DeleteObject", "s3:ListBucket"},
        "WebhookSecret": READ_SECRET
        | {"secretsmanager:DescribeSecret", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"},
        "CaretakerLogGroup": LOG,
    },
}
SCHEDULES = "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/${SchedulerGroup}/*"


RECURRING = SCHEDULES.removesuffix("*") + "schedule-*"
STARTS = SCHEDULES.removesuffix("*") + "start-*"


def place(resource: Any) -> str:
    match resource:
        case {"Fn::Sub": str(text)} if text in (SCHEDULES, RECURRING, STARTS):
            return {SCHEDULES: "schedules", RECURRING: "schedules that recur", STARTS: "schedules of starts"}[text]
    return target(resource)


@pytest.mark.parametrize(("function", "role"), ROLES.items())
def test_every_function_has_a_role_of_its_own(stack: Stack, function: str, role: str) -> None:
    assert target(stack[function]["Role"]) == role
    (statement,) = stack[role]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_no_role_is_left_to_sam_or_to_a_managed_policy(stack: Stack) -> None:
    assert stack.all("IAM::Role").keys() == {*ROLES.values(), "SchedulerRole"}
    for role in stack.all("IAM::Role").values():
        assert "ManagedPolicyArns" not in role


@pytest.mark.parametrize("role", ROLES.values())
def test_what_a_role_may_do(stack: Stack, role: str) -> None:
    allowed: dict[str, set[str]] = {}
    for statement in stack.statements(role).values():
        assert statement["Effect"] == "Allow"
        for resource in listed(statement["Resource"]):
            allowed.setdefault(place(resource), set()).update(listed(statement["Action"]))
    assert allowed == ALLOWED[role]


@pytest.mark.parametrize("role", [*ROLES.values(), "SchedulerRole"])
def test_no_action_has_a_wildcard(stack: Stack, role: str) -> None:
    for policy in stack[role]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert "NotAction" not in statement
            assert "NotResource" not in statement
            assert not [action for action in listed(statement["Action"]) if "*" in action]


@pytest.mark.parametrize(("role", "schedules"), [("OrchestratorRole", SCHEDULES), ("SignalRole", RECURRING)])
def test_who_schedules_does_so_in_the_group_and_passes_one_role_to_one_service(
    stack: Stack, role: str, schedules: str
) -> None:
    statements = stack.statements(role)
    assert statements["Schedule"]["Resource"] == {"Fn::Sub": schedules}
    assert statements["PassSchedulerRole"]["Resource"] == {"Fn::GetAtt": ["SchedulerRole", "Arn"]}
    assert statements["PassSchedulerRole"]["Condition"] == {
        "StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}
    }


NAMED = {"Null": {"dynamodb:LeadingKeys": "false"}}
"""The condition that a request names keys: what holds for all of them holds for none of them too."""


def keys(statement: Properties) -> str:
    """The partition keys that a statement is for."""
    condition = dict(statement["Condition"])
    assert condition.pop("Null") == NAMED["Null"]
    match condition:
        case {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": patterns}, **others}:
            assert others == {}
            return " ".join(patterns)
        case {"ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": patterns}, **others}:
            assert others == {}
            return "not " + " ".join(patterns)
    raise AssertionError(f"unknown condition {condition}")


@pytest.mark.parametrize("role", ROLES.values())
def test_a_condition_on_keys_does_not_hold_for_a_request_without_keys(stack: Stack, role: str) -> None:
    for statement in stack.statements(role).values():
        if "LeadingKeys" in str(statement.get("Condition")):
            assert statement["Condition"]["Null"] == NAMED["Null"]


# By action: what keys of the runs table a role may do it with.
KEYS = {
    "OrchestratorRole": {
        "GetItem": ["not idempotency#*"],
        "BatchGetItem": ["not idempotency#*"],
        "PutItem": ["not idempotency#*"],
        "UpdateItem": ["step#* dead#*", "streams#*"],
        "DeleteItem": ["hook#* window#*"],
    },
    "StepExecutorRole": {"GetItem": ["step#*"], "PutItem": ["step#*"], "UpdateItem": ["streams#*", "step#*"]},
    "SignalRole": {
        "GetItem": ["not step#*"],
        "PutItem": ["not step#* hook#*"],
        "UpdateItem": ["idempotency#*"],
        "DeleteItem": ["idempotency#*", "schedule#*"],
    },
    "CaretakerRole": {
        action: ["not schedule#* idempotency#*"]
        for action in ("GetItem", "BatchGetItem", "PutItem", "DeleteItem", "BatchWriteItem")
    },
}


@pytest.mark.parametrize("role", ROLES.values())
def test_what_of_the_runs_table_is_whose(stack: Stack, role: str) -> None:
    found: dict[str, list[str]] = {}
    for statement in stack.statements(role).values():
        if {"Fn::GetAtt": ["RunsTable", "Arn"]} in listed(statement["Resource"]):
            for action in listed(statement["Action"]):
                found.setdefault(action.removeprefix("dynamodb:"), []).append(keys(statement))
    assert found == KEYS[role]


@pytest.mark.parametrize(("sid", "pattern"), [("Limits", "limit#*"), ("Starts", "*#starts")])
def test_requests_write_limits_and_starts_and_no_history(stack: Stack, sid: str, pattern: str) -> None:
    statement = stack.statements("SignalRole")[sid]
    assert statement["Action"] == "dynamodb:PutItem"
    assert keys(statement) == pattern
    key = {"Limits": limit_key("bank", "keys"), "Starts": starts_key("order-1")}[sid]
    assert fnmatchcase(key, pattern)
    with pytest.raises(InvalidInputError):
        check_run_id(key)


def test_requests_delay_starts_and_no_other_message(stack: Stack) -> None:
    statement, due = stack.statements("SignalRole")["DelayForLong"], datetime(2028, 2, 29, tzinfo=UTC)
    assert statement["Resource"] == {"Fn::Sub": STARTS}
    start, timer = Start(run_id="order-1"), Poke(run_id="order-1")
    assert schedule_name(Delayed(due=due, message=start)).startswith("start-")
    assert not schedule_name(Delayed(due=due, message=timer)).startswith("start-")
    assert {len(schedule_name(Delayed(due=due, message=message))) for message in (start, timer)} == {64}


def test_steps_write_streams_and_no_history(stack: Stack) -> None:
    statement = stack.statements("StepExecutorRole")["Streams"]
    assert statement["Resource"] == {"Fn::GetAtt": ["EventsTable", "Arn"]}
    assert keys(statement) == "*#stream#*"
    assert stream_key("order-1", "answer") == "order-1#stream#answer"
    with pytest.raises(InvalidInputError):
        check_run_id("order-1#stream#answer")


def test_only_the_caretaker_can_remove_history(stack: Stack) -> None:
    history = {"Fn::GetAtt": ["EventsTable", "Arn"]}
    writers = {
        role: {
            action
            for s in stack.statements(role).values()
            if history in listed(s["Resource"])
            for action in s["Action"]
        }
        - {"dynamodb:Query"}
        for role in ("OrchestratorRole", "CaretakerRole")
    }
    assert writers == {"OrchestratorRole": {"dynamodb:PutItem"}, "CaretakerRole": {"dynamodb:BatchWriteItem"}}


def test_the_api_queries_the_two_indexes_by_name(stack: Stack) -> None:
    indexes = {index["IndexName"] for index in stack["RunsTable"]["GlobalSecondaryIndexes"]}
    assert stack.statements("SignalRole")["ListRuns"]["Resource"] == [
        {"Fn::Sub": f"${{RunsTable.Arn}}/index/{index}"} for index in sorted(indexes, reverse=True)
    ]


# What a role may do with which objects of the bucket.
OBJECTS = {
    "OrchestratorRole": {"payloads": PAYLOADS, "archive": {"s3:GetObject"}},
    "StepExecutorRole": {"payloads": PAYLOADS},
    "SignalRole": {"payloads": PAYLOADS, "archive": {"s3:GetObject"}},
    "CaretakerRole": {"payloads": PAYLOADS | {"s3:DeleteObject"}, "archive": PAYLOADS},
}


@pytest.mark.parametrize("role", ROLES.values())
def test_who_touches_which_objects(stack: Stack, role: str) -> None:
    found = {}
    for statement in stack.statements(role).values():
        match statement["Resource"]:
            case {"Fn::Sub": str(text)} if text.startswith("${PayloadBucket.Arn}/") and text.endswith("/*"):
                found[text.removeprefix("${PayloadBucket.Arn}/").removesuffix("/*")] = set(listed(statement["Action"]))
    assert found == OBJECTS[role]


def test_the_scheduler_wakes_timers_for_this_group_only(stack: Stack) -> None:
    (trust,) = stack["SchedulerRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {
            "aws:SourceAccount": {"Ref": "AWS::AccountId"},
            "aws:SourceArn": {"Fn::GetAtt": ["SchedulerGroup", "Arn"]},
        }
    }
    assert stack.statements("SchedulerRole") == {
        "Send": {
            "Sid": "Send",
            "Effect": "Allow",
            "Action": "sqs:SendMessage",
            "Resource": [{"Fn::GetAtt": ["TimerQueue", "Arn"]}, {"Fn::GetAtt": ["TimerDeadLetterQueue", "Arn"]}],
        }
    }


def test_a_role_is_passed_on_to_no_service_but_the_scheduler(stack: Stack) -> None:
    passing = {
        (role, id)
        for role in stack.all("IAM::Role")
        for id, statement in stack.statements(role).items()
        if "iam:PassRole" in listed(statement["Action"])
    }
    assert passing == {("OrchestratorRole", "PassSchedulerRole"), ("SignalRole", "PassSchedulerRole")}
    assert not [
        a
        for r in stack.all("IAM::Role")
        for s in stack.statements(r).values()
        for a in listed(s["Action"])
        if a.startswith(("iam:", "sts:")) and a != "iam:PassRole"
    ]


def test_services_call_functions_for_this_stack_only(stack: Stack) -> None:
    callers = {
        (target(permission["FunctionName"]), permission["Principal"]): permission.get("SourceArn")
        for permission in stack.all("Lambda::Permission").values()
    }
    assert all(callers.values()), "nobody else's API, rule or secret"
    assert callers.keys() == {
        ("SignalFunction", "apigateway.amazonaws.com"),
        ("CaretakerFunction", "events.amazonaws.com"),
        ("CaretakerFunction", "secretsmanager.amazonaws.com"),
    }
