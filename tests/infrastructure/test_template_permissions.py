"""Least privilege: a role for each function, and in it what that function does and nothing else."""

from typing import Any

import pytest

from tests.infrastructure.stack import Properties, Stack, listed, target

ROLES = {
    "OrchestratorFunction": "OrchestratorRole",
    "StepExecutorFunction": "StepExecutorRole",
    "SignalFunction": "SignalRole",
    "CaretakerFunction": "CaretakerRole",
}
RECEIVE = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
SEND = {"sqs:SendMessage"}
LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
PAYLOADS = {"s3:GetObject", "s3:PutObject"}
READ_SECRET = {"secretsmanager:GetSecretValue"}

# Everything that a role may do with anything of the stack.
ALLOWED = {
    "OrchestratorRole": {
        "EventsTable": {"dynamodb:Query", "dynamodb:PutItem"},
        "RunsTable": {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"},
        "RunQueue": RECEIVE | SEND,
        "StepQueue": SEND,
        "TimerQueue": RECEIVE | SEND,
        "RunDeadLetterQueue": RECEIVE,
        "StepDeadLetterQueue": RECEIVE,
        "TimerDeadLetterQueue": RECEIVE,
        "schedules": {"scheduler:CreateSchedule", "scheduler:DeleteSchedule"},
        "SchedulerRole": {"iam:PassRole"},
        "PayloadBucket": PAYLOADS,
        "WebhookSecret": READ_SECRET,
        "OrchestratorLogGroup": LOG,
    },
    "StepExecutorRole": {
        "RunsTable": {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
        "RunQueue": SEND,
        "StepQueue": RECEIVE,
        "PayloadBucket": PAYLOADS,
        "StepExecutorLogGroup": LOG,
    },
    "SignalRole": {
        "EventsTable": {"dynamodb:Query"},
        "RunsTable": {
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            "dynamodb:DeleteItem",
            "dynamodb:Query",
        },
        "RunQueue": SEND,
        "schedules that recur": {"scheduler:CreateSchedule", "scheduler:UpdateSchedule", "scheduler:DeleteSchedule"},
        "SchedulerRole": {"iam:PassRole"},
        "PayloadBucket": PAYLOADS,
        "WebhookSecret": READ_SECRET,
        "SignalLogGroup": LOG,
    },
    "CaretakerRole": {
        "EventsTable": {"dynamodb:Query", "dynamodb:BatchWriteItem", "dynamodb:DeleteItem"},
        "RunsTable": {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:Query"},
        "RunQueue": SEND,
        "PayloadBucket": PAYLOADS | {"s3:DeleteObject", "s3:ListBucket"},
        "WebhookSecret": READ_SECRET
        | {"secretsmanager:DescribeSecret", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"},
        "CaretakerLogGroup": LOG,
    },
}
SCHEDULES = "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/${SchedulerGroup}/*"
TRACE = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}


RECURRING = SCHEDULES.removesuffix("*") + "schedule-*"


def place(resource: Any) -> str:
    match resource:
        case {"Fn::Sub": str(text)} if text in (SCHEDULES, RECURRING):
            return "schedules" if text == SCHEDULES else "schedules that recur"
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
    assert allowed.pop("*") == TRACE, "only X-Ray, which has no resources to name"
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


def keys(statement: Properties) -> list[str]:
    """The partition keys that a statement is for."""
    condition = statement["Condition"]
    assert condition.keys() == {"ForAllValues:StringLike"}
    return listed(condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])


def test_the_step_executor_sees_the_ledger_and_no_run_record(stack: Stack) -> None:
    statements = stack.statements("StepExecutorRole").values()
    on_tables = [s for s in statements if any("dynamodb" in action for action in listed(s["Action"]))]
    assert [keys(statement) for statement in on_tables] == [["step#*"]]


@pytest.mark.parametrize(
    ("role", "action", "allowed"),
    [
        ("OrchestratorRole", "dynamodb:UpdateItem", ["step#*"]),
        ("OrchestratorRole", "dynamodb:DeleteItem", ["hook#*"]),
        ("SignalRole", "dynamodb:UpdateItem", ["idempotency#*"]),
        ("SignalRole", "dynamodb:DeleteItem", ["idempotency#*", "schedule#*"]),
    ],
)
def test_no_run_record_is_changed_in_part_or_deleted(stack: Stack, role: str, action: str, allowed: list[str]) -> None:
    statements = [s for s in stack.statements(role).values() if action in listed(s["Action"])]
    assert [key for statement in statements for key in keys(statement)] == allowed


def test_the_api_queries_the_two_indexes_by_name(stack: Stack) -> None:
    indexes = {index["IndexName"] for index in stack["RunsTable"]["GlobalSecondaryIndexes"]}
    assert stack.statements("SignalRole")["ListRuns"]["Resource"] == [
        {"Fn::Sub": f"${{RunsTable.Arn}}/index/{index}"} for index in sorted(indexes, reverse=True)
    ]


@pytest.mark.parametrize("role", ROLES.values())
def test_only_payloads_are_touched_in_the_bucket_and_archives_by_the_caretaker(stack: Stack, role: str) -> None:
    touched = {"Fn::Sub": "${PayloadBucket.Arn}/payloads/*"}
    archives = [{"Fn::Sub": "${PayloadBucket.Arn}/archive/*"}] if role == "CaretakerRole" else []
    assert listed(stack.statements(role)["Payloads"]["Resource"]) == [touched, *archives]


def test_the_caretaker_lists_what_it_may_touch(stack: Stack) -> None:
    statement = stack.statements("CaretakerRole")["ListPayloads"]
    assert statement["Condition"] == {"StringLike": {"s3:prefix": ["payloads/*", "archive/*"]}}


def test_the_scheduler_wakes_timers_for_this_group_only(stack: Stack) -> None:
    (trust,) = stack["SchedulerRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {
            "aws:SourceAccount": {"Ref": "AWS::AccountId"},
            "aws:SourceArn": {"Fn::GetAtt": ["SchedulerGroup", "Arn"]},
        }
    }
    (policy,) = stack["SchedulerRole"]["Policies"]
    assert policy["PolicyDocument"]["Statement"] == [
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": {"Fn::GetAtt": ["TimerQueue", "Arn"]}}
    ]
