import asyncio
from collections.abc import Callable

import pytest

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import sleep, wait_for_signal, workflow
from worldflow.engine.history import RunFailed


def test_a_result(drive: Drive):
    @workflow
    async def done() -> dict[str, int]:
        return {"a": 1}

    run = drive(done)
    assert run.decided == ["RunCompleted"]
    assert run.result() == {"a": 1}


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


def test_a_step_that_was_scheduled_in_the_last_moment_stands_in_the_history(drive: Drive):
    @workflow
    async def hasty() -> str:
        asyncio.create_task(work("fire and forget"))  # noqa: RUF006
        await asyncio.sleep(0)
        return "done"

    run = drive(hasty)
    assert run.decided == ["StepScheduled s1 work", "RunCompleted"]
