"""`RunRecords`: status events of ended runs go to a bucket, and a stack without it has nothing of it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from tests.docs.pages import blocks
from tests.infrastructure.stack import RefusedParameters, Stack, listed, target
from worldflow.worlds.aws.status_events import DETAIL_TYPES, AWSStatusEvents
from worldflow.worlds.records import Status
from worldflow.worlds.status_events import StatusEvent

KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
DDL, *_ = blocks("docs/guide/analytics.md", "sql")
VIEW, *QUERIES = blocks("docs/guide/analytics.md", "sql")[1:]


@pytest.fixture(scope="module")
def recording() -> Stack:
    return Stack(EventBusName="orders", RunRecords="true", KmsKeyArn=KEY)


def detail(**more: Any) -> dict[str, Any]:
    at = datetime(2026, 11, 28, tzinfo=UTC)
    event: dict[str, Any] = {
        "run_id": "r",
        "workflow_name": "w",
        "at": at,
        "created_at": at,
        "seq": 1,
        "attributes": {},
    }
    settings = SimpleNamespace(event_bus="orders", runs_table="runs")
    events = AWSStatusEvents(SimpleNamespace(settings=settings), lambda number: None)  # type: ignore[arg-type]
    found: dict[str, Any] = json.loads(events._entry(StatusEvent(**event, **more), "orders")["Detail"])
    return found


def test_without_it_the_stack_is_as_it_was(stack: Stack) -> None:
    with_a_bus = Stack(EventBusName="orders")
    for one in (stack, with_a_bus):
        assert "RunRecords" not in str(one.resources)
        assert "irehose" not in str(one.resources)


def test_with_it_no_function_has_a_right_or_a_variable_more(recording: Stack) -> None:
    without = Stack(EventBusName="orders", KmsKeyArn=KEY)
    for id, resource in without.resources.items():
        if resource["Type"] in ("AWS::IAM::Role", "AWS::Lambda::Function"):
            assert recording[id] == resource["Properties"], id


def test_it_needs_a_bus() -> None:
    with pytest.raises(RefusedParameters, match="RunRecords requires EventBusName"):
        Stack(RunRecords="true")


def test_every_end_of_a_run_of_this_stack_is_recorded(recording: Stack) -> None:
    rule = recording["RunRecordsRule"]
    ends = {text for kind, text in DETAIL_TYPES.items() if kind not in ("started", "blocked")}
    assert set(rule["EventPattern"]["detail-type"]) == ends
    assert [target(table) for table in rule["EventPattern"]["detail"]["runs_table"]] == ["RunsTable"]
    assert rule["EventBusName"] == "orders"
    (to,) = rule["Targets"]
    assert (target(to["Arn"]), target(to["RoleArn"]), to["InputPath"]) == (
        "RunRecordsStream", "RunRecordsEventsRole", "$.detail",
    )  # fmt: skip


def test_records_are_lines_by_day_under_your_key(recording: Stack) -> None:
    stream = recording["RunRecordsStream"]
    to = stream["ExtendedS3DestinationConfiguration"]
    assert to["Prefix"] == "runs/day=!{timestamp:yyyy-MM-dd}/"
    (processor,) = to["ProcessingConfiguration"]["Processors"]
    assert processor["Parameters"] == [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}]
    assert stream["DeliveryStreamEncryptionConfigurationInput"] == {"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": KEY}
    (rule,) = recording["RunRecordsBucket"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == KEY
    assert "SecureTransport" in str(recording["RunRecordsBucketPolicy"])
    assert all(recording["RunRecordsBucket"]["PublicAccessBlockConfiguration"].values())
    assert recording.resources["RunRecordsBucket"]["DeletionPolicy"] == "RetainExceptOnCreate"


@pytest.mark.parametrize(("role", "resources"), [
    ("RunRecordsRole", {"RunRecordsBucket", KEY}), ("RunRecordsEventsRole", {"RunRecordsStream"}),
])  # fmt: skip
def test_a_role_reaches_what_it_writes_and_nothing_else(recording: Stack, role: str, resources: set[str]) -> None:
    statements = recording.statements(role).values()
    assert {target(one) for statement in statements for one in listed(statement["Resource"])} == resources
    assert not [action for one in statements for action in listed(one["Action"]) if "*" in action]


def test_the_table_has_the_fields_of_the_events() -> None:
    columns = re.findall(r"^  `?(\w+)`? (?:string|int|map.*?),?$", DDL, re.MULTILINE)
    all_fields = detail(kind="failed", parent_run_id="p", next_run_id="n", error_type="e")
    assert columns == [*all_fields]
    assert not detail(kind="completed").keys() - set(columns)


def test_the_table_is_where_firehose_writes(recording: Stack) -> None:
    prefix = recording["RunRecordsStream"]["ExtendedS3DestinationConfiguration"]["Prefix"]
    template = re.search(r"'storage.location.template' = 's3://BUCKET/(.*?)'", DDL)
    assert template and prefix.replace("!{timestamp:yyyy-MM-dd}", "${day}") == template[1]
    assert "'projection.day.format' = 'yyyy-MM-dd'" in DDL


def test_five_queries_use_what_the_view_has() -> None:
    assert len(QUERIES) == 5
    offered = set(re.findall(r"AS (\w+)", VIEW)) | set(re.findall(r"SELECT (.*) min", VIEW)[0].replace(",", "").split())
    for query in QUERIES:
        named = set(
            re.findall(r"\b(?:workflow_name|status|error_type|\w+_at|\w+_run_id|run_id|attributes|day)\b", query)
        )
        assert named <= offered
        assert "FROM finished_runs" in query
    statuses = set(re.findall(r"status = '(\w+)'", " ".join(QUERIES)))
    assert statuses <= set(Status.__args__)  # type: ignore[attr-defined]
