"""What the tables and the bucket promise: keys, encryption, recovery."""

import math
from typing import Any

import pytest

from tests.infrastructure.stack import Stack, listed
from worldflow.worlds.aws import items
from worldflow.worlds.ledger import OUTCOME_DAYS

TABLES = ["EventsTable", "RunsTable"]


def keys(schema: list[dict[str, str]]) -> dict[str, str]:
    return {key["KeyType"]: key["AttributeName"] for key in schema}


def test_history_is_keyed_by_run_and_sequence(stack: Stack) -> None:
    assert keys(stack["EventsTable"]["KeySchema"]) == {"HASH": "run_id", "RANGE": "seq"}
    assert {"AttributeName": "seq", "AttributeType": "N"} in stack["EventsTable"]["AttributeDefinitions"]


def test_history_does_not_expire(stack: Stack) -> None:
    assert "TimeToLiveSpecification" not in stack["EventsTable"]


def test_runs_are_keyed_by_run(stack: Stack) -> None:
    assert keys(stack["RunsTable"]["KeySchema"]) == {"HASH": "run_id"}


# Frozen. CloudFormation refuses to change an index that is deployed, and adds or deletes one index of a table in an
# update: with a line that differs here, no stack could be updated. An index with other attributes is a new one with a
# new name. One release adds it, the next reads it, and a third deletes the old one.
LISTED = ["workflow_name", "status", "updated_at", "ended_at", "record_seq", "status_text", "attributes"]
INDEXES = [
    {
        "IndexName": "by_time",
        "KeySchema": [
            {"AttributeName": "shard", "KeyType": "HASH"},
            {"AttributeName": "created_at", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": LISTED},
    },
    {
        "IndexName": "by_status",
        "KeySchema": [
            {"AttributeName": "status_shard", "KeyType": "HASH"},
            {"AttributeName": "created_at", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": LISTED},
    },
]


def test_the_indexes_are_what_stacks_have(stack: Stack) -> None:
    assert stack["RunsTable"]["GlobalSecondaryIndexes"] == INDEXES
    assert "GlobalSecondaryIndexes" not in stack["EventsTable"]


def test_the_engine_knows_the_indexes_and_what_they_list() -> None:
    keys = {index["IndexName"]: tuple(key["AttributeName"] for key in index["KeySchema"]) for index in INDEXES}
    assert (keys, list(items.LISTED)) == (items.INDEXES, LISTED)


def test_the_ledger_and_idempotency_records_expire(stack: Stack) -> None:
    assert stack["RunsTable"]["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_the_ledger_outlives_every_copy_of_a_task_and_whatever_is_restored(stack: Stack) -> None:
    copies = sum(stack[queue]["MessageRetentionPeriod"] for queue in ("StepQueue", "StepDeadLetterQueue"))
    recovery = 35  # days that point-in-time recovery goes back
    assert max(math.ceil(copies / 86_400) + 1, recovery) == OUTCOME_DAYS, "every day more is stored and paid for"


def test_these_are_all_tables(stack: Stack) -> None:
    assert stack.all("DynamoDB::Table").keys() == set(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_on_demand_recoverable_and_under_a_key_that_costs_nothing(stack: Stack, table: str) -> None:
    assert stack[table]["BillingMode"] == "PAY_PER_REQUEST"
    assert "SSESpecification" not in stack[table]  # under a key that DynamoDB owns; with SSEEnabled, under one in KMS
    assert stack[table]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_in_production_is_not_deleted(table: str) -> None:
    assert Stack(Stage="prod")[table]["DeletionProtectionEnabled"] is True
    assert Stack(Stage="dev")[table]["DeletionProtectionEnabled"] is False


@pytest.mark.parametrize("resource", [*TABLES, "PayloadBucket"])
def test_what_is_replaced_is_kept(stack: Stack, resource: str) -> None:
    assert stack.resources[resource]["UpdateReplacePolicy"] == "Retain"


def test_the_bucket_has_one_owner_and_keeps_what_is_replaced(stack: Stack) -> None:
    bucket = stack["PayloadBucket"]
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}


def lifecycle(stack: Stack) -> dict[str, dict[str, Any]]:
    rules = [dict(rule) for rule in stack["PayloadBucket"]["LifecycleConfiguration"]["Rules"]]
    assert all(rule.pop("Status") == "Enabled" for rule in rules)
    return {rule.pop("Id"): rule for rule in rules}


def test_no_payload_expires_while_history_refers_to_it(stack: Stack) -> None:
    assert lifecycle(stack)["forget-what-was-replaced"] == {
        "NoncurrentVersionExpiration": {"NoncurrentDays": 35},
        "ExpiredObjectDeleteMarker": True,
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }


def test_what_is_archived_is_kept_where_it_can_be_read_at_once() -> None:
    cold = {"Prefix": "archive/", "Transitions": [{"StorageClass": "GLACIER_IR", "TransitionInDays": 0}]}
    assert lifecycle(Stack())["archived-runs"] == cold, "for ever"
    assert lifecycle(Stack(ArchiveDays=3650))["archived-runs"] == {**cold, "ExpirationInDays": 3650}


def test_the_bucket_is_reached_over_tls_only(stack: Stack) -> None:
    policy = stack["PayloadBucketPolicy"]
    assert policy["Bucket"] == {"Ref": "PayloadBucket"}
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert listed(statement["Resource"]) == [
        {"Fn::GetAtt": ["PayloadBucket", "Arn"]},
        {"Fn::Sub": "${PayloadBucket.Arn}/*"},
    ]
