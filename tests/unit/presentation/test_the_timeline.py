import io
from datetime import UTC, datetime, timedelta

from rich.console import Console

from worldflow.engine.history import (
    AnyDecision,
    AnyFact,
    Event,
    Failure,
    RunStarted,
    SignalReceived,
    StepCompleted,
    StepFailed,
    StepRetryScheduled,
    StepScheduled,
    TimerCancelled,
    TimerStarted,
)
from worldflow.presentation import timeline

AT = datetime(2026, 1, 1, tzinfo=UTC)


def shown(*events: tuple[float, AnyFact | AnyDecision]) -> list[str]:
    """The timeline of events at these seconds, line by line."""
    history: list[Event] = [
        event.recorded(seq, AT + timedelta(seconds=second)) for seq, (second, event) in enumerate(events, 1)
    ]
    out = io.StringIO()
    Console(file=out, width=140).print(timeline(history))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_each_step_timer_and_signal_has_a_line_with_its_beginning_and_length():
    lines = shown(
        (0, RunStarted()),
        (0, StepScheduled(step_id="s1", name="pick")),
        (0, TimerStarted(timer_id="t1", due=AT + timedelta(hours=1))),
        (4, StepCompleted(step_id="s1")),
        (8, SignalReceived(signal_id="x", name="stop")),
        (8, TimerCancelled(timer_id="t1")),
    )
    bar = "━" * 16
    assert [line.split() for line in lines[1:]] == [
        ["step", "pick", "(s1)", "+0", "ms", "4", "s", bar],
        ["timer", "t1", "of", "1", "h", "+0", "ms", "8", "s", bar + bar, "cancelled"],
        ["signal", "stop", "+8", "s", "━"],
    ]


def test_a_step_is_one_line_however_often_it_is_tried():
    failed = StepFailed(step_id="s1", error=Failure(type="a:Boom"))
    again = StepRetryScheduled(step_id="s1", attempt=2, due=AT)
    done = StepCompleted(step_id="s1", attempt=2)
    begun = [(0.0, RunStarted()), (0.0, StepScheduled(step_id="s1", name="pick")), (1.0, failed)]
    assert shown(*begun)[1].endswith("Boom")
    assert "open" in shown(*begun, (1, again))[1]
    (line,) = shown(*begun, (1, again), (3, done))[1:]
    assert line.endswith("attempt 2")
    assert "3 s" in line


def test_what_is_open_says_so():
    assert "open" in shown((0, RunStarted()), (0, StepScheduled(step_id="s1", name="pick")))[1]


def test_many_lines_are_counted():
    steps = [(0.0, StepScheduled(step_id=f"s{n}", name="pick")) for n in range(60)]
    lines = shown((0, RunStarted()), *steps)
    assert len(lines) == 52
    assert lines[-1] == "and 10 more"


def test_names_are_no_markup():
    assert "[red]pick" in shown((0, RunStarted()), (0, StepScheduled(step_id="s1", name="[red]pick")))[1]
