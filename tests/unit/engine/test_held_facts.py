"""Facts that were committed while the code could not run are learned of later, and replay gives them there."""

import asyncio
from datetime import timedelta

import pytest

from tests.support.driver import START, Drive
from tests.support.steps import work
from worldflow import now, sleep, wait_for_signal, workflow
from worldflow.engine.history import (
    Applied,
    Event,
    RunCompleted,
    RunStarted,
    SignalReceived,
    StepCompleted,
    StepFailed,
    StepRetryScheduled,
    StepScheduled,
    TimerCancelled,
    TimerFired,
    TimerStarted,
)
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.workflow.execution import Execution


def replayed(function, *events: tuple[Event, float]) -> Execution:
    execution = Execution("run-1", function)
    execution.replay(
        event.recorded(n, START + timedelta(seconds=seconds)) for n, (event, seconds) in enumerate(events, 1)
    )
    return execution


@workflow
async def waiting() -> list[str]:
    first = await wait_for_signal("a")
    await work(first)
    return [first, now().isoformat()]


def test_the_workflow_learns_of_it_where_it_is_applied():
    execution = replayed(
        waiting,
        (RunStarted(), 0),
        (SignalReceived(signal_id="x", name="a", value="v", held=True), 10),
        (Applied(fact_id="signal/x"), 100),
        (StepScheduled(step_id="s1", name="work"), 100),
    )
    (ended,) = execution.apply(StepCompleted(step_id="s1"), START + timedelta(seconds=200))
    assert isinstance(ended, RunCompleted)
    assert ended.result == ["v", (START + timedelta(seconds=200)).isoformat()]


def test_until_then_it_does_not_know():
    execution = replayed(
        waiting, (RunStarted(), 0), (SignalReceived(signal_id="x", name="a", value="v", held=True), 10)
    )
    (scheduled,) = execution.apply(SignalReceived(signal_id="y", name="a", value="w"), START)
    assert isinstance(scheduled, StepScheduled)
    assert scheduled.input == {"item": "w"}
    execution.dispose()


def test_a_start_that_was_held():
    execution = replayed(
        waiting,
        (RunStarted(workflow_name="waiting", held=True), 0),
        (SignalReceived(signal_id="x", name="a", value="v", held=True), 10),
        (Applied(fact_id="start"), 100),
        (Applied(fact_id="signal/x"), 100),
        (StepScheduled(step_id="s1", name="work"), 100),
    )
    execution.dispose()


def test_a_failure_that_was_held_follows_the_recorded_retry():
    @workflow
    async def trying() -> None:
        await work()

    error = encode_exception(ValueError("x"))
    execution = replayed(
        trying,
        (RunStarted(), 0),
        (StepScheduled(step_id="s1", name="work"), 0),
        (StepFailed(step_id="s1", error=error, held=True), 10),
        (Applied(fact_id="s1/1"), 100),
        (StepRetryScheduled(step_id="s1", attempt=2, due=START + timedelta(seconds=101)), 100),
    )
    (ended,) = execution.apply(StepCompleted(step_id="s1", attempt=2), START + timedelta(seconds=200))
    assert isinstance(ended, RunCompleted)


def test_a_timer_that_was_held_and_cancelled_meanwhile(drive: Drive):
    @workflow
    async def racing() -> str:
        nap = asyncio.create_task(sleep(60))
        value = await wait_for_signal("a")
        nap.cancel()
        await work()
        return value

    execution = replayed(
        racing,
        (RunStarted(), 0),
        (TimerStarted(timer_id="t1", due=START + timedelta(seconds=60)), 0),
        (SignalReceived(signal_id="x", name="a", value="v", held=True), 10),
        (TimerFired(timer_id="t1", held=True), 60),
        (Applied(fact_id="signal/x"), 100),
        (StepScheduled(step_id="s1", name="work"), 100),
        (TimerCancelled(timer_id="t1"), 100),
        (Applied(fact_id="t1"), 100),
    )
    (ended,) = execution.apply(StepCompleted(step_id="s1"), START + timedelta(seconds=200))
    assert isinstance(ended, RunCompleted)
    assert ended.result == "v"


def test_an_applied_fact_that_was_never_held():
    with pytest.raises(KeyError):
        replayed(waiting, (RunStarted(), 0), (Applied(fact_id="signal/x"), 1))


def test_a_result_that_is_held_is_not_known_where_it_was_recorded():
    @workflow
    async def dated() -> str:
        await work()
        return now().isoformat()

    execution = replayed(
        dated,
        (RunStarted(), 0),
        (StepScheduled(step_id="s1", name="work", input={}), 0),
        (StepCompleted(step_id="s1", held=True), 10),
        (Applied(fact_id="s1/1"), 100),
        (RunCompleted(result=(START + timedelta(seconds=100)).isoformat()), 100),
    )
    assert execution.ended
