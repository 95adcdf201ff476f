"""The wake of an at-most-once attempt comes to a process that is behind the history: nothing has begun it yet."""

from datetime import timedelta

import pytest

from tests.support.crashes import CrashingWorld, take_turn
from tests.support.trouble import ran
from worldflow import RetryPolicy, step, wait_for_signal, workflow
from worldflow.runtime import sending, starting
from worldflow.turns.turns import Turns


@step(inline=True, guarantee="at_most_once", retry=RetryPolicy(max_attempts=2, initial_interval="10s", jitter=0))
async def pays_once() -> str:
    ran.append("pay")
    if len(ran) == 1:
        raise OSError("no")
    return "paid"


@workflow
async def pays_when_told() -> str:
    paid = pays_once()
    task = wait_for_signal("go")
    result = await paid
    await task
    return result


@pytest.mark.parametrize("stale", [True, False])
def test_it_runs(world: CrashingWorld, trouble: list[str], stale: bool):
    first, second = Turns(world), Turns(world)
    starting.start(world, "r", pays_when_told)
    take_turn(world, first)
    sending.signal(world, "r", "go")
    take_turn(world, second if stale else first)
    world.time += timedelta(seconds=11)
    while take_turn(world, first):
        pass
    assert ran == ["pay", "pay"]
    assert world.read_run("r").result == "paid"
    first.close()
    second.close()
