from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from worldflow.engine.history import (
    Applied,
    AttributesSet,
    CancelRequested,
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
    RunCancelled,
    RunCompleted,
    RunContinued,
    RunFailed,
    RunForked,
    RunPaused,
    RunRestored,
    RunStarted,
    RunUnpaused,
    SignalReceived,
    StepAbandoned,
    StepCancelRequested,
    StepCompleted,
    StepFailed,
    StepRetryScheduled,
    StepScheduled,
    StreamWritten,
    TerminateRequested,
    TimerCancelled,
    TimerFired,
    TimerStarted,
    UpdateReceived,
    VersionMarked,
)
from worldflow.presentation import describe_event

AT = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = {"s1": "charge", "c2": "ship", "update/u2": "add", "hook/h2/r2": "h2"}
ERROR = Failure(type="shop.bank:CardDeclined", message="no funds\nleft")

WORDS = [
    (RunStarted(workflow_name="order", input={"id": 7}), 'run of order started  {"id": 7}'),
    (RunStarted(workflow_name="order", version=1), "run of order started"),
    (RunStarted(workflow_name="order", version=2), "run of order (version 2) started"),
    (StepScheduled(step_id="s1", name="charge", input={"amount": "3"}), 'step charge (s1) scheduled  {"amount": "3"}'),
    (StepCompleted(step_id="s1", result="ok"), 'step charge (s1) completed  "ok"'),
    (RunForked(run_id="order-1", after=4), "history up to here taken from order-1"),
    (RunRestored(), "run restored  its later events were lost"),
    (StepCompleted(step_id="s9"), "step s9 completed"),
    (
        StepFailed(step_id="s1", attempt=2, error=ERROR),
        "step charge (s1) failed, attempt 2  CardDeclined: no funds left",
    ),
    (
        StepRetryScheduled(step_id="s1", attempt=3, due=AT + timedelta(seconds=1.5)),
        "step charge (s1) retries in 1.5 s  attempt 3",
    ),
    (StepAbandoned(step_id="s1"), "step charge (s1) abandoned  no longer needed"),
    (
        StepCancelRequested(step_id="s1"),
        "cancellation of step charge (s1) requested  its outcome is waited for",
    ),
    (TimerStarted(timer_id="t1", due=AT + timedelta(days=3)), "timer t1 started  due in 3 d"),
    (TimerFired(timer_id="t1"), "timer t1 fired"),
    (TimerFired(timer_id="t1", woken=True), "timer t1 woken"),
    (TimerCancelled(timer_id="t1"), "timer t1 cancelled"),
    (SignalReceived(signal_id="x", name="approval", value=True), "signal approval received  true"),
    (SignalReceived(signal_id="x", name="approval"), "signal approval received"),
    (CancelRequested(reason="too late"), "cancellation requested  too late"),
    (RunPaused(pause_id="p", reason="an incident", by="Grace"), "run paused  by Grace: an incident"),
    (RunUnpaused(pause_id="p"), "run unpaused"),
    (Applied(fact_id="t1"), "applied t1 to the workflow"),
    (HookCreated(hook_id="h1", token="order-1"), "hook h1 created  order-1"),
    (HookCreated(hook_id="h2", token="", webhook=True), "webhook h2 created"),
    (HookResumed(hook_id="h1", resume_id="r1", value={"ok": True}), 'hook h1 resumed  {"ok": true}'),
    (HookResumed(hook_id="h1", resume_id="r2", error=ERROR), "hook h1 failed  CardDeclined: no funds left"),
    (HookConflicted(hook_id="h1"), "hook h1 conflicted  another live run holds its token"),
    (HookDisposed(hook_id="h1"), "hook h1 disposed of"),
    (UpdateReceived(update_id="u1", name="add", args=[1]), "update add received  [1]"),
    (Replied(fact_id="update/u1", result=2), "update u1 answered  2"),
    (Replied(fact_id="update/u2", error=Failure(type="a:B", message="no")), "update add answered  B: no"),
    (Replied(fact_id="hook/h2/r2", result={"status": 200}), 'hook h2 answered  {"status": 200}'),
    (
        ChildStarted(child_id="c1", child_run_id="r~c1", workflow_name="ship", input={"n": 1}),
        'child ship (c1) started as r~c1  {"n": 1}',
    ),
    (ChildCompleted(child_id="c1", result=1), "child c1 completed  1"),
    (ChildCompleted(child_id="c2"), "child ship (c2) completed"),
    (ChildFailed(child_id="c1", error=Failure(type="a:B", message="no")), "child c1 failed  B: no"),
    (ChildCancelRequested(child_id="c1"), "cancellation of child c1 requested  no longer needed"),
    (AttributesSet(attributes={"customer": "c1", "total": None}), 'attributes set  customer="c1" total=null'),
    (AttributesSet(status_text="packing\n3 of 5"), "status set  packing 3 of 5"),
    (AttributesSet(status_text="packing", attributes={"total": 3}), "status set  packing total=3"),
    (StreamWritten(stream="answer", values=["a"], count=1), '1 value written to stream answer  ["a"]'),
    (
        StreamWritten(stream="answer", values=[1, 2], count=2, closed=True),
        "2 values written to stream answer, and the stream closed  [1, 2]",
    ),
    (StreamWritten(stream="answer", values=[], closed=True), "stream answer closed"),
    (VersionMarked(change_id="pack-first"), "took the new path of change pack-first"),
    (TerminateRequested(reason="enough"), "termination requested  enough"),
    (RunContinued(next_run_id="r~2", input={"n": 2}), 'run continued as r~2  {"n": 2}'),
    (
        RunContinued(next_run_id="r~2", attempt=2, error=Failure(type="builtins:OSError", message="no")),
        "run failed; attempt 2 is r~2  OSError: no",
    ),
    (RunCompleted(result=[1, 2]), "run completed  [1, 2]"),
    (RunFailed(error=ERROR), "run failed  CardDeclined: no funds left"),
    (RunCancelled(reason="too late"), "run cancelled  too late"),
]


@pytest.mark.parametrize(("event", "words"), WORDS)
def test_in_these(event: Event, words: str):
    assert describe_event(event.recorded(1, AT), NAMES).plain == words


def test_and_none_is_left_out():
    assert {type(event) for event, _ in WORDS} == set(get_args(Event))


def test_a_fact_that_is_held_says_so():
    event = TimerFired(timer_id="t1", held=True)
    assert describe_event(event).plain == "timer t1 fired  held until the workflow's code can run"


def test_a_long_value_is_cut():
    words = describe_event(RunCompleted(result="x" * 1_000)).plain
    assert words.endswith("x…")
    assert len(words) < 150


def test_what_users_write_cannot_move_the_cursor():
    words = describe_event(RunFailed(error=Failure(type="a:B", message="\x1b[2J\r\x07boo"))).plain
    assert words == "run failed  B: [2J boo"
