"""What an attempt says before it ends: that it has begun, and that it goes on."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from tests.support.aws import Stack
from tests.support.systems import AWSSystem, System
from tests.support.wire import Fault, wired_system
from worldflow.engine.history import StepCompleted
from worldflow.worlds import World, ledger
from worldflow.worlds.ledger import OUTCOME_DAYS
from worldflow.worlds.messages import StepOutcome

# --- claims ---


def test_an_attempt_is_begun_once(world: World) -> None:
    assert ledger.claim(world, "r", "s1", 1)
    assert not ledger.claim(world, "r", "s1", 1)
    assert not ledger.claim(world, "r", "s1", 1)


def test_every_attempt_has_its_own_beginning(world: World) -> None:
    ledger.claim(world, "r", "s1", 1)

    assert ledger.claim(world, "r", "s1", 2)
    assert ledger.claim(world, "r", "s2", 1)
    assert ledger.claim(world, "r2", "s1", 1)


@pytest.mark.parametrize("other", [("r", "s11", 1), ("r#s1", "1", 1), ("r", "s1", 11)])
def test_names_that_look_alike_are_others(world: World, other: tuple[str, str, int]) -> None:
    ledger.claim(world, "r", "s1", 1)

    assert ledger.claim(world, *other)


def test_of_many_who_begin_at_once_one_does(world: World) -> None:
    barrier = threading.Barrier(6)
    begun: list[bool] = []

    def begin() -> None:
        barrier.wait()
        begun.append(ledger.claim(world, "r", "s1", 1))

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(begun) == [False] * 5 + [True]


def test_a_beginning_is_no_outcome(world: World) -> None:
    ledger.claim(world, "r", "s1", 1)
    assert ledger.get_outcome(world, "r", "s1", 1) is None

    ledger.put_outcome(world, StepOutcome(run_id="r", fact=StepCompleted(step_id="s1")))
    assert not ledger.claim(world, "r", "s1", 1)
    assert ledger.claim(world, "r", "s1", 2)


def test_an_outcome_is_no_beginning(world: World) -> None:
    ledger.put_outcome(world, StepOutcome(run_id="r", fact=StepCompleted(step_id="s1")))

    assert ledger.claim(world, "r", "s1", 1)


def test_a_claim_is_one_request_and_does_not_expire(aws: AWSSystem) -> None:
    ledger.claim(aws.world, "r", "s1", 1)

    assert aws.stack.requests == ["dynamodb.PutItem"]
    (item,) = aws.stack.items("runs")
    assert "expires_at" not in item


def test_the_newest_claims_without_an_answer_are_remembered(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "CLAIMS_LIMIT", 2)
    with wired_system(stack) as system:
        system.wire.reset(lambda asked: Fault.UNANSWERED)
        for step_id in ("s1", "s2", "s3"):
            with pytest.raises(ReadTimeoutError):
                ledger.claim(system.world, "r", step_id, 1)

        system.wire.reset()
        assert [ledger.claim(system.world, "r", step_id, 1) for step_id in ("s1", "s2", "s3")] == [False, True, True]


# --- heartbeats ---


def test_nobody_has_heard_of_an_attempt_that_said_nothing(world: World) -> None:
    assert ledger.last_beat(world, "r", "s1", 1) is None


@pytest.mark.parametrize("details", [None, 0, "", {"page": 7, "of": [1, 2.5, None]}, "één", [], 1e300, float("inf")])
def test_the_last_is_known_with_what_it_said(system: System, details: Any) -> None:
    before = system.clock.now()
    assert ledger.beat(system.world, "r", "s1", 1, "an earlier one")
    assert ledger.beat(system.world, "r", "s1", 1, details)

    beat = ledger.last_beat(system.world, "r", "s1", 1)
    assert beat
    assert beat.details == details
    assert before < beat.at < system.clock.now()


def test_each_is_later_than_the_last(system: System) -> None:
    moments = []
    for _ in range(3):
        ledger.beat(system.world, "r", "s1", 1, None)
        beat = ledger.last_beat(system.world, "r", "s1", 1)
        assert beat
        moments.append(beat.at)
        system.clock.forward(system.clock.now() + timedelta(seconds=10))

    assert moments[1] - moments[0] >= timedelta(seconds=10)
    assert moments[2] - moments[1] >= timedelta(seconds=10)


def test_attempts_beat_for_themselves(world: World) -> None:
    ledger.beat(world, "r", "s1", 1, "one")
    ledger.beat(world, "r", "s1", 2, "two")
    ledger.beat(world, "r2", "s1", 1, "other")

    assert [beat.details for attempt in (1, 2) if (beat := ledger.last_beat(world, "r", "s1", attempt))] == [
        "one",
        "two",
    ]
    assert ledger.last_beat(world, "r", "s2", 1) is None


def test_one_that_is_not_wanted_hears_of_it_at_its_next_beat_and_ever_after(world: World) -> None:
    assert ledger.beat(world, "r", "s1", 1, "before")
    ledger.abandon(world, "r", "s1", 1)

    assert not ledger.beat(world, "r", "s1", 1, "after")
    assert not ledger.beat(world, "r", "s1", 1, "after")
    assert ledger.beat(world, "r", "s1", 2, None)
    beat = ledger.last_beat(world, "r", "s1", 1)
    assert beat
    assert beat.details == "after"


def test_one_that_was_never_heard_of_can_be_not_wanted(world: World) -> None:
    ledger.abandon(world, "r", "s1", 1)

    assert ledger.last_beat(world, "r", "s1", 1) is None
    assert not ledger.beat(world, "r", "s1", 1, None)


def test_saying_so_twice_is_harmless(world: World) -> None:
    ledger.beat(world, "r", "s1", 1, "x")
    ledger.abandon(world, "r", "s1", 1)
    ledger.abandon(world, "r", "s1", 1)

    beat = ledger.last_beat(world, "r", "s1", 1)
    assert beat
    assert beat.details == "x"


def test_a_heartbeat_is_one_request_and_expires(aws: AWSSystem) -> None:
    ledger.beat(aws.world, "r", "s1", 1, {"page": 1})

    assert aws.stack.requests == ["dynamodb.UpdateItem"]
    (item,) = aws.stack.items("runs")
    left = int(item["expires_at"]["N"]) - aws.clock.timestamp()
    assert left == pytest.approx(OUTCOME_DAYS * 86_400, abs=5)


def test_none_of_them_is_a_run(world: World) -> None:
    ledger.claim(world, "r", "s1", 1)
    ledger.beat(world, "r", "s1", 1, None)
    ledger.abandon(world, "r", "s2", 1)

    assert world.list_runs().runs == []
