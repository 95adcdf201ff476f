"""DynamoDB takes items of 400 KB, SQS (as emulators have it) 256 KiB in a message and in a batch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.systems import AWSSystem, finish, start
from worldflow import InvalidInputError, RetryPolicy, step, step_info, workflow
from worldflow.engine.history import SignalReceived, StepCompleted, StepFailed, dump_events
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.ids import check_id
from worldflow.engine.workflow.inbox import REMEMBERED
from worldflow.engine.workflow.registry import import_failures
from worldflow.runtime import starting
from worldflow.worlds import RunRecord, ledger
from worldflow.worlds.aws.history import ITEM_LIMIT, PARALLEL_PARTS
from worldflow.worlds.messages import FactArrived, Revival, StepOutcome, StepTask, load_message

NOW = datetime(2026, 1, 15, 10, tzinfo=UTC)
ITEM = 400 * 1024
MESSAGE = 256 * 1024
LONGEST_ID = "r" * 300
INLINE = "x" * (64 * 1024 - 2)
"""The largest value that stands where it is used."""


def commit(size: int) -> list[Any]:
    """One whose JSON has so many bytes."""
    empty = StepCompleted(step_id="s1", result="", seq=1, at=NOW)
    return [empty.model_copy(update={"result": "x" * (size - len(dump_events([empty])))})]


@pytest.mark.parametrize(("size", "objects"), [(ITEM_LIMIT, 0), (ITEM_LIMIT + 1, 1), (20_000_000, 1)])
def test_a_commit(aws: AWSSystem, size: int, objects: int) -> None:
    events = commit(size)
    aws.world.append(LONGEST_ID, events)

    assert len(aws.stack.objects()) == objects
    assert aws.world.load_history(LONGEST_ID) == events


def test_a_history_of_many_pages(aws: AWSSystem) -> None:
    """A page of a query ends at 1 MB."""
    commits = [[event.recorded(seq, NOW) for event in commit(ITEM_LIMIT)] for seq in range(1, 11)]
    for events in commits:
        aws.world.append("r", events)
    aws.stack.requests.clear()

    assert [event.seq for event in aws.world.load_history("r")] == list(range(1, 11))
    # The first page, the number of the newest commit, and the rest in parts of a page each, or a little more.
    assert aws.stack.requests.count("dynamodb.Query") - 2 in range(PARALLEL_PARTS, 2 * PARALLEL_PARTS + 1)
    assert [event.seq for event in aws.world.load_history("r", after=6)] == [7, 8, 9, 10]


def full_record(**fields: Any) -> RunRecord:
    """The record of a generation that has not begun, with all at its limit."""
    return RunRecord(
        run_id=LONGEST_ID,
        workflow_name="w" * 100,
        created_at=NOW,
        updated_at=NOW,
        input=INLINE,
        carried=INLINE,
        attributes={"a": "x" * 16_370},
        **{"seen": [f"signal/{number:0256}" for number in range(REMEMBERED)], **fields},
    )


def test_the_record_of_a_next_generation(aws: AWSSystem) -> None:
    record = full_record()

    assert aws.world.create_run(record) is None
    assert aws.world.get_run(LONGEST_ID) == record


def test_ids_that_are_not_ascii_take_no_more_room() -> None:
    check_id("é" * 128, "signal_id")
    with pytest.raises(InvalidInputError, match="bytes"):
        check_id("é" * 129, "signal_id")


def test_the_record_of_a_run_that_failed(aws: AWSSystem) -> None:
    error = encode_exception(ValueError("\0" * 1_000_000))
    record = full_record(seen=[], status="failed", error=error, status_text="\0" * 1_000).model_copy(
        update={"carried": None}
    )

    aws.world.create_run(full_record())
    aws.world.update_run(record)
    assert aws.world.get_run(LONGEST_ID) == record


def test_a_run_is_blocked_whatever_its_code_says(aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(import_failures, "flows", "ImportError: " + "x" * 1_000_000)
    starting.start(aws.world, "r", "teleport")
    aws.settle()

    assert "not imported: flows (ImportError: x" in (aws.world.read_run("r").blocked_reason or "")


# --- steps and messages --------------------------------------------------------------------------------------------


def test_what_a_step_says_of_its_failure_may_be_long(aws: AWSSystem) -> None:
    @step(retry=RetryPolicy(max_attempts=1))
    async def rants() -> None:
        raise ValueError("\0" * 1_000_000)

    @workflow
    async def listens() -> None:
        await rants()

    start(aws, "r", listens)
    record = finish(aws, "r")
    assert record.status == "failed" and record.error and "\0" * 1_000 in record.error.message


@pytest.mark.parametrize("size", [64_000, 300_000])
def test_the_details_of_a_heartbeat(aws: AWSSystem, size: int) -> None:
    assert ledger.beat(aws.world, "r", "s1", 1, "x" * size)
    beat = ledger.last_beat(aws.world, "r", "s1", 1)
    assert beat and beat.details == "x" * size


def test_the_details_of_a_heartbeat_may_be_large(aws: AWSSystem) -> None:
    details: list[Any] = []

    @step(heartbeat_timeout="1m", retry=RetryPolicy(initial_interval=1))
    async def beats() -> int:
        details.append(step_info().heartbeat_details)
        step_info().heartbeat("x" * ITEM)
        if len(details) == 1:
            raise ValueError("once")
        return len(details)

    @workflow
    async def listens() -> int:
        return await beats()

    start(aws, "r", listens)
    assert finish(aws, "r").result == 2
    assert details == [None, "x" * ITEM]


ERROR = encode_exception(ValueError("\0" * 1_000_000))
LARGEST = [
    StepTask(run_id=LONGEST_ID, step_id="s" * 100, name="n" * 100, input=INLINE, origin=LONGEST_ID),
    FactArrived(run_id=LONGEST_ID, fact=StepCompleted(step_id="s" * 100, result=INLINE)),
    FactArrived(run_id=LONGEST_ID, fact=StepFailed(step_id="s" * 100, error=ERROR)),
    FactArrived(
        run_id=LONGEST_ID,
        fact=SignalReceived(signal_id="😀" * 256, name="n" * 100, value=INLINE),
        revival=Revival(workflow_name="w" * 100, input=INLINE),
    ),
]


@pytest.mark.parametrize("message", LARGEST, ids=lambda message: type(message).__name__)
def test_a_message(aws: AWSSystem, message: Any) -> None:
    assert len(message.dump().encode()) < MESSAGE
    aws.world.send([message])
    queue: Any = "steps" if isinstance(message, StepTask) else "runs"
    (sent,) = aws.stack.messages(queue)
    assert load_message(sent.body) == message


def test_a_batch_of_messages(aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    send = aws.world.access.sqs.send_message_batch

    def counted(**request: Any) -> Any:
        batches.append(sum(len(entry["MessageBody"].encode()) for entry in request["Entries"]))
        return send(**request)

    monkeypatch.setattr(aws.world.access.sqs, "send_message_batch", counted)
    tasks = [LARGEST[0].model_copy(update={"step_id": f"s{number}"}) for number in range(25)]
    aws.world.send(tasks)

    assert len(aws.stack.messages("steps")) == 25
    assert max(batches) < MESSAGE and len(batches) <= 13


def test_an_outcome_in_the_ledger(aws: AWSSystem) -> None:
    outcome = StepOutcome(run_id=LONGEST_ID, fact=StepFailed(step_id="s" * 100, error=ERROR))
    ledger.put_outcome(aws.world, outcome)
    assert ledger.get_outcome(aws.world, LONGEST_ID, "s" * 100, 1) == outcome


# --- requests ------------------------------------------------------------------------------------------------------


def test_a_request_of_six_megabytes(api: Api) -> None:
    """The key and the answer are what is kept of it."""
    key, value = "k" * 8_000, "x" * 6_000_000
    first, again = (api.post("/runs", {"workflow": "hello", "input": {"name": value}}, key=key) for _ in range(2))

    assert (first.status, again.body) == (201, first.body)
    assert api.world.read_run(first.body["run_id"]).input == {"name": value}
    assert max(len(str(item)) for item in api.stack.items("runs")) < 5_000


@pytest.mark.parametrize(("length", "status"), [(300, 404), (301, 422)])
def test_an_id_in_a_path(api: Api, length: int, status: int) -> None:
    """A key of DynamoDB has 2,048 bytes."""
    for path in ("/runs/{}", "/runs/{}/events", "/schedules/{}"):
        assert api.get(path.format("é" * length)).status == status


@pytest.mark.parametrize(("after", "status"), [(10**9, 200), (10**9 + 1, 422), (10**400, 422)])
def test_a_place_in_a_history(api: Api, after: int, status: int) -> None:
    """A number of DynamoDB has 38 digits."""
    api.post("/runs", {"workflow": "hello", "run_id": "r"})
    assert api.get("/runs/r/events", ("after", str(after))).status == status


@pytest.mark.parametrize("path", ["/runs", "/schedules"])
def test_a_cursor(api: Api, path: str) -> None:
    """A sort key of DynamoDB has 1,024 bytes."""
    begin = "2026-01-15T10:00:00+00:00#"
    assert api.get(path, ("cursor", begin + "r" * (300 - len(begin)))).status == 200
    assert api.get(path, ("cursor", begin + "r" * (301 - len(begin)))).status == 422
    assert api.get(path, ("cursor", begin + "é")).status == 422


def test_an_expression_of_a_schedule(api: Api) -> None:
    """EventBridge Scheduler takes 256 characters."""
    for length, status in ((256, 201), (257, 422)):
        minutes = "0," * ((length - len("cron(0 * * * ? *)")) // 2)
        expression = f"cron({minutes}{'0' * ((length - len('cron(0 * * * ? *)')) % 2)}0 * * * ? *)"
        request = {"schedule_id": f"s{length}", "workflow": "hello", "schedule": expression}
        assert (len(expression), api.post("/schedules", request).status) == (length, status)
