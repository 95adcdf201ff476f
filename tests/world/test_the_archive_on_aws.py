"""What the archive asks of DynamoDB and S3, and what they may answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.archiving import archive, left
from tests.support.systems import AWSSystem, finish, start
from tests.support.threads import replace_sleep
from tests.support.workflows import big_values, chain, collect, squares
from worldflow.engine.errors import ConfigurationError, RunNotFoundError, WorldflowError
from worldflow.engine.history import RunStarted, SignalReceived
from worldflow.runtime import schedules, sending
from worldflow.worlds.messages import FactArrived, Poke
from worldflow.worlds.records import RunRecord

LARGE = "x" * 70_000


def asked(aws: AWSSystem, work: Callable[[], object]) -> Counter[str]:
    """What is asked of AWS meanwhile, but for the 32 shards of runs that have ended."""
    aws.stack.requests.clear()
    work()
    return Counter(aws.stack.requests) - Counter({"dynamodb.Query": 32})


def test_the_requests_for_one_run(aws: AWSSystem) -> None:
    start(aws, "r", chain, length=10)
    finish(aws, "r")

    assert asked(aws, lambda: archive(aws)) == {
        "dynamodb.GetItem": 2,  # the newest generation, the record
        "dynamodb.Query": 2,  # the history, and its keys
        "s3.PutObject": 1,
        "s3.GetObject": 1,  # it is there, and can be read
        "s3.ListObjectsV2": 1,
        "dynamodb.TransactWriteItems": 2,
        "dynamodb.BatchWriteItem": 2,  # 10 attempts in the ledger, 12 commits
    }


def test_a_pass_without_anything_to_do(aws: AWSSystem) -> None:
    assert not asked(aws, lambda: archive(aws))


def test_a_payload_is_moved_by_s3_itself(aws: AWSSystem) -> None:
    start(aws, "r", big_values, size=70_000)
    sending.signal(aws.world, "r", "value", LARGE)
    finish(aws, "r")
    aws.world.put_payload("r/commit-1-abc", b"a commit")

    requests_made = asked(aws, lambda: archive(aws))

    # Of both values, which are the same; a commit is in the archive already.
    assert (requests_made["s3.CopyObject"], requests_made["s3.DeleteObject"]) == (1, 2)
    assert len([key for key in aws.stack.objects() if key.startswith("archive/r/")]) == 1
    assert left(aws) == {}


def test_a_run_that_is_called_as_the_payloads_of_schedules_are(aws: AWSSystem) -> None:
    schedules.create(aws.world, "daily", "gives_back", {"text": LARGE}, schedule="rate(1 day)", paused=True)
    start(aws, "schedules", big_values, size=70_000)
    sending.signal(aws.world, "schedules", "value", LARGE)
    finish(aws, "schedules")

    assert archive(aws).archived == 1
    assert schedules.read(aws.world, "daily").input == {"text": LARGE}
    assert [key.split("/")[2] for key in left(aws)["payloads"]] == ["daily"]


def test_a_process_that_may_not_look_takes_a_run_for_unknown_but_not_for_new(
    aws: AWSSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(aws, "r", chain, length=1)
    archive(aws)

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")

    with monkeypatch.context() as patch:
        patch.setattr(aws.world.access.s3, "get_object", refuse)
        with pytest.raises(RunNotFoundError):
            aws.world.read_run("r")
        with pytest.raises(ConfigurationError, match="s3:ListBucket"):
            aws.world.archive.get("r")
    assert aws.world.read_run("r").result == 1


def test_a_world_without_a_bucket_has_no_archive(aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws.world.access, "settings", aws.world.settings.model_copy(update={"payload_bucket": None}))
    start(aws, "r", chain, length=1)

    assert archive(aws).failed == 1
    assert finish(aws, "r").result == 1
    with pytest.raises(RunNotFoundError):
        aws.world.read_run("other")


def test_more_than_a_batch_is_deleted(aws: AWSSystem) -> None:
    start(aws, "r", squares, count=30)
    finish(aws, "r")

    assert archive(aws).archived == 1
    assert left(aws) == {}


def test_what_dynamodb_leaves_undone_of_a_batch_is_asked_for_again(
    aws: AWSSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(aws, "r", chain, length=3)
    finish(aws, "r")
    write, pauses = aws.world.access.dynamodb.batch_write_item, list[float]()

    def write_one(RequestItems: dict[str, list[Any]]) -> Any:
        ((table, wanted),) = RequestItems.items()
        write(RequestItems={table: wanted[:1]})
        return {"UnprocessedItems": {table: wanted[1:]} if wanted[1:] else {}}

    replace_sleep(monkeypatch, pauses.append)
    monkeypatch.setattr(aws.world.access.dynamodb, "batch_write_item", write_one)

    assert archive(aws).archived == 1
    assert left(aws) == {}
    assert pauses


def test_a_batch_that_is_never_done_fails_the_run_and_the_next_pass_ends_it(
    aws: AWSSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(aws, "r", chain, length=3)
    finish(aws, "r")
    with monkeypatch.context() as patch:
        replace_sleep(patch, lambda _: None)
        patch.setattr(
            aws.world.access.dynamodb, "batch_write_item", lambda RequestItems: {"UnprocessedItems": RequestItems}
        )
        assert archive(aws).failed == 1
    assert aws.world.read_run("r").result == 3

    assert archive(aws).archived == 1
    assert left(aws) == {}


def test_a_transaction_that_is_cancelled_for_another_reason_is_an_error(
    aws: AWSSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(aws, "r", chain, length=1)
    cancelled = aws.world.access.dynamodb.exceptions.TransactionCanceledException

    def conflict(**_: Any) -> None:
        reasons = [{"Code": "TransactionConflict"}]
        raise cancelled({"Error": {"Code": "x"}, "CancellationReasons": reasons}, "TransactWriteItems")

    with monkeypatch.context() as patch:
        patch.setattr(aws.world.access.dynamodb, "transact_write_items", conflict)
        assert archive(aws).failed == 1
    assert archive(aws).archived == 1


def test_a_run_that_was_archived_between_two_requests_is_created_after_all(
    aws: AWSSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(aws, "r", chain, length=1)
    get = aws.world.access.get

    def archive_first(run_id: str) -> Any:
        monkeypatch.setattr(aws.world.access, "get", get)
        archive(aws)
        return get(run_id)

    monkeypatch.setattr(aws.world.access, "get", archive_first)
    now = aws.clock.now()
    record = RunRecord(run_id="r", workflow_name="chain", created_at=now, updated_at=now, input={"length": 2})

    assert aws.world.create_run(record) is None
    assert aws.world.get_run("r") == record


def test_a_history_that_is_read_while_it_is_removed_is_read_from_the_archive(
    aws: AWSSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(aws, "r", chain, length=3)
    before = aws.world.read_events("r")
    load = aws.world.load_history

    def load_half(run_id: str, after: int = 0, commits: int | None = None) -> Any:
        half = load(run_id, after, 2)
        monkeypatch.setattr(aws.world, "load_history", load)
        archive(aws)
        return half

    aws.clock.forward(before[-1].at + timedelta(days=365))
    monkeypatch.setattr(aws.world, "load_history", load_half)

    assert aws.world.read_events("r") == before


def test_a_turn_that_reads_half_a_history_does_not_go_on_from_it(
    aws: AWSSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(aws, "r", chain, length=3)
    finish(aws, "r")
    before = aws.world.read_events("r")
    load = aws.world.load_history

    def load_half(run_id: str, after: int = 0, commits: int | None = None) -> Any:
        half = load(run_id, after, 2)
        monkeypatch.setattr(aws.world, "load_history", load)
        archive(aws)
        return half

    aws.clock.forward(before[-1].at + timedelta(days=365))
    aws.restart()
    monkeypatch.setattr(aws.world, "load_history", load_half)
    aws.deliver("runs", Poke(run_id="r"))
    aws.settle()

    assert left(aws) == {}
    assert aws.world.read_events("r") == before
    assert isinstance(before[0], RunStarted)
    with pytest.raises(WorldflowError):
        sending.resume(aws.world, "r")


def test_a_process_that_remembers_a_run_from_before_it_was_archived_does_not_go_on_with_it(aws: AWSSystem) -> None:
    start(aws, "r", collect, count=2)  # this process has it in memory, where it waits
    aws.fail_over()
    for number in range(2):
        sending.signal(aws.world, "r", "value", number)
    before = finish(aws, "r")
    assert archive(aws).archived == 1
    aws.fail_over()

    late = SignalReceived(signal_id="late", name="value", value="late")
    aws.deliver("runs", FactArrived(run_id="r", fact=late))
    aws.settle()

    assert left(aws) == {}
    assert aws.world.read_run("r").result == before.result == [0, 1]

    # Nor with the new run of the id.
    start(aws, "r", collect, count=2)
    assert [event.event_type for event in aws.world.read_events("r")] == ["RunStarted"]
