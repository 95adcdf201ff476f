"""A run that is asked to end sees `asyncio.CancelledError` where it waits."""

import asyncio

import pytest

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import sleep, wait_for_signal, workflow
from worldflow.engine.history import CancelRequested, RunCancelled


def test_a_run_that_waits_ends(drive: Drive):
    @workflow
    async def waiting() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            group.create_task(sleep("1d"))
            group.create_task(wait_for_signal("never"))

    run = drive(waiting)
    run.cancel("no longer wanted")
    assert sorted(run.decided) == ["RunCancelled", "StepAbandoned s1", "TimerCancelled t1"]
    assert isinstance(run.state.ended, RunCancelled)
    assert run.state.ended.reason == "no longer wanted"
    with pytest.raises(asyncio.CancelledError):
        run.result()


def test_it_may_clean_up_with_steps_first(drive: Drive):
    @workflow
    async def tidy() -> None:
        await work("reserve")
        try:
            await work("charge")
        finally:
            await sleep(10)
            await work("release")

    run = drive(tidy)
    run.complete("s1")
    run.cancel()
    assert run.decided == ["StepAbandoned s2", "TimerStarted t1"]
    run.fire()
    run.complete("s3")
    assert run.decided == ["RunCancelled"]


def test_an_error_while_cleaning_up_fails_the_run(drive: Drive):
    @workflow
    async def untidy() -> None:
        try:
            await sleep(10)
        finally:
            await work("release")

    run = drive(untidy)
    run.cancel()
    run.fail("s1", ValueError("stuck"))
    with pytest.raises(ValueError, match="stuck"):
        run.result()


def test_it_may_go_on_regardless(drive: Drive):
    @workflow
    async def stubborn() -> str:
        try:
            await work()
        except asyncio.CancelledError:
            return "finished: " + await work()
        return ""

    run = drive(stubborn)
    run.cancel()
    run.complete("s2", "anyway")
    assert run.result() == "finished: anyway"


def test_asking_twice_is_asking_once(drive: Drive):
    @workflow
    async def slow() -> None:
        try:
            await work()
        finally:
            await work()

    run = drive(slow)
    run.cancel("first")
    assert not run.state.accepts(CancelRequested(reason="second"))
    run.complete("s2")
    assert isinstance(run.state.ended, RunCancelled)
    assert run.state.ended.reason == "first"


def test_a_step_that_is_shielded_is_not_abandoned(drive: Drive):
    @workflow
    async def careful() -> str:
        task = asyncio.ensure_future(work())
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            return "completed: " + await task
        return ""

    run = drive(careful)
    run.cancel()
    assert run.decided == []
    run.complete("s1", "ok")
    assert run.result() == "completed: ok"


def test_a_cancelled_error_of_the_workflow_s_own_making(drive: Drive):
    @workflow
    async def giving_up() -> None:
        await work()
        raise asyncio.CancelledError

    run = drive(giving_up)
    run.complete("s1")
    assert run.decided == ["RunCancelled"]


def test_at_the_moment_of_a_timeout_both_count(drive: Drive):
    @workflow
    async def impatient() -> str:
        try:
            async with asyncio.timeout(10):
                try:
                    await work()
                finally:
                    await work("clean up")
        except TimeoutError:
            return "timeout"
        return ""

    run = drive(impatient)
    run.fire()
    run.cancel()
    assert run.decided == ["StepAbandoned s2", "RunCancelled"]


def test_a_run_that_was_cancelled_before_it_waited_for_anything(drive: Drive):
    @workflow
    async def quick() -> str:
        return "done"

    run = drive(quick)
    assert not run.state.accepts(CancelRequested())
    assert run.result() == "done"
