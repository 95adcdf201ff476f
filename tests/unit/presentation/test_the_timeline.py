import io
from datetime import UTC, datetime, timedelta

from rich.console import Console

from worldflow.engine.history import (
    AnyDecision,
    AnyFact,
    ChildCancelRequested,
    ChildCompleted,
    ChildFailed,
    ChildStarted,
    Event,
    Failure,
    HookConflicted,
    HookCreated,
    HookDisposed,
    HookResumed,
    Replied,
    RunCompleted,
    RunStarted,
    SignalReceived,
    StepCompleted,
    StepFailed,
    StepRetryScheduled,
    StepScheduled,
    TimerCancelled,
    TimerStarted,
    UpdateReceived,
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


def test_children_hooks_and_updates_have_lines_too():
    lines = shown(
        (0, RunStarted()),
        (0, ChildStarted(child_id="c1", workflow_name="ship")),
        (0, ChildStarted(child_id="c2", workflow_name="bill")),
        (0, HookCreated(hook_id="h1", token="x")),
        (0, HookCreated(hook_id="h2", webhook=True)),
        (0, HookCreated(hook_id="h3", token="y")),
        (0, HookConflicted(hook_id="h3")),
        (0, HookDisposed(hook_id="h3")),
        (1, UpdateReceived(update_id="u1", name="add")),
        (1, UpdateReceived(update_id="u2", name="add")),
        (2, Replied(fact_id="update/u1")),
        (2, ChildCancelRequested(child_id="c2")),
        (3, ChildFailed(child_id="c1", error=Failure(type="a:Boom"))),
        (4, HookDisposed(hook_id="h1")),
        (5, HookResumed(hook_id="h2", resume_id="r1")),
        (5, Replied(fact_id="hook/h2/r1")),
        (6, Replied(fact_id="update/u2", error=Failure(type="a:Bad"))),
        (7, ChildCompleted(child_id="c2")),
        (8, RunCompleted()),
    )
    assert [line.replace("━", "").split() for line in lines[1:]] == [
        ["child", "ship", "(c1)", "+0", "ms", "3", "s", "Boom"],
        ["child", "bill", "(c2)", "+0", "ms", "7", "s"],
        ["hook", "h1", "+0", "ms", "4", "s"],
        ["webhook", "h2", "+0", "ms", "8", "s"],
        ["hook", "h3", "+0", "ms", "refused"],
        ["update", "add", "+1", "s", "1", "s"],
        ["update", "add", "+1", "s", "5", "s", "Bad"],
        ["hook", "h2", "resumed", "+5", "s"],
    ]


def test_a_child_that_was_asked_to_end_and_has_not_is_open():
    (line,) = shown(
        (0, RunStarted()),
        (0, ChildStarted(child_id="c1", workflow_name="ship")),
        (1, ChildCancelRequested(child_id="c1")),
    )[1:]
    assert "open" in line
    assert line.endswith("cancellation requested")


def test_what_is_open_says_so():
    assert "open" in shown((0, RunStarted()), (0, StepScheduled(step_id="s1", name="pick")))[1]


def test_a_bar_is_thin_while_an_attempt_waits_in_its_queue():
    (line,) = shown(
        (0, RunStarted()),
        (0, StepScheduled(step_id="s1", name="pick")),
        (6, StepFailed(step_id="s1", error=Failure(type="a:Boom"), waited=4.0)),
        (6, StepRetryScheduled(step_id="s1", attempt=2, due=AT + timedelta(seconds=10))),
        (16, StepCompleted(step_id="s1", attempt=2, waited=2.0)),
    )[1:]
    assert line.split(maxsplit=7)[6:] == ["s", "─" * 8 + "━" * 12 + "─" * 4 + "━" * 8 + "  attempt 2, queued for 6 s"]


def test_a_wait_that_another_clock_measured_is_not_longer_than_its_attempt():
    (line,) = shown(
        (0, RunStarted()),
        (0, StepScheduled(step_id="s1", name="pick")),
        (2, StepCompleted(step_id="s1", waited=3.0)),
    )[1:]
    assert "─" * 32 in line
    assert line.endswith("queued for 2 s")


def test_many_lines_are_counted():
    steps = [(0.0, StepScheduled(step_id=f"s{n}", name="pick")) for n in range(60)]
    lines = shown((0, RunStarted()), *steps)
    assert len(lines) == 52
    assert lines[-1] == "and 10 more"


def test_names_are_no_markup():
    assert "[red]pick" in shown((0, RunStarted()), (0, StepScheduled(step_id="s1", name="[red]pick")))[1]
