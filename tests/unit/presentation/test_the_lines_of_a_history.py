from datetime import UTC, datetime, timedelta

from worldflow.engine.history import RunStarted, StepCompleted, StepScheduled
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
