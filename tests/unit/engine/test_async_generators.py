"""An async generator that is left early comes to its end, as it does in asyncio."""

from collections.abc import AsyncIterator

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import sleep, workflow


async def numbers() -> AsyncIterator[int]:
    try:
        yield 1
        yield 2
    finally:
        await work("closed")


def test_its_finally_may_call_steps(drive: Drive):
    @workflow
    async def breaks_off() -> int:
        first = 0
        async for number in numbers():
            first = number
            break
        await sleep(5)
        return first

    run = drive(breaks_off)
    assert run.all_decided == ["TimerStarted t1", "StepScheduled s1 work"]
    run.complete(work)
    run.fire()
    assert run.result() == 1


def test_one_that_is_open_at_the_end_decides_nothing(drive: Drive):
    @workflow
    async def ends() -> int:
        async for number in numbers():
            return number
        return 0

    assert drive(ends).all_decided == ["RunCompleted"]
