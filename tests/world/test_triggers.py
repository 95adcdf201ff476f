"""Records of other services start runs: each once, however often it comes, and none that cannot be read."""

from __future__ import annotations

import base64
import copy
import json
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from tests.support.aws import REGION
from tests.support.lambdas import ROOT, Context, load_function, own_log
from tests.support.systems import AWSSystem, finish
from worldflow import ConfigurationError, InvalidInputError, WorldflowError, workflow
from worldflow.serving.trigger_handler import read_trigger
from worldflow.serving.trigger_records import read_records
from worldflow.triggers import Triggered, create_trigger_handler
from worldflow.worlds.records import RunRecord

EVENTS = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "events/triggers").glob("*.json"))}

Handle = Callable[..., list[str]]


@workflow(name="triggers_one")
async def one(value: Any) -> Any:
    return value


@workflow(name="triggers_two")
async def two(name: str, points: int = 0) -> str:
    return f"{name}: {points}"


def of_upload(record: Mapping[str, Any]) -> Triggered | None:
    key = record["s3"]["object"]["key"]
    return None if key.endswith(".tmp") else Triggered({"value": key}, run_id="upload-1")


@pytest.fixture
def handle(aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> Handle:
    """Gives an event to the function with these triggers. Returns what Lambda delivers again."""

    def handle(event: dict[str, Any], *triggers: str) -> list[str]:
        settings = aws.world.settings.model_copy(update={"triggers": triggers, "workflows": ()})
        monkeypatch.setattr(aws.world.access, "settings", settings)
        answer = create_trigger_handler(aws.world)(event, Context())
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    return handle


def runs(aws: AWSSystem) -> list[RunRecord]:
    return sorted(aws.world.list_runs().runs, key=lambda run: run.run_id)


def event(kind: str, *bodies: Any, arn: str = "") -> dict[str, Any]:
    """Records of SQS or Kinesis with these bodies: the sample's, numbered."""
    (sample,) = EVENTS[kind]["Records"]
    records = []
    for number, body in enumerate(bodies):
        record = copy.deepcopy(sample)
        text = body if isinstance(body, str) else json.dumps(body)
        if kind == "sqs":
            record |= {"messageId": f"m{number}", "body": text, "eventSourceARN": arn or sample["eventSourceARN"]}
        else:
            data = base64.b64encode(text.encode()).decode()
            record["kinesis"] |= {"sequenceNumber": f"{number}", "data": data}
            record["eventID"] = f"shardId-0:{number}"
        records.append(record)
    return {"Records": records}


VALUES = {
    "sqs": {"name": "Ada"},
    "eventbridge": {"name": "Ada"},
    "s3": {"event": "ObjectCreated:Put", "bucket": "uploads", "key": "in/Ada Lovelace.csv", "size": 1024}
    | {"version_id": None},
    "dynamodb": {"event": "INSERT", "keys": {"name": "Ada"}, "new": {"name": "Ada", "points": 3, "price": 12.5}}
    | {"old": None},
    "kinesis": {"name": "Ada"},
}


@pytest.mark.parametrize("kind", EVENTS)
def test_a_record_starts_one_run_however_often_it_comes(aws: AWSSystem, handle: Handle, kind: str) -> None:
    for _ in range(2):
        assert handle(EVENTS[kind], "triggers_one") == []
    (run,) = runs(aws)
    assert run.run_id.startswith(f"{kind.replace('eventbridge', 'event')}-")
    assert finish(aws, run.run_id).result == VALUES[kind]
    assert handle(EVENTS[kind], "triggers_one") == []
    assert len(runs(aws)) == 1


def test_a_start_costs_what_any_start_costs(aws: AWSSystem, handle: Handle) -> None:
    before = Counter(aws.stack.requests)
    handle(EVENTS["sqs"], "triggers_one")
    assert Counter(aws.stack.requests) - before == {"dynamodb.PutItem": 1, "sqs.SendMessageBatch": 1}


@pytest.mark.parametrize(
    ("kind", "sources"),
    {
        "sqs": ["orders"],
        "eventbridge": ["com.example.shop", "com.example.shop/Customer Registered", "com.example.*"],
        "s3": ["uploads", "uploads/ObjectCreated:*"],
        "dynamodb": ["customers", "customers/INSERT"],
        "kinesis": ["clicks"],
    }.items(),
)
def test_the_source_chooses_the_workflow(aws: AWSSystem, handle: Handle, kind: str, sources: list[str]) -> None:
    for source in sources:
        aws.stack.empty()
        handle(EVENTS[kind], "elsewhere=triggers_two", f"{source}=triggers_one", "*=triggers_two")
        assert [run.workflow_name for run in runs(aws)] == ["triggers_one"], source


def test_what_the_value_is_of(aws: AWSSystem, handle: Handle) -> None:
    assert handle(event("sqs", {"value": 1}, {"other": 1}, 7, "no JSON", {}), "triggers_one") == []
    inputs = [aws.world.read_run(run.run_id).input for run in runs(aws)]
    assert inputs == [{"value": 1}, {"value": {"other": 1}}, {"value": 7}, {"value": "no JSON"}, {"value": {}}]


def test_an_object_has_the_arguments_by_name(aws: AWSSystem, handle: Handle) -> None:
    handle(event("sqs", {"name": "Ada", "points": 2}), "triggers_two")
    assert finish(aws, runs(aws)[0].run_id).result == "Ada: 2"


def test_what_cannot_start_is_delivered_again_alone(aws: AWSSystem, handle: Handle) -> None:
    assert handle(event("sqs", {"name": 1}, {"name": "Ada"}, [1]), "triggers_two") == ["m0", "m2"]
    assert [run.run_id for run in runs(aws)] == ["sqs-m1"]


def test_a_fifo_queue_stays_in_order(aws: AWSSystem, handle: Handle) -> None:
    batch = event("sqs", {"name": "a"}, {"name": 1}, {"name": "b"}, {"name": "c"}, arn=f"arn:aws:sqs:{REGION}:1:x.fifo")
    for record, group in zip(batch["Records"], ["a", "b", "b", "a"], strict=True):
        record["attributes"]["MessageGroupId"] = group
    assert handle(batch, "triggers_two") == ["m1", "m2"]
    assert [run.run_id for run in runs(aws)] == ["sqs-m0", "sqs-m3"]


def test_a_stream_comes_again_from_the_record_that_failed(aws: AWSSystem, handle: Handle) -> None:
    batch = event("kinesis", {"name": "a"}, {"name": 1}, {"name": "b"})
    assert handle(batch, "triggers_two") == ["1"]
    assert len(runs(aws)) == 1


@pytest.mark.parametrize("kind", ["s3", "eventbridge"])
def test_a_call_without_an_answer_fails_whole(handle: Handle, kind: str) -> None:
    with pytest.raises(WorldflowError, match="1 of 1 records started no run"):
        handle(EVENTS[kind], "triggers_two" if kind == "s3" else "elsewhere=triggers_one")


def test_a_function_makes_the_input(aws: AWSSystem, handle: Handle) -> None:
    handle(EVENTS["s3"], f"uploads=triggers_one@{__name__}:of_upload")
    assert aws.world.read_run("upload-1").input == {"value": "in/Ada+Lovelace.csv"}
    other = copy.deepcopy(EVENTS["s3"])
    other["Records"][0]["s3"]["object"]["key"] = "x.tmp"
    handle(other, f"triggers_one@{__name__}:of_upload")
    assert len(runs(aws)) == 1


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("orders=", "is not SOURCE=WORKFLOW"),
        ("=triggers_one", "is not SOURCE=WORKFLOW"),
        ("orders=triggers_none", "triggers_none"),
        ("orders=triggers_one@nowhere:made", "there is no function 'nowhere:made'"),
        ("orders=triggers_one@json:made", "there is no function 'json:made'"),
    ],
)
def test_a_line_that_says_nothing(line: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        read_trigger(line)


def test_a_function_without_triggers_does_not_begin(handle: Handle) -> None:
    with pytest.raises(ConfigurationError, match="WORLDFLOW_TRIGGERS is not set"):
        handle(EVENTS["sqs"])


def test_an_event_of_another_service() -> None:
    with pytest.raises(InvalidInputError, match="takes events of EventBridge, aws:sqs"):
        read_records({"Records": [{"EventSource": "aws:sns"}]})


def test_numbers_that_a_float_would_change_stay_text() -> None:
    change = copy.deepcopy(EVENTS["dynamodb"])
    image = {"n": {"N": "0.1234567890123456789"}, "l": {"L": [{"N": "1"}]}, "s": {"SS": ["b", "a"]}, "b": {"B": b"x"}}
    change["Records"][0]["dynamodb"]["NewImage"] = image
    (record,) = read_records(change)
    new = record.read()["new"]
    assert new == {"n": "0.1234567890123456789", "l": [1], "s": ["a", "b"], "b": b"x"}
    assert Decimal(new["n"])


def test_the_function_itself(
    aws: AWSSystem, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLDFLOW_TRIGGERS", "orders=hello,shop=hello")
    with own_log():
        app = load_function("trigger")
        assert app.handler(EVENTS["sqs"], Context()) == {"batchItemFailures": []}
        assert app.handler(event("sqs", [1, 2], {"nobody": 1}), Context())["batchItemFailures"]
        with pytest.raises(Exception, match="message not logged"):
            app.handler(EVENTS["s3"], Context())
    assert [run.workflow_name for run in runs(aws)] == ["hello"]
    told = capsys.readouterr().out
    assert '"MessagesFailed":[2' in told
    assert '"MessagesFailed":[1' in told, "of the bucket, which no trigger is for"
