"""Each function's role makes each call of a long list, on the deployed stack: it is let through, or it is refused.

What a role needs is shown by the other end-to-end tests, which run with the same roles enforced.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from worldflow.devtools.local_aws.launcher import REGION
from worldflow.devtools.stack import Stack

REFUSED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException"}

ORCHESTRATOR, EXECUTOR, SIGNAL, CARETAKER = "OrchestratorRole", "StepExecutorRole", "SignalRole", "CaretakerRole"
ROLES = [ORCHESTRATOR, EXECUTOR, SIGNAL, CARETAKER]
FUNCTIONS = {role: role.replace("Role", "Function") for role in ROLES}
EVERYBODY, NOBODY = set(ROLES), set[str]()


@dataclass(frozen=True, slots=True)
class Account:
    """What one role sees: clients with its credentials, and the names of the stack's parts."""

    client: Callable[[str], Any]
    names: dict[str, str]  # by logical id
    outputs: dict[str, str]
    bucket: str


Call = Callable[[Account], Any]
CALLS: dict[str, tuple[Call, set[str]]] = {}


def role_named(name: str) -> str:
    return f"arn:aws:iam::000000000000:role/{name}"


def call(name: str, allowed: set[str], call: Call) -> None:
    assert name not in CALLS
    CALLS[name] = call, allowed


# ----------------------------------------------------------------------------------------------------------- the tables


def on_table(table: str, operation: str, **arguments: Any) -> Call:
    return lambda account: getattr(account.client("dynamodb"), operation)(
        TableName=account.outputs[f"{table}TableName"], **arguments
    )


def text(value: str) -> dict[str, str]:
    return {"S": value}


def deletion(table: str, key: dict[str, Any]) -> Call:
    """In a batch, which is an action of its own."""

    def delete(account: Account) -> Any:
        requests = {account.outputs[f"{table}TableName"]: [{"DeleteRequest": {"Key": key}}]}
        return account.client("dynamodb").batch_write_item(RequestItems=requests)

    return delete


# The role that may write would: on the condition that a run is there which is not.
THERE = {"ConditionExpression": "attribute_exists(run_id)"}
FIRST = {"run_id": text("nobody's"), "seq": {"N": "1"}}
A_RUN = {"KeyConditionExpression": "run_id = :run", "ExpressionAttributeValues": {":run": text("nobody's")}}
OF_A_STREAM = {"run_id": text("nobody's#stream#answer")}
OF_A_LIMIT = {"run_id": text("limit#nobodys#keys")}
OF_A_START = {"run_id": text("nobody's#starts")}
A_STREAM = A_RUN | {"ExpressionAttributeValues": {":run": OF_A_STREAM["run_id"]}}
A_SHARD = {"KeyConditionExpression": "shard = :shard", "ExpressionAttributeValues": {":shard": text("0")}}
TOUCH = {"UpdateExpression": "SET touched = :now", "ExpressionAttributeValues": {":now": text("now")}, **THERE}

call("read history", {ORCHESTRATOR, SIGNAL, CARETAKER}, on_table("Events", "query", **A_RUN))
call("read one commit", NOBODY, on_table("Events", "get_item", Key=FIRST))
call("write history", {ORCHESTRATOR}, on_table("Events", "put_item", Item=FIRST, **THERE))
call("read a stream", {ORCHESTRATOR, EXECUTOR, SIGNAL, CARETAKER}, on_table("Events", "query", **A_STREAM))
call("write a stream", {ORCHESTRATOR, EXECUTOR}, on_table("Events", "put_item", Item=FIRST | OF_A_STREAM, **THERE))
call("write a limit", {ORCHESTRATOR, SIGNAL}, on_table("Events", "put_item", Item=FIRST | OF_A_LIMIT, **THERE))
call("write a start", {ORCHESTRATOR, SIGNAL}, on_table("Events", "put_item", Item=FIRST | OF_A_START, **THERE))
call("change history", NOBODY, on_table("Events", "update_item", Key=FIRST, **TOUCH))
call("delete history", NOBODY, on_table("Events", "delete_item", Key=FIRST, **THERE))
call("delete history in a batch", {CARETAKER}, deletion("Events", FIRST))
call("scan all histories", NOBODY, on_table("Events", "scan"))
call(
    "write history in SQL",
    NOBODY,
    lambda account: account.client("dynamodb").execute_statement(
        Statement=f"INSERT INTO \"{account.outputs['EventsTableName']}\" VALUE {{'run_id': 'nobody''s', 'seq': 1}}"
    ),
)

# Of the runs table, by what the key is of: (read, put, update, delete, delete in a batch).
RUNS: dict[str, tuple[set[str], ...]] = {
    "nobody's": (
        {ORCHESTRATOR, SIGNAL, CARETAKER},
        {ORCHESTRATOR, SIGNAL, CARETAKER},
        NOBODY,
        {CARETAKER},
        {CARETAKER},
    ),
    "streams#nobody's": (
        {ORCHESTRATOR, SIGNAL, CARETAKER},
        {ORCHESTRATOR, SIGNAL, CARETAKER},
        {ORCHESTRATOR, EXECUTOR},
        {CARETAKER},
        {CARETAKER},
    ),
    "generation#nobody's": (
        {ORCHESTRATOR, SIGNAL, CARETAKER},
        {ORCHESTRATOR, SIGNAL, CARETAKER},
        NOBODY,
        {CARETAKER},
        {CARETAKER},
    ),
    "step#nobody's": (
        {ORCHESTRATOR, EXECUTOR, CARETAKER},
        {ORCHESTRATOR, EXECUTOR, CARETAKER},
        {ORCHESTRATOR, EXECUTOR},
        {CARETAKER},
        {CARETAKER},
    ),
    "dead#nobody's": (
        {ORCHESTRATOR, SIGNAL, CARETAKER},
        {ORCHESTRATOR, SIGNAL, CARETAKER},
        {ORCHESTRATOR},
        {CARETAKER},
        {CARETAKER},
    ),
    "hook#nobody's": (
        {ORCHESTRATOR, SIGNAL, CARETAKER},
        {ORCHESTRATOR, CARETAKER},
        NOBODY,
        {ORCHESTRATOR, CARETAKER},
        {CARETAKER},
    ),
    "window#nobody's": (
        {ORCHESTRATOR, SIGNAL, CARETAKER},
        {ORCHESTRATOR, SIGNAL, CARETAKER},
        NOBODY,
        {ORCHESTRATOR, CARETAKER},
        {CARETAKER},
    ),
    "schedule#nobody's": ({ORCHESTRATOR, SIGNAL}, {ORCHESTRATOR, SIGNAL}, NOBODY, {SIGNAL}, NOBODY),
    "idempotency#nobody's": ({SIGNAL}, {SIGNAL}, {SIGNAL}, {SIGNAL}, NOBODY),
}
for name, (read, put, update, delete, delete_all) in RUNS.items():
    key = {"run_id": text(name)}
    kind = name.partition("#")[0] if "#" in name else "run"
    call(f"read the item of a {kind}", read, on_table("Runs", "get_item", Key=key))
    call(f"write the item of a {kind}", put, on_table("Runs", "put_item", Item=key, **THERE))
    call(f"change the item of a {kind}", update, on_table("Runs", "update_item", Key=key, **TOUCH))
    call(f"delete the item of a {kind}", delete, on_table("Runs", "delete_item", Key=key, **THERE))
    call(f"delete the item of a {kind} in a batch", delete_all, deletion("Runs", key))

call("list runs", {SIGNAL, CARETAKER}, on_table("Runs", "query", IndexName="by_time", **A_SHARD))
call("query the runs table", NOBODY, on_table("Runs", "query", **A_RUN))
call("scan all runs", NOBODY, on_table("Runs", "scan"))
for table in ("Events", "Runs"):
    call(f"delete the {table} table", NOBODY, on_table(table, "delete_table"))
    call(f"back up the {table} table", NOBODY, on_table(table, "create_backup", BackupName="stolen"))
    call(f"turn off expiry in the {table} table", NOBODY, on_table(
        table, "update_time_to_live", TimeToLiveSpecification={"Enabled": False, "AttributeName": "expires_at"}
    ))  # fmt: skip

# ----------------------------------------------------------------------------------------------------------- the queues


def on_queue(queue: str, operation: str, **arguments: Any) -> Call:
    return lambda account: getattr(account.client("sqs"), operation)(
        QueueUrl=account.outputs[f"{queue}QueueUrl"], **arguments
    )


# Who receives, and who sends. A message without a body is refused, after the rights are looked at.
QUEUES: dict[str, tuple[set[str], set[str]]] = {
    "Run": ({ORCHESTRATOR}, EVERYBODY),
    "Step": ({EXECUTOR}, {ORCHESTRATOR}),
    "Timer": ({ORCHESTRATOR}, {ORCHESTRATOR, SIGNAL}),
    "RunDeadLetter": ({ORCHESTRATOR}, {ORCHESTRATOR}),
    "StepDeadLetter": ({ORCHESTRATOR}, NOBODY),
    "TimerDeadLetter": ({ORCHESTRATOR}, NOBODY),
}
for queue, (receive, send) in QUEUES.items():
    handle = {"ReceiptHandle": "nobody's"}
    call(f"send to {queue}", send, on_queue(queue, "send_message", MessageBody=""))
    call(f"receive from {queue}", receive, on_queue(queue, "receive_message", MaxNumberOfMessages=99))
    call(f"delete from {queue}", receive, on_queue(queue, "delete_message", **handle))
    call(
        f"hold back from {queue}", receive, on_queue(queue, "change_message_visibility", VisibilityTimeout=1, **handle)
    )
    call(f"purge {queue}", NOBODY, on_queue(queue, "purge_queue"))
    attributes = {"Attributes": {"VisibilityTimeout": "0"}}
    call(f"change {queue}", NOBODY, on_queue(queue, "set_queue_attributes", **attributes))
    call(f"delete the queue {queue}", NOBODY, on_queue(queue, "delete_queue"))
call(
    "move dead letters",
    NOBODY,
    lambda account: account.client("sqs").start_message_move_task(
        SourceArn=f"arn:aws:sqs:{REGION}:000000000000:{account.outputs['RunDeadLetterQueueUrl'].rsplit('/', 1)[-1]}"
    ),
)

# -------------------------------------------------------------------------------------------------------- the schedules


def schedule(operation: str, name: str, *, group: str | None = None, role: str | None = None) -> Call:
    """A schedule with a time that cannot be read is refused, after the rights are looked at."""

    def do(account: Account) -> Any:
        place = {"Name": name, "GroupName": group or account.outputs["SchedulerGroupName"]}
        if operation in ("delete_schedule", "get_schedule"):
            return getattr(account.client("scheduler"), operation)(**place)
        role_arn = (
            f"arn:aws:iam::000000000000:role/{account.names[role]}" if role else account.outputs["SchedulerRoleArn"]
        )
        return getattr(account.client("scheduler"), operation)(
            **place,
            ScheduleExpression="whenever",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": account.outputs["TimerQueueArn"], "RoleArn": role_arn},
        )

    return do


call("set a timer", {ORCHESTRATOR}, schedule("create_schedule", "nobodys"))
call("unset a timer", {ORCHESTRATOR, CARETAKER}, schedule("delete_schedule", "nobodys"))
call("change a timer", NOBODY, schedule("update_schedule", "nobodys"))
call("delay a start", {ORCHESTRATOR, SIGNAL}, schedule("create_schedule", "start-nobodys"))
call("change a delayed start", NOBODY, schedule("update_schedule", "start-nobodys"))
call("create a schedule", {ORCHESTRATOR, SIGNAL}, schedule("create_schedule", "schedule-nobodys"))
call("change a schedule", {SIGNAL}, schedule("update_schedule", "schedule-nobodys"))
call("delete a schedule", {ORCHESTRATOR, SIGNAL, CARETAKER}, schedule("delete_schedule", "schedule-nobodys"))
call("read a schedule", NOBODY, schedule("get_schedule", "schedule-nobodys"))
call("schedule in another group", NOBODY, schedule("create_schedule", "schedule-nobodys", group="default"))
call("list the schedules", NOBODY, lambda account: account.client("scheduler").list_schedules())
for role in ROLES:
    call(f"pass {role} to a schedule", NOBODY, schedule("create_schedule", "schedule-nobodys", role=role))

# ------------------------------------------------------------------------------------------ the payloads and the secret


def on_object(operation: str, key: str, **arguments: Any) -> Call:
    return lambda account: getattr(account.client("s3"), operation)(Bucket=account.bucket, Key=key, **arguments)


def on_bucket(operation: str, **arguments: Any) -> Call:
    return lambda account: getattr(account.client("s3"), operation)(Bucket=account.bucket, **arguments)


call("read a payload", EVERYBODY, on_object("get_object", "payloads/nobodys"))
call("write a payload", EVERYBODY, on_object("put_object", "payloads/nobodys", Body=b""))
call("delete a payload", {CARETAKER}, on_object("delete_object", "payloads/nobodys"))
call("read an old version", NOBODY, on_object("get_object", "payloads/nobodys", VersionId="1"))
call("read an archive", {ORCHESTRATOR, SIGNAL, CARETAKER}, on_object("get_object", "archive/nobodys"))
call("write an archive", {CARETAKER}, on_object("put_object", "archive/nobodys", Body=b""))
call("delete an archive", NOBODY, on_object("delete_object", "archive/nobodys"))
call("read elsewhere", NOBODY, on_object("get_object", "nobodys"))
call("write elsewhere", NOBODY, on_object("put_object", "nobodys", Body=b""))
call("make a payload public", NOBODY, on_object("put_object_acl", "payloads/nobodys", ACL="public-read"))
call("list the payloads", {ORCHESTRATOR, SIGNAL, CARETAKER}, on_bucket("list_objects_v2"))
call("change the policy of the bucket", NOBODY, on_bucket("put_bucket_policy", Policy="{}"))
call("delete the policy of the bucket", NOBODY, on_bucket("delete_bucket_policy"))
call("stop versions", NOBODY, on_bucket("put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"}))
call("delete the bucket", NOBODY, on_bucket("delete_bucket"))


def on_secret(operation: str, **arguments: Any) -> Call:
    return lambda account: getattr(account.client("secretsmanager"), operation)(
        SecretId=account.outputs["WebhookSecretArn"], **arguments
    )


call("read the key of webhooks", {ORCHESTRATOR, SIGNAL, CARETAKER}, on_secret("get_secret_value"))
call("change the key of webhooks", {CARETAKER}, on_secret("put_secret_value"))  # without a value: refused later
call("delete the key of webhooks", NOBODY, on_secret("delete_secret"))
call("list the secrets", NOBODY, lambda account: account.client("secretsmanager").list_secrets())

# --------------------------------------------------------------------------------------- functions, roles and the stack

ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
for role, function in FUNCTIONS.items():

    def on_function(operation: str, function: str = function, **arguments: Any) -> Call:
        return lambda account: getattr(account.client("lambda"), operation)(
            FunctionName=account.outputs[f"{function}Name"], **arguments
        )

    def on_role(operation: str, role: str = role, **arguments: Any) -> Call:
        return lambda account: getattr(account.client("iam"), operation)(RoleName=account.names[role], **arguments)

    def on_logs(operation: str, group: str = f"{function.removesuffix('Function')}LogGroup", **arguments: Any) -> Call:
        return lambda account: getattr(account.client("logs"), operation)(
            logGroupName=account.names[group], **arguments
        )

    call(f"invoke {function}", NOBODY, on_function("invoke", Payload=b"{}"))
    call(f"change the code of {function}", NOBODY, on_function("update_function_code", ZipFile=b""))
    call(f"change {function}", NOBODY, on_function("update_function_configuration", Timeout=1))
    call(f"read the code of {function}", NOBODY, on_function("get_function"))
    call(f"give {role} rights", NOBODY, on_role(
        "put_role_policy", PolicyName="all", PolicyDocument=json.dumps(ALLOW_ALL)
    ))  # fmt: skip
    call(f"become {role}", NOBODY, functools.partial(
        lambda account, role: account.client("sts").assume_role(
            RoleArn=role_named(account.names[role]), RoleSessionName="another"
        ), role=role,
    ))  # fmt: skip
    call(f"log as {function}", {role}, on_logs("create_log_stream", logStreamName="nobody's:*"))
    call(f"read the log of {function}", NOBODY, on_logs("filter_log_events"))
    call(f"delete the log of {function}", NOBODY, on_logs("delete_log_group"))

call("invent a role", NOBODY, lambda account: account.client("iam").create_role(
    RoleName="root", AssumeRolePolicyDocument=json.dumps(ALLOW_ALL)
))  # fmt: skip
call("silence the alarms", NOBODY, lambda account: account.client("cloudwatch").delete_alarms(AlarmNames=["any"]))
call("delete the stack", NOBODY, lambda account: account.client("cloudformation").delete_stack(StackName="nobody's"))

# ------------------------------------------------------------------------------------------------------------- the test


@pytest.fixture(scope="module")
def accounts(stack: Stack) -> dict[str, Account]:
    """What the functions themselves see, by their roles."""
    pages = stack.aws.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack.name)
    resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
    names = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}
    found = {one["LogicalResourceId"] for one in resources if one["ResourceType"] == "AWS::IAM::Role"}
    assert found - {"SchedulerRole"} == EVERYBODY, "a role that this test does not know"
    accounts = {}
    for role in ROLES:
        session = boto3.session.Session(**stack.aws.credentials(names[FUNCTIONS[role]]), region_name=REGION)
        client = functools.cache(functools.partial(session.client, endpoint_url=stack.aws.endpoint_url))
        accounts[role] = Account(client, names, dict(stack.outputs), stack.outputs["PayloadBucketName"])
    return accounts


@pytest.mark.parametrize("name", CALLS)
def test_who_may(name: str, accounts: dict[str, Account]) -> None:
    call, allowed = CALLS[name]
    assert {role for role, account in accounts.items() if is_allowed(call, account)} == allowed


def is_allowed(call: Call, account: Account) -> bool:
    """Whatever else may be wrong with the call."""
    try:
        call(account)
    except ClientError as error:
        return error.response["Error"]["Code"] not in REFUSED
    return True
