import asyncio

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import sleep, wait_for_signal, workflow
from worldflow.engine.history import TimerFired


def test_a_timer_that_nobody_waits_for_is_cancelled(drive: Drive):
    @workflow
    async def reminder() -> str:
        nap = asyncio.create_task(sleep("3d"))
        answer = await wait_for_signal("answer")
        nap.cancel()
        await work(answer)
        return answer

    run = drive(reminder)
    assert run.decided == ["TimerStarted t1"]
    run.signal("answer", "yes")
    assert sorted(run.decided) == ["StepScheduled s1 work", "TimerCancelled t1"]


def test_its_late_fact_is_not_new(drive: Drive):
    @workflow
    async def reminder() -> str:
        try:
            async with asyncio.timeout(60):
                await work()
        except TimeoutError:
            return "late"
        return await work("more")

    run = drive(reminder)
    fired = run.state.timers["t1"]
    run.complete("s1")
    assert not run.state.accepts(TimerFired(timer_id=fired.timer_id))


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


def test_cancelled_and_started_again_it_has_another_id(drive: Drive):
    @workflow
    async def heartbeats() -> int:
        beats = 0
        try:
            while True:
                async with asyncio.timeout(30):
                    await wait_for_signal("beat")
                beats += 1
        except TimeoutError:
            return beats

    run = drive(heartbeats)
    for n in range(1, 4):
        run.signal("beat")
        assert run.decided == [f"TimerCancelled t{n}", f"TimerStarted t{n + 1}"]
    run.fire()
    assert run.result() == 3


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
