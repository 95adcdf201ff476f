"""The ledger: what a finished attempt of a step came to."""

import pytest

from tests.support.systems import AWSSystem
from worldflow.engine.history import Failure, StepCompleted, StepFailed
from worldflow.worlds import World, ledger
from worldflow.worlds.ledger import OUTCOME_DAYS
from worldflow.worlds.messages import StepOutcome

COMPLETED = StepOutcome(run_id="r", fact=StepCompleted(step_id="s1", attempt=2, result={"price": 1.5, "note": "één"}))
FAILED = StepOutcome(
    run_id="r",
    fact=StepFailed(
        step_id="s1", attempt=1, error=Failure(type="m:E", message="no", args=["no"]), retryable=False, retry_after=1.5
    ),
)


@pytest.mark.parametrize("outcome", [COMPLETED, FAILED], ids=["completed", "failed"])
def test_an_outcome_is_kept(world: World, outcome: StepOutcome) -> None:
    ledger.put_outcome(world, outcome)

    assert ledger.get_outcome(world, "r", "s1", outcome.fact.attempt) == outcome


def test_an_attempt_that_has_not_ended_has_no_outcome(world: World) -> None:
    assert ledger.get_outcome(world, "r", "s1", 1) is None


def test_attempts_steps_and_runs_stay_apart(world: World) -> None:
    ledger.put_outcome(world, COMPLETED)

    assert ledger.get_outcome(world, "r", "s1", 1) is None
    assert ledger.get_outcome(world, "r", "s2", 2) is None
    assert ledger.get_outcome(world, "r2", "s1", 2) is None


def test_the_first_outcome_stands_and_whoever_comes_later_is_told(world: World) -> None:
    failed = StepOutcome(
        run_id="r",
        fact=StepFailed(step_id="s1", attempt=2, error=Failure(type="m:E", message="no", args=[]), retryable=True),
    )

    assert ledger.put_outcome(world, COMPLETED) == COMPLETED
    assert ledger.put_outcome(world, failed) == COMPLETED
    assert ledger.put_outcome(world, COMPLETED) == COMPLETED
    assert ledger.get_outcome(world, "r", "s1", 2) == COMPLETED


def test_an_outcome_of_another_call_gives_way(world: World) -> None:
    lost, now = (
        StepOutcome(run_id="r", fact=StepCompleted(step_id="s1", result=result), call=call)
        for result, call in ((1, "charge a"), (2, "charge b"))
    )

    assert ledger.put_outcome(world, lost) == lost
    assert ledger.put_outcome(world, now) == now
    assert ledger.put_outcome(world, now) == now
    assert ledger.get_outcome(world, "r", "s1", 1) == now


def test_an_outcome_costs_one_request_and_expires_long_after_any_message(aws: AWSSystem) -> None:
    ledger.put_outcome(aws.world, COMPLETED)

    (item,) = aws.stack.items("runs")
    left = int(item["expires_at"]["N"]) - aws.clock.timestamp()
    assert item["run_id"] == {"S": "step#r#s1#2"}
    assert left == pytest.approx(OUTCOME_DAYS * 86_400, abs=5)
    assert aws.stack.requests == ["dynamodb.PutItem"]
