"""Histories: commits are added whole, in order, and by one writer at a time."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.systems import AWSSystem
from worldflow.engine.errors import ConflictError
from worldflow.engine.history import (
    Event,
    RunCompleted,
    RunStarted,
    SignalReceived,
    StepCompleted,
    StepScheduled,
)
from worldflow.worlds import World

AT = datetime(2026, 1, 15, 10, tzinfo=UTC)


def commit(first: int, *events: Any) -> list[Event]:
    return [event.recorded(seq, AT) for seq, event in enumerate(events, first)]


STARTED = commit(1, RunStarted(run_id="r", workflow_name="w", input={"n": 1}), StepScheduled(step_id="s1", name="a"))
STEPPED = commit(3, StepCompleted(step_id="s1", result="één"), StepScheduled(step_id="s2", name="b"))
ENDED = commit(5, StepCompleted(step_id="s2", result=None), RunCompleted(result=[1.5, {"x": None}]))


def test_a_history_is_its_commits_in_order(world: World) -> None:
    for events in (STARTED, STEPPED, ENDED):
        world.append("r", events)

    assert world.load_history("r") == [*STARTED, *STEPPED, *ENDED]


def test_a_run_without_commits_has_an_empty_history(world: World) -> None:
    assert world.load_history("nobody") == []


def test_histories_of_other_runs_stay_apart(world: World) -> None:
    world.append("r", STARTED)
    world.append("r~2", commit(1, RunStarted(run_id="r~2")))

    assert world.load_history("r") == STARTED


def test_order_is_by_number_and_not_by_text(world: World) -> None:
    for seq in range(1, 23):
        world.append("r", commit(seq, SignalReceived(signal_id=str(seq))))

    assert [event.seq for event in world.load_history("r")] == list(range(1, 23))


def test_after_gives_what_follows_a_commit(world: World) -> None:
    for events in (STARTED, STEPPED, ENDED):
        world.append("r", events)

    assert world.load_history("r", after=2) == [*STEPPED, *ENDED]
    assert world.load_history("r", after=6) == []


def test_commits_gives_only_the_first_of_them(world: World) -> None:
    for events in (STARTED, STEPPED, ENDED):
        world.append("r", events)

    assert world.load_history("r", commits=1) == STARTED
    assert world.load_history("r", after=2, commits=1) == STEPPED
    assert world.load_history("r", commits=2) == [*STARTED, *STEPPED]


def test_a_commit_in_the_place_of_another_is_refused_whole(world: World) -> None:
    world.append("r", STARTED)
    world.append("r", STEPPED)

    with pytest.raises(ConflictError, match="'r'"):
        world.append("r", commit(3, SignalReceived(signal_id="1"), SignalReceived(signal_id="2"), RunCompleted()))

    assert world.load_history("r") == [*STARTED, *STEPPED]


def test_the_first_commit_is_refused_twice_too(world: World) -> None:
    world.append("r", STARTED)

    with pytest.raises(ConflictError):
        world.append("r", STARTED)


def test_of_many_writers_at_once_one_wins(world: World) -> None:
    world.append("r", STARTED)
    barrier = threading.Barrier(8)
    won: list[str] = []

    def write(name: str) -> None:
        barrier.wait()
        try:
            world.append("r", commit(3, SignalReceived(signal_id=name), SignalReceived(signal_id=f"{name}-again")))
        except ConflictError:
            return
        won.append(name)

    writers = [threading.Thread(target=write, args=(str(number),)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    (name,) = won
    signals = [event.signal_id for event in world.load_history("r") if isinstance(event, SignalReceived)]
    assert signals == [name, f"{name}-again"]


def test_what_an_event_of_a_newer_version_holds_is_kept(world: World) -> None:
    newer = RunStarted(run_id="r", priority="high")  # type: ignore[call-arg]
    world.append("r", commit(1, newer))

    (loaded,) = world.load_history("r")
    assert loaded.payload["priority"] == "high"


@pytest.mark.parametrize("size", [300_000, 349_000, 351_000, 2_000_000])
def test_a_commit_may_be_large(world: World, size: int) -> None:
    large = commit(1, RunStarted(run_id="r", input="x" * size))
    world.append("r", large)
    world.append("r", commit(2, SignalReceived(signal_id="1")))

    assert world.load_history("r") == [*large, *commit(2, SignalReceived(signal_id="1"))]


def test_many_large_commits_are_loaded_whole(world: World) -> None:
    for seq in range(1, 9):
        world.append("r", commit(seq, SignalReceived(signal_id=str(seq), value="x" * 300_000)))

    assert [event.seq for event in world.load_history("r")] == list(range(1, 9))
    assert [event.seq for event in world.load_history("r", after=2, commits=5)] == list(range(3, 8))


# --- what DynamoDB holds -------------------------------------------------------------------------------------------


def test_a_commit_is_one_item_and_one_request(aws: AWSSystem) -> None:
    aws.world.append("r", STARTED)

    (item,) = aws.stack.items("events")
    assert (item["run_id"], item["seq"]) == ({"S": "r"}, {"N": "1"})
    assert aws.stack.requests == ["dynamodb.PutItem"]


@pytest.mark.parametrize("letter", ["x", "é", "🙂"])
def test_a_commit_that_no_item_can_hold_goes_to_the_bucket_first(aws: AWSSystem, letter: str) -> None:
    events = commit(1, RunStarted(run_id="r", input=letter * (400_000 // len(letter.encode()))))
    aws.world.append("r", events)

    (item,) = aws.stack.items("events")
    (key,) = aws.stack.objects()
    assert key == f"payloads/{item['payload']['S']}"
    assert "events" not in item
    assert aws.stack.requests == ["s3.PutObject", "dynamodb.PutItem"]
    assert aws.world.load_history("r") == events


def test_a_large_commit_that_loses_leaves_the_winner_alone(aws: AWSSystem) -> None:
    winner = commit(1, RunStarted(run_id="r", input="a" * 400_000))
    aws.world.append("r", winner)

    with pytest.raises(ConflictError):
        aws.world.append("r", commit(1, RunStarted(run_id="r", input="b" * 400_000)))

    assert aws.world.load_history("r") == winner
