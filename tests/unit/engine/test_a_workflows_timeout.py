"""`@workflow(timeout=...)` is `asyncio.timeout` around all of the workflow."""

import asyncio
from datetime import timedelta

import pytest

from tests.support.driver import START, Drive
from tests.support.steps import work
from worldflow import continue_as_new, sleep, workflow
from worldflow.engine.history import TimerStarted


@workflow(timeout="1h")
async def long_work() -> str:
    return str(await work())


def test_it_is_a_timer_that_begins_with_the_run(drive: Drive):
    run = drive(long_work)
    assert run.decisions[0] == TimerStarted(timer_id="t1", due=START + timedelta(hours=1))


def test_in_time_it_leaves_nothing_behind(drive: Drive):
    run = drive(long_work)
    run.complete(work, "done")
    assert run.decided == ["TimerCancelled t1", "RunCompleted"]
    assert run.result() == "done"


def test_too_late_the_workflow_fails_of_it(drive: Drive):
    run = drive(long_work)
    run.fire()
    assert run.decided == ["StepAbandoned s1", "RunFailed"]
    with pytest.raises(TimeoutError):
        run.result()


def test_the_workflow_may_clean_up_and_still_fails(drive: Drive):
    @workflow(timeout="1h")
    async def careful() -> str:
        try:
            await sleep("2h")
        finally:
            await work("undo")
        return "never"

    run = drive(careful)
    run.fire("t1")
    run.complete(work)
    with pytest.raises(TimeoutError):
        run.result()


def test_a_workflow_that_catches_it_may_still_return(drive: Drive):
    @workflow(timeout="1h")
    async def stubborn() -> str:
        try:
            await sleep("2h")
        except asyncio.CancelledError:
            return "on my own terms"
        return "never"

    run = drive(stubborn)
    run.fire("t1")
    assert run.ended


def test_a_cancellation_is_no_timeout(drive: Drive):
    run = drive(long_work)
    run.cancel()
    assert run.decided == ["StepAbandoned s1", "TimerCancelled t1", "RunCancelled"]


def test_a_timeout_inside_is_told_apart(drive: Drive):
    @workflow(timeout="1h")
    async def nested() -> str:
        try:
            async with asyncio.timeout(60):
                await sleep("2h")
        except TimeoutError:
            return "inner"
        return "never"

    run = drive(nested)
    run.advance("2m")
    assert run.result() == "inner"


def test_the_time_of_the_start_holds_when_the_code_has_another(drive: Drive):
    run = drive(long_work)
    original = long_work.timeout
    try:
        for other in (None, 5.0, 1e6):
            long_work.timeout = other
            run.replay().dispose()
    finally:
        long_work.timeout = original


def test_each_generation_has_its_own_time(drive: Drive):
    @workflow(timeout="1h")
    async def anew(n: int) -> None:
        await sleep("50m")
        continue_as_new(n + 1)

    run = drive(anew, 1)
    run.advance("50m")
    assert run.decided == ["TimerCancelled t1", "RunContinued"]
    run = run.next_generation()
    run.advance("50m")
    assert run.decided == ["TimerCancelled t1", "RunContinued"]
