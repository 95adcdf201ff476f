"""An approximate limit is made of groups of the queue: no more run than it has places, and it writes nothing."""

from __future__ import annotations

import asyncio

from tests.support.crashes import CrashingWorld, serve, take_turn
from worldflow import Limit, step, workflow
from worldflow.runtime import starting
from worldflow.runtime.limits import list_limits
from worldflow.turns.turns import Turns


@step(limit=Limit("rink", concurrency=2, approximate=True))
async def skate_on_the_rink(number: int) -> int:
    return number


@workflow
async def skate_all_on_the_rink(count: int) -> list[int]:
    return list(await asyncio.gather(*map(skate_on_the_rink, range(count))))


def test_no_more_tasks_are_received_at_a_time_than_it_has_places(world: CrashingWorld, turns: Turns) -> None:
    starting.start(world, "rink-1", skate_all_on_the_rink, {"count": 9})
    take_turn(world, turns)

    under_way = world.receive("steps", 9)
    assert len(under_way) == 2

    world.recover()  # the process that had them died
    serve(world)
    record = world.get_run("rink-1")
    assert record and record.result == list(range(9))
    assert list_limits(world) == []
