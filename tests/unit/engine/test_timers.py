"""Timeouts, and the timers behind them: started where somebody waits, and cancelled where nobody does."""

import asyncio
import math

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


def test_started_and_cancelled_at_once_it_leaves_no_trace(drive: Drive):
    @workflow
    async def quick() -> str:
        await work()
        async with asyncio.timeout(60):
            value = await wait_for_signal("already-here")
        async with asyncio.timeout(60):
            return value + await work()

    run = drive(quick)
    run.signal("already-here", "a")
    run.complete("s1")
    assert run.decided == ["TimerStarted t2", "StepScheduled s2 work"]
    run.complete("s2", "b")
    assert run.decided == ["TimerCancelled t2", "RunCompleted"]
    assert not any("t1" in line for line in run.all_decided)


def test_a_handle_cancelled_twice_is_one_decision(drive: Drive):
    @workflow
    async def handles() -> str:
        handle = asyncio.get_running_loop().call_later(60, print)
        await work()
        handle.cancel()
        handle.cancel()
        return "done"

    run = drive(handles)
    run.complete("s1")
    assert run.decided == ["TimerCancelled t1", "RunCompleted"]


def test_a_handle_cancelled_after_it_fired_is_none(drive: Drive):
    @workflow
    async def handles() -> str:
        seen = []
        handle = asyncio.get_running_loop().call_later(60, seen.append, 1)
        await work()
        handle.cancel()
        return str(seen)

    run = drive(handles)
    run.fire()
    run.complete("s1")
    assert run.decided == ["RunCompleted"]
    assert run.result() == "[1]"


def test_a_timeout_that_never_comes(drive: Drive):
    @workflow
    async def patient() -> str:
        async with asyncio.timeout(math.inf):
            return await wait_for_signal("approval", str)

    run = drive(patient)
    assert run.decided == []
    run.signal("approval", "yes")
    assert run.result() == "yes"
    assert run.all_decided == ["RunCompleted"]


def test_a_wait_for_without_end(drive: Drive):
    @workflow
    async def patient() -> str:
        done, pending = await asyncio.wait([asyncio.create_task(work())], timeout=math.inf)
        return await asyncio.wait_for(work(), math.inf) + f"{len(done)} {len(pending)}"

    run = drive(patient)
    run.complete("s1", "")
    run.complete("s2", "done: ")
    assert run.result() == "done: 1 0"


def test_a_timeout_that_is_set_after_all(drive: Drive):
    @workflow
    async def patient() -> str:
        try:
            async with asyncio.timeout(math.inf) as limit:
                await wait_for_signal("hurry")
                limit.reschedule(asyncio.get_running_loop().time() + 5)
                await wait_for_signal("never")
        except TimeoutError:
            return "late"
        return "in time"

    run = drive(patient)
    run.signal("hurry")
    run.fire()
    assert run.result() == "late"
