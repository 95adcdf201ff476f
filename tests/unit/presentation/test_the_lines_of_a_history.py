from datetime import UTC, datetime, timedelta

import pytest

from worldflow.engine.history import (
    AnyDecision,
    AnyFact,
    ChildCompleted,
    ChildStarted,
    HookResumed,
    Replied,
    RunStarted,
    StepCompleted,
    StepScheduled,
    UpdateReceived,
)
from worldflow.presentation import EventLines

AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_line_has_the_number_the_time_since_the_beginning_and_the_name_of_the_step():
    lines = EventLines()
    shown = [
        lines.line(RunStarted(workflow_name="order").recorded(1, AT)).plain,
        lines.line(StepScheduled(step_id="s1", name="charge").recorded(2, AT)).plain,
        lines.line(StepCompleted(step_id="s1").recorded(3, AT + timedelta(seconds=90))).plain,
    ]
    assert shown == [
        "    1         +0 ms  run of order started",
        "    2         +0 ms  step charge (s1) scheduled",
        "    3   +1 min 30 s  step charge (s1) completed",
    ]


@pytest.mark.parametrize(
    ("before", "event", "words"),
    [
        (ChildStarted(child_id="c1", workflow_name="ship"), ChildCompleted(child_id="c1"), "child ship (c1) completed"),
        (UpdateReceived(update_id="u1", name="add"), Replied(fact_id="update/u1"), "update add answered"),
        (HookResumed(hook_id="h1", resume_id="r1"), Replied(fact_id="hook/h1/r1"), "hook h1 answered"),
    ],
)
def test_what_an_id_stands_for_is_remembered(before: AnyFact | AnyDecision, event: AnyFact | AnyDecision, words: str):
    lines = EventLines()
    lines.line(before.recorded(1, AT))
    assert lines.line(event.recorded(2, AT)).plain.endswith(f"  {words}")
