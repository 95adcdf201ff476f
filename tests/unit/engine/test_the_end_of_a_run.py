import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import sleep, wait_for_signal, workflow
from worldflow.engine.history import RunFailed, SignalReceived, StepCompleted, TimerFired


def test_a_result(drive: Drive):
    @workflow
    async def done() -> dict[str, int]:
        return {"a": 1}

    run = drive(done)
    assert run.decided == ["RunCompleted"]
    assert run.result() == {"a": 1}


def test_no_result(drive: Drive):
    @workflow
    async def done() -> None:
        return None

    assert drive(done).result() is None


class Stop(BaseException):
    pass


def group(message: str) -> ExceptionGroup[KeyError]:
    return ExceptionGroup(message, [KeyError("k")])


@pytest.mark.parametrize("error", [ValueError, Stop, group])
def test_an_exception(drive: Drive, error: Callable[[str], BaseException]):
    @workflow
    async def failing() -> None:
        raise error("no")

    run = drive(failing)
    assert run.decided == ["RunFailed"]
    with pytest.raises(type(error("no")), match="no"):
        run.result()


def test_the_traceback_of_a_failed_run_is_recorded(drive: Drive):
    @workflow
    async def failing() -> None:
        raise LookupError("here")

    ended = drive(failing).state.ended
    assert isinstance(ended, RunFailed)
    assert 'raise LookupError("here")' in ended.error.traceback


def test_tasks_left_over_decide_nothing_more(drive: Drive):
    async def background() -> None:
        try:
            await work()
            await sleep("1d")
        finally:
            await work("never")

    @workflow
    async def hasty() -> str:
        tasks = [asyncio.create_task(background()) for _ in range(3)]
        await wait_for_signal("end")
        tasks[0].cancel()
        asyncio.create_task(background()).add_done_callback(tasks.remove)
        return "ended"

    run = drive(hasty)
    run.complete("s2")
    run.signal("end")
    assert run.decided == ["RunCompleted"]


def test_nothing_is_new_to_a_run_that_has_ended(drive: Drive):
    @workflow
    async def hasty() -> str:
        task = asyncio.gather(work(), sleep(10), wait_for_signal("x"))
        await wait_for_signal("end")
        return str(task.done())

    run = drive(hasty)
    run.signal("end")
    late: list[Any] = [
        StepCompleted(step_id="s1"),
        TimerFired(timer_id="t1"),
        SignalReceived(signal_id="new", name="x"),
    ]
    assert [run.state.accepts(fact) for fact in late] == [False, False, False]


def test_a_step_that_was_scheduled_in_the_last_moment_stands_in_the_history(drive: Drive):
    @workflow
    async def hasty() -> str:
        asyncio.create_task(work("fire and forget"))  # noqa: RUF006
        await asyncio.sleep(0)
        return "done"

    run = drive(hasty)
    assert run.decided == ["StepScheduled s1 work", "RunCompleted"]
