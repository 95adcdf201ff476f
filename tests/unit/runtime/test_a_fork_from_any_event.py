"""A run with something of everything is forked from each of its events, and each fork comes to the end that it did."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest

from tests.support.crashes import CrashingWorld, serve, settle
from tests.support.trouble import charge, result, shaky, slow_child
from worldflow import (
    create_hook,
    on_update,
    publish,
    set_attributes,
    sleep,
    uuid4,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import Applied, Fact
from worldflow.engine.workflow.execution import Execution
from worldflow.runtime import sending, starting, updates
from worldflow.turns.turns import Turns
from worldflow.turns.webhook_tokens import WebhooksOf


@workflow
async def small_part() -> str:
    return await shaky()


@workflow(timeout="3d")
async def of_everything() -> list[Any]:
    set_attributes(stage="begun")
    got: list[Any] = []
    publish("got", lambda: got)

    @on_update("add")
    async def add(value: int) -> str:
        got.append(value)
        return await charge()

    before = str(uuid4())
    with create_hook():
        try:
            async with asyncio.timeout(3600):
                got.append(await wait_for_signal("s"))
        except TimeoutError:
            got.append("late")
        got += await asyncio.gather(charge(), small_part(), slow_child())
    assert str(uuid4()) != before
    await sleep("1h")
    return [*got, await shaky()]


def whole(world: CrashingWorld) -> int:
    """The last event that the run `r`, which is made here, can be forked from."""
    starting.start(world, "r", of_everything)
    settle(world)
    updates.send_update(world, "r", "add", (1,))
    sending.signal(world, "r", "s", "in time")
    serve(world)
    assert result(world, "r") == [1, "in time", "charge", "shaky", "delivered", "shaky"]
    return max(event.seq for event in world.load_history("r") if isinstance(event, (Fact, Applied))) - 1


@pytest.mark.parametrize("live_limit", [0, 200])
def test_it_goes_on(world: CrashingWorld, trouble: list[str], live_limit: int):
    trouble.clear()
    forks: list[str] = []
    for after in range(1, whole(world) + 1):
        fork = f"f{after}"
        starting.fork(world, "r", fork, after=after)
        forks.append(fork)
        settle(world, Turns(world, live_limit=live_limit, chance=random.Random(after)))
        world.time += timedelta(hours=2)
        if world.read_run(fork).status == "running":
            starting.fork(world, fork, f"{fork}-again", after=after)
            forks.append(f"{fork}-again")
            settle(world, Turns(world, live_limit=live_limit, chance=random.Random(-after - 1)))
        serve(world, live_limit=live_limit)
    assert len(forks) > 20
    for fork in forks:
        assert result(world, fork)[-4:] == ["charge", "shaky", "delivered", "shaky"]  # type: ignore[index]
        execution = Execution(fork, of_everything, webhooks=WebhooksOf(world))
        execution.replay(world.load_history(fork))
        execution.dispose()
