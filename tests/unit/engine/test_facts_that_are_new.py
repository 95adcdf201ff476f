"""Which facts a history takes: each once, and only as an answer to what is open."""

from datetime import timedelta

from tests.support.driver import START
from worldflow.engine.history import (
    Applied,
    CancelRequested,
    Event,
    Failure,
    RunCancelled,
    RunCompleted,
    RunStarted,
    SignalReceived,
    StepAbandoned,
    StepCompleted,
    StepFailed,
    StepRetryScheduled,
    StepScheduled,
    TimerCancelled,
    TimerFired,
    TimerStarted,
)
from worldflow.engine.history.state import RunState

BOOM = Failure(type="builtins:ValueError", args=[])
LATER = START + timedelta(hours=1)


def history(*events: Event) -> RunState:
    return RunState(event.recorded(n, START) for n, event in enumerate(events, 1))


def test_an_empty_history_takes_only_the_start():
    state = RunState()
    assert state.accepts(RunStarted())
    for fact in (
        StepCompleted(step_id="s1"),
        TimerFired(timer_id="t1"),
        SignalReceived(signal_id="x"),
        CancelRequested(),
    ):
        assert not state.accepts(fact)


def test_a_run_starts_once():
    assert not history(RunStarted()).accepts(RunStarted())


def test_a_step_is_answered_once():
    state = history(RunStarted(), StepScheduled(step_id="s1"))
    assert state.accepts(StepCompleted(step_id="s1"))
    assert state.accepts(StepFailed(step_id="s1", error=BOOM))
    assert not state.accepts(StepCompleted(step_id="s2"))
    for answer in (StepCompleted(step_id="s1"), StepFailed(step_id="s1", error=BOOM)):
        answered = history(RunStarted(), StepScheduled(step_id="s1"), answer)
        assert not answered.accepts(StepCompleted(step_id="s1"))
        assert not answered.accepts(StepFailed(step_id="s1", error=BOOM))


def test_only_the_open_attempt_is_answered():
    state = history(
        RunStarted(),
        StepScheduled(step_id="s1"),
        StepFailed(step_id="s1", error=BOOM),
        StepRetryScheduled(step_id="s1", attempt=2, due=LATER),
    )
    assert [state.accepts(StepCompleted(step_id="s1", attempt=n)) for n in (1, 2, 3)] == [False, True, False]
    assert state.steps["s1"].due == LATER


def test_an_abandoned_step_is_not_answered():
    state = history(RunStarted(), StepScheduled(step_id="s1"), StepAbandoned(step_id="s1"))
    assert not state.accepts(StepCompleted(step_id="s1"))


def test_a_timer_fires_once():
    started = TimerStarted(timer_id="t1", due=LATER)
    fired = TimerFired(timer_id="t1")
    assert history(RunStarted(), started).accepts(fired)
    assert not history(RunStarted(), started, fired).accepts(fired)
    assert not history(RunStarted(), started, TimerCancelled(timer_id="t1")).accepts(fired)
    assert not history(RunStarted()).accepts(fired)


def test_a_timer_is_never_recorded_before_its_time():
    state = history(RunStarted(), TimerStarted(timer_id="t1", due=LATER))
    assert state.earliest(TimerFired(timer_id="t1")) == LATER
    assert state.earliest(SignalReceived(signal_id="x")) == START


def test_a_signal_is_known_by_its_id():
    state = history(RunStarted(), SignalReceived(signal_id="x", name="a"))
    assert not state.accepts(SignalReceived(signal_id="x", name="b"))
    assert state.accepts(SignalReceived(signal_id="y", name="a"))


def test_a_cancellation_is_asked_for_once():
    assert history(RunStarted()).accepts(CancelRequested())
    assert not history(RunStarted(), CancelRequested()).accepts(CancelRequested())


def test_a_run_that_has_ended_takes_nothing():
    for end in (RunCompleted(), RunCancelled()):
        state = history(RunStarted(), StepScheduled(step_id="s1"), TimerStarted(timer_id="t1", due=LATER), end)
        for fact in (
            RunStarted(),
            StepCompleted(step_id="s1"),
            TimerFired(timer_id="t1"),
            SignalReceived(signal_id="x"),
            CancelRequested(),
        ):
            assert not state.accepts(fact)


def test_a_held_fact_is_known_until_it_is_applied():
    held = SignalReceived(signal_id="x", held=True)
    state = history(RunStarted(), held)
    assert list(state.held) == ["signal/x"]
    assert not state.accepts(SignalReceived(signal_id="x"))
    applied = history(RunStarted(), held, Applied(fact_id="signal/x"))
    assert applied.held == {}
    assert not applied.accepts(SignalReceived(signal_id="x"))


def test_a_held_answer_closes_what_it_answers():
    state = history(RunStarted(), StepScheduled(step_id="s1"), StepCompleted(step_id="s1", held=True))
    assert not state.accepts(StepCompleted(step_id="s1"))
    assert state.steps == {}


def test_a_held_failure_may_still_be_tried_again():
    state = history(
        RunStarted(),
        StepScheduled(step_id="s1"),
        StepFailed(step_id="s1", error=BOOM, held=True),
        Applied(fact_id="s1/1"),
        StepRetryScheduled(step_id="s1", attempt=2, due=LATER),
    )
    assert state.accepts(StepCompleted(step_id="s1", attempt=2))


def test_where_the_history_is():
    state = history(RunStarted(), StepScheduled(step_id="s1"))
    assert (state.seq, state.at) == (2, START)
