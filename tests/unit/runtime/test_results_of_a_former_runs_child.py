"""A child that outlives its parent tells no later run of that id, though it has a child of the same number."""

import asyncio
from datetime import timedelta

import pytest

from tests.support.crashes import CrashingWorld, serve, settle
from tests.support.trouble import result
from worldflow import sleep, workflow
from worldflow.runtime import requests


@workflow
async def says_it_in_an_hour(what: str) -> str:
    await sleep("1h")
    return what


@workflow
async def leaves_or_waits(what: str, leave: bool) -> str:
    task = asyncio.create_task(says_it_in_an_hour.options(parent_close="abandon")(what))
    await asyncio.sleep(0)
    return "left" if leave else await task


@pytest.mark.parametrize("replaced", [True, False])
def test_each_hears_of_its_own(world: CrashingWorld, replaced: bool):
    requests.start(world, "r", leaves_or_waits, {"what": "old", "leave": not replaced})
    settle(world)
    world.time += timedelta(minutes=30)
    requests.start(
        world,
        "r",
        leaves_or_waits,
        {"what": "new", "leave": False},
        if_running="terminate_existing",
        reuse="allow",
    )
    serve(world)
    assert result(world, "r~2") == "new"
    assert [result(world, run_id) for run_id in ("r~c1", "r~2~c1")] == ["old", "new"]
