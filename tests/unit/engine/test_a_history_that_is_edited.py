"""Other data in a history that is forked: what can be edited, and what is decided again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from worldflow import InvalidInputError
from worldflow.engine.history import (
    AnyDecision,
    AnyFact,
    Applied,
    ChildStarted,
    Event,
    Failure,
    RunCompleted,
    RunStarted,
    SignalReceived,
    StepCompleted,
    StepFailed,
    StepRetryScheduled,
    StepScheduled,
    TimerFired,
    TimerStarted,
)
from worldflow.engine.history.editing import editable
from worldflow.engine.history.forking import forked, settled

AT = datetime(2026, 1, 15, tzinfo=UTC)
START = RunStarted(run_id="r", workflow_name="w", version=1, timeout=5.0, seed="chance", created_at=AT, input={"a": 1})
ERROR = Failure(type="builtins:ValueError")


def history(*events: AnyFact | AnyDecision) -> list[Event]:
    return [event.recorded(seq, AT) for seq, event in enumerate(events, 1)]


ONE_STEP = history(
    START,
    StepScheduled(step_id="s1", name="work", input={"n": 1}),
    StepCompleted(step_id="s1", result=10),
    StepScheduled(step_id="s2", name="work", input={"n": 10}),
    StepCompleted(step_id="s2", result=20),
    RunCompleted(result=20),
)


def told(events: list[Event]) -> list[tuple[str, bool]]:
    return [(event.event_type, bool(event.held)) for event in events]


def test_what_was_decided_on_the_last_fact_is_decided_again() -> None:
    for after in (3, 4):
        fork = forked(ONE_STEP, "f", after, {3: 11})
        assert told(fork) == [("RunStarted", False), ("StepScheduled", False), ("StepCompleted", True)]
        assert fork[2].result == 11  # type: ignore[union-attr]
        assert settled(ONE_STEP, after, {3: 11}) == after


def test_also_the_end_of_the_run() -> None:
    assert told(forked(ONE_STEP, "f", 6, {5: 21}))[3:] == [("StepScheduled", False), ("StepCompleted", True)]


def test_what_came_after_an_earlier_fact_stays() -> None:
    fork = forked(ONE_STEP, "f", 4, {1: {"a": 2}})
    assert told(fork) == [(event.event_type, False) for event in ONE_STEP[:4]]
    assert fork[0].input == {"a": 2}  # type: ignore[union-attr]
    assert settled(ONE_STEP, 3, {1: {"a": 2}}) == 4


def test_a_run_that_begins_again_begins_with_the_code_that_there_is() -> None:
    (started,) = forked(ONE_STEP, "f", 1, {1: {"a": 2}})
    assert isinstance(started, RunStarted)
    assert (started.run_id, started.input, started.held) == ("f", {"a": 2}, True)
    assert (started.version, started.timeout) == (None, None)


HELD = history(
    START,
    SignalReceived(signal_id="a", name="a", value=1, held=True),
    SignalReceived(signal_id="b", name="b", value=2, held=True),
    Applied(fact_id="signal/a"),
    StepScheduled(step_id="s1", name="work"),
    Applied(fact_id="signal/b"),
    StepScheduled(step_id="s2", name="work"),
    SignalReceived(signal_id="c", name="c", value=3, held=True),
)


def test_a_fact_that_was_held_is_held_again() -> None:
    fork = forked(HELD, "f", 7, {3: "B"})
    assert told(fork) == [(event.event_type, bool(event.held)) for event in HELD[:5]]
    assert fork[2].value == "B"  # type: ignore[union-attr]
    fork = forked(HELD, "f", 8, {3: "B", 8: "C"})
    assert told(fork)[5:] == [("SignalReceived", True)]
    assert [getattr(fork[place], "value", None) for place in (1, 2, 5)] == [1, "B", "C"]


def test_one_that_was_applied_earlier_leaves_what_came_after_it() -> None:
    fork = forked(HELD, "f", 7, {2: "A"})
    assert told(fork) == [(event.event_type, bool(event.held)) for event in HELD[:7]]


RETRIED = history(
    START,
    StepScheduled(step_id="s1", name="work"),
    StepFailed(step_id="s1", attempt=1, error=ERROR),
    StepRetryScheduled(step_id="s1", attempt=2, due=AT),
    StepFailed(step_id="s1", attempt=2, error=ERROR),
    StepScheduled(step_id="s2", name="other"),
)


@pytest.mark.parametrize("seq", [3, 5])
def test_a_failure_may_become_a_result(seq: int) -> None:
    completed = forked(RETRIED, "f", seq, {seq: "well"})[-1]
    assert isinstance(completed, StepCompleted)
    assert (completed.step_id, completed.attempt, completed.result, completed.held) == (
        "s1",
        (seq - 1) // 2,
        "well",
        True,
    )


def test_what_can_be_edited() -> None:
    events = history(
        START,
        StepScheduled(step_id="s1", name="work"),
        StepScheduled(step_id="s2", name="other"),
        ChildStarted(child_id="c1", workflow_name="kid"),
        ChildStarted(child_id="c2", workflow_name="free", detached=True),
        TimerStarted(timer_id="t1", due=AT),
        StepCompleted(step_id="s1"),
        TimerFired(timer_id="t1"),
        SignalReceived(signal_id="x", name="go"),
    )
    assert editable(events) == {
        1: "the input of the run",
        3: "the arguments of other (s2)",
        4: "the arguments of kid (c1)",
        7: "the result of work (s1)",
        9: "the signal go",
    }
    assert list(editable(RETRIED)) == [1, 5, 6]


@pytest.mark.parametrize("edits", [{2: 1}, {4: 1}, {6: 1}, {7: 1}])
def test_what_cannot_be_edited(edits: dict[int, Any]) -> None:
    with pytest.raises(InvalidInputError, match=r"event \d cannot be edited; what can: 1 \(the input"):
        forked(ONE_STEP, "f", 5, edits)


def test_the_original_is_left_alone() -> None:
    before = list(ONE_STEP)
    forked(ONE_STEP, "f", 3, {3: 11})
    assert before == ONE_STEP
