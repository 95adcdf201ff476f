"""The process dies anywhere while one run signals and cancels another: each message arrives once."""

import pytest

from tests.support.crashes import (
    Crashes,
    CrashingWorld,
    When,
    die_at_each_call,
    die_often,
    persist,
    serve,
    settle,
    whole_history,
)
from worldflow import cancel_run, signal_run, wait_for_signal, workflow
from worldflow.engine.history import CancelRequested, SignalReceived
from worldflow.runtime import starting

pytestmark = pytest.mark.usefixtures("quiet")


@workflow
async def hears_until_cancelled() -> None:
    async for _ in wait_for_signal("word"):
        pass


@workflow
async def tells_and_stops(other: str) -> str:
    await signal_run(other, "word", 1)
    await signal_run(other, "word", 1)
    await cancel_run(other, "all is said")
    return "said"


def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
    world = CrashingWorld(crashes)
    persist(lambda: starting.start(world, "hearer", hears_until_cancelled))
    persist(lambda: starting.start(world, "teller", tells_and_stops, {"other": "hearer"}))
    serve(world, live_limit=live_limit)
    return world


def check(world: CrashingWorld) -> None:
    teller, hearer = world.read_run("teller"), world.read_run("hearer")
    assert (teller.result, hearer.status, hearer.reason) == ("said", "cancelled", "all is said"), world.crashed
    whole_history(world, "teller", tells_and_stops)
    heard = whole_history(world, "hearer", hears_until_cancelled)
    ids = [event.signal_id for event in heard if isinstance(event, SignalReceived)]
    assert ids == ["teller/s1", "teller/s2"], world.crashed
    assert sum(isinstance(event, CancelRequested) for event in heard) == 1


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_once(when: When):
    die_at_each_call(lived, check, when)


@pytest.mark.parametrize("seed", range(4))
def test_the_process_dies_many_times(seed: int):
    die_often(lived, check, seed)


def test_each_message_costs_a_read_and_two_writes_of_its_own():
    """To the run that sends: the message, and the commit of the step."""
    world = CrashingWorld()
    starting.start(world, "hearer", hears_until_cancelled)
    settle(world)
    starting.start(world, "teller", tells_and_stops, {"other": "hearer"})
    before = len(world.calls)
    settle(world)
    assert world.calls[before:].count("send") == 3
    world.close()
