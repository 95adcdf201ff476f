"""With `WORLDFLOW_EVENT_BUS`, what becomes of runs is told on a bus of EventBridge."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto.events.utils import EventTemplateParser

from tests.support.aws import REGION, Stack
from tests.support.systems import AWSSystem, Clock, ClockedAWSWorld, clocked, finish
from worldflow import FatalError, set_attributes, step, workflow
from worldflow.costs import commits_of, count
from worldflow.runtime import starting
from worldflow.worlds.outages import is_passing_code

BUS = "orders"


@step
async def told_step(card: str) -> str:
    return card


@workflow
async def told_on_a_bus(card: str, fails: bool = False) -> str:
    set_attributes(customer="c1", number=2**70)
    if fails:
        raise FatalError(card)
    return await told_step(card)


@contextmanager
def system_with_a_bus(stack: Stack, name: str = BUS) -> Iterator[AWSSystem]:
    settings = stack.settings.model_copy(update={"event_bus": name})
    clock = Clock()
    with clocked(clock):
        system = AWSSystem(stack, clock, ClockedAWSWorld(settings, session=stack.session))
        stack.requests.clear()
        try:
            yield system
        finally:
            system.close()


class Subscriber:
    """A queue that a rule sends the bus's status events to."""

    def __init__(self) -> None:
        self._events, self._sqs = (boto3.client(name, region_name=REGION) for name in ("events", "sqs"))
        self._events.create_event_bus(Name=BUS)
        self._url = self._sqs.create_queue(QueueName="status-events")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self._events.put_rule(Name="all", EventBusName=BUS, EventPattern=json.dumps({"source": ["worldflow"]}))
        self._events.put_targets(Rule="all", EventBusName=BUS, Targets=[{"Id": "queue", "Arn": arn}])

    def received(self) -> list[dict[str, Any]]:
        found = []
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def close(self) -> None:
        self._events.remove_targets(Rule="all", EventBusName=BUS, Ids=["queue"])
        self._events.delete_rule(Name="all", EventBusName=BUS)
        self._events.delete_event_bus(Name=BUS)
        self._sqs.delete_queue(QueueUrl=self._url)


@pytest.fixture
def subscriber(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subscriber]:
    # What moto transforms events with is not installed, and the rule transforms nothing.
    monkeypatch.setattr(EventTemplateParser, "parse", lambda input_template, input_paths_map, event: event)
    subscriber = Subscriber()
    yield subscriber
    subscriber.close()


@pytest.fixture
def bus(stack: Stack) -> Iterator[AWSSystem]:
    with system_with_a_bus(stack) as system:
        yield system


def test_a_rule_gets_the_start_and_the_end(bus: AWSSystem, subscriber: Subscriber) -> None:
    starting.start(bus.world, "order-1", told_on_a_bus, {"card": "4242"})
    finish(bus, "order-1")

    started, completed = subscriber.received()
    assert (started["source"], started["detail-type"]) == ("worldflow", "Run Started")
    detail = completed["detail"]
    record = bus.world.read_run("order-1")
    assert record.ended_at
    assert completed["detail-type"] == "Run Completed"
    assert detail.pop("id").startswith("order-1/")
    assert detail == {
        "version": 1,
        "runs_table": bus.stack.resources.runs_table,
        "run_id": "order-1",
        "workflow_name": "told_on_a_bus",
        "status": "completed",
        "at": record.ended_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "created_at": record.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "attributes": {"customer": "c1", "number": str(2**70)},
    }


def test_the_type_of_an_error_is_told_and_no_data(bus: AWSSystem, subscriber: Subscriber) -> None:
    starting.start(bus.world, "order-1", told_on_a_bus, {"card": "4242", "fails": True})
    finish(bus, "order-1")

    _, failed = subscriber.received()
    assert (failed["detail"]["status"], failed["detail"]["error_type"]) == (
        "failed",
        "worldflow.engine.errors:FatalError",
    )
    assert "4242" not in json.dumps(failed)


def test_a_run_asks_for_one_request_at_its_start_and_one_at_its_end(bus: AWSSystem, subscriber: Subscriber) -> None:
    starting.start(bus.world, "order-1", told_on_a_bus, {"card": "4242"})
    finish(bus, "order-1")
    with_bus = bus.stack.requests.count("eventbridge.PutEvents")
    commits, _ = commits_of(bus.world, "order-1")

    assert with_bus == 2
    counted = count("order-1", commits, event_bus=True)
    assert (counted.requests["eventbridge.PutEvents"], counted.status_events) == (2, 2)
    assert count("order-1", commits).status_events == 0


def test_a_start_and_an_end_in_one_turn_are_one_request(bus: AWSSystem, subscriber: Subscriber) -> None:
    starting.start(bus.world, "order-1", told_on_a_bus, {"card": "4242", "fails": True})
    finish(bus, "order-1")

    assert bus.stack.requests.count("eventbridge.PutEvents") == 1
    commits, _ = commits_of(bus.world, "order-1")
    counted = count("order-1", commits, event_bus=True)
    assert (counted.requests["eventbridge.PutEvents"], counted.status_events) == (1, 2)


def test_without_a_bus_nothing_is_asked_for(aws: AWSSystem) -> None:
    starting.start(aws.world, "order-1", told_on_a_bus, {"card": "4242"})
    finish(aws, "order-1")

    assert "eventbridge.PutEvents" not in aws.stack.requests


# --- EventBridge refuses ---


class Refusing:
    """A client of EventBridge that answers what it is told to, and then as it should."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.put: list[Mapping[str, Any]] = []

    def put_events(self, Entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        if self._answers and (answer := self._answers.pop(0)):
            if isinstance(answer, Exception):
                raise answer
            codes = answer if isinstance(answer, list) else [answer] * len(Entries)
            told = [{"ErrorCode": code, "ErrorMessage": "no"} if code else {"EventId": "1"} for code in codes]
            self.put += [entry for entry, code in zip(Entries, codes, strict=True) if not code]
            return {"FailedEntryCount": len([code for code in codes if code]), "Entries": told}
        self.put += Entries
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in Entries]}

    @property
    def types(self) -> list[str]:
        return [entry["DetailType"] for entry in self.put]

    @property
    def ids(self) -> set[str]:
        return {json.loads(entry["Detail"])["id"] for entry in self.put}


def refused(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "PutEvents")


PASSING = [
    "ThrottlingException",
    "InternalFailure",
    refused("ThrottlingException"),
    refused("InternalException", 500),
    refused("Whatever", 503),
    EndpointConnectionError(endpoint_url="https://events.test"),
]


@pytest.mark.parametrize("answer", PASSING, ids=repr)
def test_what_passes_by_itself_loses_nothing(bus: AWSSystem, monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)
    client = Refusing(answer, answer)
    bus.world.access.__dict__["eventbridge"] = client
    starting.start(bus.world, "order-1", told_on_a_bus, {"card": "4242"})

    assert finish(bus, "order-1").status == "completed"
    assert set(client.types) == {"Run Started", "Run Completed"}
    assert len(client.ids) == 2


def test_one_that_was_refused_is_sent_again_with_its_neighbours(
    bus: AWSSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)
    client = Refusing([None, "InternalFailure"])
    bus.world.access.__dict__["eventbridge"] = client
    starting.start(bus.world, "order-1", told_on_a_bus, {"card": "4242", "fails": True})
    finish(bus, "order-1")
    bus.settle()

    assert client.types == ["Run Started", "Run Started", "Run Failed"]
    assert len(client.ids) == 2


LASTING = [
    "NotAuthorizedForSourceException",
    "InvalidArgument",
    refused("ResourceNotFoundException"),
    refused("AccessDeniedException"),
]


@pytest.mark.parametrize("answer", LASTING, ids=repr)
def test_a_bus_that_is_gone_stops_no_run_and_is_an_error_in_the_log(
    bus: AWSSystem, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    client = Refusing(answer)
    bus.world.access.__dict__["eventbridge"] = client
    lost: list[int] = []
    bus.world.when_status_events_are_lost(lost.append)
    starting.start(bus.world, "order-1", told_on_a_bus, {"card": "4242"})

    assert finish(bus, "order-1").status == "completed"
    assert client.types == ["Run Completed"]
    assert lost == [1]
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "Run Started (order-1/" in line.getMessage()
    assert "bus 'orders' (WORLDFLOW_EVENT_BUS)" in line.getMessage()


def test_a_bus_that_never_was(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    with system_with_a_bus(stack, "nowhere") as system:
        starting.start(system.world, "order-1", told_on_a_bus, {"card": "4242"})

        assert finish(system, "order-1").status == "completed"
        assert "'nowhere'" in caplog.text


def test_what_eventbridge_calls_retryable_passes_and_nothing_else_that_it_documents() -> None:
    retryable = {"InternalFailure", "ThrottlingException"}
    final = {
        "AccessDeniedException",
        "InvalidAccountIdException",
        "InvalidArgument",
        "MalformedDetail",
        "RedactionFailure",
        "NotAuthorizedForSourceException",
        "NotAuthorizedForDetailTypeException",
        "ResourceNotFoundException",
    }
    assert {code for code in retryable | final if is_passing_code(code)} == retryable
