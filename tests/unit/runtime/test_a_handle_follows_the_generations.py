"""For those who hold a handle on it, a run stays one run: its status is that of its newest generation."""

import asyncio

import pytest

from tests.support.crashes import CrashingWorld, settle
from tests.support.trouble import shaky
from worldflow import RunFailedError, continue_as_new, wait_for_signal, workflow
from worldflow.runtime import starting
from worldflow.runtime.run_handle import RunHandle


@workflow
async def goes_on_twice(n: int = 1) -> int:
    if n == 3:
        return n
    await wait_for_signal("on")
    continue_as_new(n + 1)


@workflow
async def shaky_once_told() -> str:
    await wait_for_signal("on")
    return await shaky()


def test_while_it_continues_as_new(world: CrashingWorld):
    starting.start(world, "r", goes_on_twice)
    handle = RunHandle(world, "r")
    for _ in range(2):
        settle(world)
        assert asyncio.run(handle.status()) == "running"
        asyncio.run(handle.signal("on"))
    settle(world)
    assert asyncio.run(handle.status()) == "completed"
    assert asyncio.run(RunHandle(world, "r~2").status()) == "completed"
    assert asyncio.run(handle.result(timeout="5s")) == 3


def test_when_it_is_tried_again(world: CrashingWorld, trouble: list[str]):
    starting.start(world, "r", shaky_once_told)
    handle = RunHandle(world, "r")
    asyncio.run(handle.signal("on"))
    settle(world)
    assert asyncio.run(handle.status()) == "failed"
    with pytest.raises(RunFailedError, match="trouble"):
        asyncio.run(handle.result(timeout="5s"))
    trouble.clear()
    assert asyncio.run(handle.retry()) is handle
    settle(world)
    assert asyncio.run(handle.status()) == "completed"
    assert asyncio.run(handle.result(timeout="5s")) == "shaky"


def test_when_another_takes_its_place(world: CrashingWorld):
    starting.start(world, "r", goes_on_twice)
    settle(world)
    starting.start(world, "r", goes_on_twice, if_running="terminate_existing")
    settle(world)
    assert asyncio.run(RunHandle(world, "r").status()) == "running"
    assert world.read_run("r").status == "cancelled"
