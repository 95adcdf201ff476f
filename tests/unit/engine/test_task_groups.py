import asyncio

import pytest

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import sleep, workflow


def test_a_failure_cancels_the_others(drive: Drive):
    @workflow
    async def fan_out() -> None:
        async with asyncio.TaskGroup() as group:
            for n in range(20):
                group.create_task(work(n))

    run = drive(fan_out)
    run.fail("s7", ValueError("seven"))
    assert sorted(run.decided) == sorted(["RunFailed", *(f"StepAbandoned s{n}" for n in range(1, 21) if n != 7)])
    with pytest.raises(ExceptionGroup) as caught:
        run.result()
    assert [str(error) for error in caught.value.exceptions] == ["seven"]


def test_cleanup_in_a_cancelled_task_is_waited_for(drive: Drive):
    async def reserve(n: int) -> None:
        try:
            await work(f"reserve {n}")
            await sleep("1h")
        except asyncio.CancelledError:
            await work(f"release {n}")
            raise

    @workflow
    async def order() -> str:
        status = "ordered"
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(reserve(1))
                group.create_task(reserve(2))
                group.create_task(work("check"))
        except* ValueError:
            status = "released"
        return status

    run = drive(order)
    run.complete("s1")
    run.complete("s2")
    run.fail("s3", ValueError("bad"))
    assert run.decided == ["TimerCancelled t1", "StepScheduled s4 work", "TimerCancelled t2", "StepScheduled s5 work"]
    assert [run.input_of(step_id) for step_id in ("s4", "s5")] == [{"item": "release 1"}, {"item": "release 2"}]
    run.complete("s5")
    assert not run.ended
    run.complete("s4")
    assert run.result() == "released"


def test_a_group_in_a_group(drive: Drive):
    async def inner(n: int) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(work(n))
            group.create_task(work(n + 1))

    @workflow
    async def nested() -> list[list[str]]:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(inner(10))
                group.create_task(inner(20))
        except BaseExceptionGroup as outer:
            return [[repr(error) for error in inner.exceptions] for inner in outer.exceptions]
        return []

    run = drive(nested)
    run.fail("s3", OSError("disk"))
    assert sorted(run.decided) == ["RunCompleted", "StepAbandoned s1", "StepAbandoned s2", "StepAbandoned s4"]
    assert run.result() == [["OSError('disk')"]]
