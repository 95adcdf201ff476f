"""A child whose await is cancelled in the commit that ends its parent is cancelled, whatever `parent_close` says."""

import asyncio

import pytest

from tests.support.crashes import CrashingWorld, serve, settle
from tests.support.trouble import ran, runs, slow_child
from worldflow import sleep, wait_for_signal, workflow
from worldflow.engine.history import ChildCancelRequested
from worldflow.runtime import sending, starting


@workflow
async def waits_an_hour_and_ends() -> str:
    try:
        async with asyncio.timeout(3600):
            return await slow_child.options(parent_close="abandon")()
    except TimeoutError:
        return "late"


@workflow
async def waits_an_hour_and_goes_on() -> str:
    try:
        async with asyncio.timeout(3600):
            return await slow_child.options(parent_close="abandon")()
    except TimeoutError:
        await sleep("1s")
        return "late"


@workflow
async def starts_and_cancels_it() -> str:
    task = asyncio.create_task(slow_child.options(parent_close="abandon")())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return "late"


@workflow
async def only_waits() -> str:
    return await slow_child.options(parent_close="abandon")()


@workflow
async def leaves_it_running() -> str:
    task = asyncio.create_task(slow_child.options(parent_close="abandon")())
    await wait_for_signal("go")
    assert not task.done()
    return "left"


@pytest.mark.parametrize("workflow", [waits_an_hour_and_ends, waits_an_hour_and_goes_on])
def test_it_is_cancelled(world: CrashingWorld, trouble: list[str], workflow):
    starting.start(world, "r", workflow)
    serve(world)
    assert runs(world) == {"r": "completed", "r~c1": "cancelled"}
    assert world.read_run("r").result == "late"
    assert ran == []


def test_one_that_was_not_begun_is_not(world: CrashingWorld, trouble: list[str]):
    starting.start(world, "r", starts_and_cancels_it)
    serve(world)
    assert runs(world) == {"r": "completed"}


def test_it_is_cancelled_with_its_parent(world: CrashingWorld, trouble: list[str]):
    starting.start(world, "r", only_waits)
    settle(world)
    sending.cancel(world, "r")
    serve(world)
    assert any(isinstance(event, ChildCancelRequested) for event in world.load_history("r"))
    assert runs(world) == {"r": "cancelled", "r~c1": "cancelled"}


def test_one_that_nobody_cancelled_outlives_its_parent(world: CrashingWorld, trouble: list[str]):
    starting.start(world, "r", leaves_it_running)
    settle(world)
    sending.signal(world, "r", "go")
    serve(world)
    assert runs(world) == {"r": "completed", "r~c1": "completed"}
    assert ran == ["slow child"]


def test_after_a_crash_too(world: CrashingWorld, trouble: list[str]):
    starting.start(world, "r", waits_an_hour_and_ends)
    settle(world)
    calls = len(world.calls)
    serve(world)
    for call in range(calls, len(world.calls)):
        for when in ("before", "after"):
            crashing = CrashingWorld(lambda number, moment, at=(call, when): (number, moment) == at)
            starting.start(crashing, "r", waits_an_hour_and_ends)
            serve(crashing)
            assert runs(crashing) == {"r": "completed", "r~c1": "cancelled"}, crashing.crashed
            crashing.close()
