import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from worldflow import sleep, workflow
from worldflow.engine.history import TimerFired
from worldflow.runtime import starting
from worldflow.turns.turns import Turns
from worldflow.worlds import LocalWorld
from worldflow.worlds.messages import FactArrived, Start

pytestmark = pytest.mark.time_of_day


def test_a_timeout_that_is_delivered_before_an_earlier_sleep_comes_after_it():
    @workflow
    async def race() -> str:
        try:
            async with asyncio.timeout(20):
                await sleep(10)
        except TimeoutError:
            return "too late"
        return "in time"

    now = datetime(2026, 1, 1, tzinfo=UTC)
    world = LocalWorld(clock=lambda: now)
    turns = Turns(world)
    starting.start(world, "r", race)
    turns.take("r", [Start(run_id="r")])
    now += timedelta(minutes=1)  # a backlog: both are due, and the queue gives the later one first
    turns.take("r", [FactArrived(run_id="r", fact=TimerFired(timer_id="t1"))])
    assert world.read_run("r").result == "in time"
    world.close()
