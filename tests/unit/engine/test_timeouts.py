import asyncio

import pytest

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import now, sleep, wait_for_signal, workflow


def test_in_time(drive: Drive):
    @workflow
    async def patient() -> str:
        async with asyncio.timeout(60):
            return await work()

    run = drive(patient)
    assert run.decided == ["TimerStarted t1", "StepScheduled s1 work"]
    run.complete("s1", "done")
    assert run.decided == ["TimerCancelled t1", "RunCompleted"]


def test_too_late(drive: Drive):
    @workflow
    async def impatient() -> str:
        try:
            async with asyncio.timeout(60):
                return await work()
        except TimeoutError:
            return "too late"

    run = drive(impatient)
    run.fire()
    assert run.decided == ["StepAbandoned s1", "RunCompleted"]
    assert run.result() == "too late"


def test_a_timeout_that_nobody_catches_fails_the_run(drive: Drive):
    @workflow
    async def impatient() -> None:
        async with asyncio.timeout(60):
            await wait_for_signal("never")

    run = drive(impatient)
    run.fire()
    with pytest.raises(TimeoutError):
        run.result()


def test_nested_timeouts(drive: Drive):
    @workflow
    async def nested() -> list[str]:
        seen = []
        try:
            async with asyncio.timeout(100):
                try:
                    async with asyncio.timeout(10):
                        await work(1)
                except TimeoutError:
                    seen.append("inner")
                await work(2)
        except TimeoutError:
            seen.append("outer")
        return seen

    run = drive(nested)
    run.advance(10)
    assert run.decided == ["StepAbandoned s1", "StepScheduled s2 work"]
    run.advance(90)
    assert run.result() == ["inner", "outer"]


def test_rescheduled(drive: Drive):
    @workflow
    async def extended() -> float:
        started = now()
        try:
            async with asyncio.timeout(10) as limit:
                await wait_for_signal("more-time")
                limit.reschedule(asyncio.get_running_loop().time() + 60)
                await wait_for_signal("never")
        except TimeoutError:
            pass
        return (now() - started).total_seconds()

    run = drive(extended)
    run.advance(5)
    run.signal("more-time")
    assert run.decided == ["TimerCancelled t1", "TimerStarted t2"]
    run.fire()
    assert run.result() == 65


def test_a_timeout_of_zero(drive: Drive):
    @workflow
    async def no_time() -> str:
        try:
            async with asyncio.timeout(0):
                await work()
        except TimeoutError:
            return "at once"
        return "never"

    run = drive(no_time)
    assert run.result() == "at once"


def test_no_limit_starts_no_timer(drive: Drive):
    @workflow
    async def unlimited() -> str:
        async with asyncio.timeout(None):
            return await work()

    assert drive(unlimited).decided == ["StepScheduled s1 work"]


def test_wait_for_in_time(drive: Drive):
    @workflow
    async def patient() -> str:
        return await asyncio.wait_for(work(), 60)

    run = drive(patient)
    assert sorted(run.decided) == ["StepScheduled s1 work", "TimerStarted t1"]
    run.complete("s1", "done")
    assert run.result() == "done"
    assert "TimerCancelled t1" in run.decided


def test_wait_for_too_late(drive: Drive):
    @workflow
    async def impatient() -> str:
        try:
            return await asyncio.wait_for(work(), 60)
        except TimeoutError:
            return await work("instead")

    run = drive(impatient)
    run.fire()
    assert run.decided == ["StepAbandoned s1", "StepScheduled s2 work"]
    run.complete("s2", "plan b")
    assert run.result() == "plan b"


def test_the_step_ends_at_the_moment_of_the_timeout(drive: Drive):
    @workflow
    async def close_call() -> str:
        try:
            async with asyncio.timeout(10):
                return await work()
        except TimeoutError:
            return "too late"

    run = drive(close_call)
    run.clock = run.state.timers["t1"].due
    run.complete("s1", "just in time")
    assert run.result() == "just in time"


def test_an_error_in_the_body_cancels_the_timer(drive: Drive):
    @workflow
    async def broken() -> None:
        async with asyncio.timeout(10):
            await sleep(1)
            raise LookupError

    run = drive(broken)
    run.fire("t2")
    assert run.decided == ["TimerCancelled t1", "RunFailed"]
