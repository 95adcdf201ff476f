"""A replay that asks for something else than the history holds is found out, and says where."""

import asyncio
import inspect

import pytest

from tests.support.driver import Drive
from tests.support.steps import NO_RETRY, work
from worldflow import NonDeterminismError, sleep, step, wait_for_signal, workflow
from worldflow.engine.workflow.definitions import Workflow


@step(retry=NO_RETRY)
async def other_work(item: int = 0) -> int:
    return item


@workflow
async def original() -> str:
    await work(1)
    await sleep(60)
    await work(2)
    return "done"


def changed(function) -> Workflow:
    return Workflow(function, "original")


def fails(run, function) -> str:
    with pytest.raises(NonDeterminismError) as caught:
        run.replay(changed(function))
    message = str(caught.value)
    assert "'run-1'" in message
    assert __file__ in message
    return message


def line_of(function, text: str) -> int:
    lines, first = inspect.getsourcelines(function)
    return first + next(n for n, line in enumerate(lines) if text in line)


def test_another_step(drive: Drive):
    async def renamed() -> str:
        await other_work(1)
        return "done"

    run = drive(original)
    message = fails(run, renamed)
    assert "event 2: the history has StepScheduled s1 work" in message
    assert "now asks for StepScheduled s1 other_work" in message
    assert f":{line_of(renamed, 'other_work(1)')}," in message


def test_another_kind(drive: Drive):
    async def napping() -> str:
        await work(1)
        await work(2)
        return "done"

    run = drive(original)
    run.complete("s1")
    message = fails(run, napping)
    assert "the history has TimerStarted t1" in message
    assert "now asks for StepScheduled s2 work" in message
    assert f":{line_of(napping, 'work(2)')}," in message


def test_something_more(drive: Drive):
    async def more() -> str:
        await asyncio.gather(work(1), other_work())
        return "done"

    run = drive(original)
    message = fails(run, more)
    assert "now asks for StepScheduled s2 other_work, but the history has no such decision at its end" in message
    run.complete("s1")
    message = fails(run, more)
    assert "the history has no such decision before event 3 (StepCompleted)" in message


def test_something_less(drive: Drive):
    async def less() -> str:
        await wait_for_signal("never")
        return "done"

    message = fails(drive(original), less)
    assert "the history has StepScheduled s1 work" in message
    assert "now asks for nothing" in message


def test_an_end_before_the_end(drive: Drive):
    async def shorter() -> str:
        await work(1)
        return "done"

    run = drive(original)
    run.complete("s1")
    message = fails(run, shorter)
    assert "the history has TimerStarted t1, but the workflow's code now asks for RunCompleted" in message


def test_another_end(drive: Drive):
    async def failing() -> str:
        await work(1)
        await sleep(60)
        await work(2)
        raise LookupError

    run = drive(original)
    run.complete("s1")
    run.fire()
    run.complete("s2")
    message = fails(run, failing)
    assert "RunCompleted" in message
    assert "RunFailed" in message


def test_code_that_reads_the_outside_world(drive: Drive):
    calls = []

    @workflow
    async def impure() -> None:
        calls.append(1)
        await (work() if len(calls) % 3 else other_work())

    with pytest.raises(NonDeterminismError, match="impure"):
        drive(impure)


def test_what_may_change_under_a_run(drive: Drive):
    """Inputs of steps, lengths of sleeps, results, and everything that is not reached yet."""

    async def better() -> str:
        await work("another input")
        await sleep(61)
        await work(2)
        await other_work()
        return "better"

    run = drive(original)
    run.complete("s1")
    run.fire()
    run.replay(changed(better)).dispose()
    run.complete("s2")
    assert "RunCompleted" in fails(run, better)


def test_the_error_of_one_run_leaves_nothing_behind(drive: Drive):
    run = drive(original)
    with pytest.raises(NonDeterminismError):
        run.replay(changed(wait_for_signal_forever))
    run.replay().dispose()


async def wait_for_signal_forever() -> None:
    await wait_for_signal("never")
