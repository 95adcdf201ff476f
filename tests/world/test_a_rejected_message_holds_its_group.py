"""A message that could not be handled comes again before those that came after it, so that they keep their order."""

from datetime import timedelta

from tests.support.crashes import CrashingWorld
from tests.support.systems import System
from worldflow import wait_for_signal, workflow
from worldflow.engine.history import SignalReceived
from worldflow.runtime import sending, starting
from worldflow.worlds.messages import FactArrived


@workflow
async def holds_back() -> list[object]:
    return [await wait_for_signal("s"), await wait_for_signal("s")]


def values(system: System) -> list[object]:
    """The values of the signals that can be received now."""
    received = system.receive("runs")
    messages = [one.message for one in received]
    system.acknowledge(received)
    return [
        message.fact.value
        for message in messages
        if isinstance(message, FactArrived) and isinstance(message.fact, SignalReceived)
    ]


def test_one_of_the_same_run_does_not_overtake_it(system: System) -> None:
    starting.start(system.world, "r", holds_back)
    system.settle()
    sending.signal(system.world, "r", "s", 1)
    system.reject(system.receive("runs"))
    sending.signal(system.world, "r", "s", 2)
    came = values(system)
    while more := values(system):
        came += more
    assert came == [1, 2]


def test_other_runs_go_on(system: System) -> None:
    for run_id in ("r", "q"):
        starting.start(system.world, run_id, holds_back)
    system.settle()
    sending.signal(system.world, "r", "s", 1)
    rejected = system.receive("runs")
    sending.signal(system.world, "q", "s", 2)
    came = values(system)
    system.reject(rejected)
    assert came == [2]


def test_in_a_local_world_it_does_so_until_it_comes_again() -> None:
    world = CrashingWorld()
    starting.start(world, "r", holds_back)
    world.acknowledge(world.receive("runs"))
    sending.signal(world, "r", "s", 1)
    world.reject(world.receive("runs"))
    sending.signal(world, "r", "s", 2)
    starting.start(world, "q", holds_back)
    assert [delivery.message.run_id for delivery in world.receive("runs")] == ["q"]
    assert world.receive("runs") == []
    world.time += timedelta(seconds=2)
    received = [delivery.message for delivery in world.receive("runs")]
    assert [message.fact.value for message in received if isinstance(message, FactArrived)] == [1, 2]
    world.close()
