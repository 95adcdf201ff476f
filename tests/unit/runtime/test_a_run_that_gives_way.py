"""`terminate_existing`: a new run takes the place of one that goes on, whatever happens in between."""

import pytest

from tests.support.crashes import Crash, CrashingWorld, once, serve, settle
from tests.support.trouble import result, runs
from worldflow import wait_for_signal, workflow
from worldflow.runtime import sending, starting
from worldflow.worlds import items
from worldflow.worlds.messages import FactArrived
from worldflow.worlds.records import RunRecord


@workflow
async def gives_way(n: int = 0) -> list[object]:
    return [n, await wait_for_signal("s")]


def replace(world: CrashingWorld, n: int) -> None:
    starting.start(world, "r", gives_way, {"n": n}, if_running="terminate_existing")


def test_its_successor_exists_before_it_is_told_to_end(world: CrashingWorld, monkeypatch: pytest.MonkeyPatch):
    starting.start(world, "r", gives_way)
    settle(world)
    existed: list[RunRecord | None] = []

    def send(messages):
        existed.extend(world.get_run("r~2") for message in messages if isinstance(message, FactArrived))

    monkeypatch.setattr(world, "send", send)
    replace(world, 1)
    (record,) = existed
    assert record
    assert not record.ended
    assert items.get_generation(world, "r") == 2


def test_a_signal_behind_the_terminate_is_for_its_successor(world: CrashingWorld, monkeypatch: pytest.MonkeyPatch):
    starting.start(world, "r", gives_way)
    settle(world)
    send = world.send

    def send_and_signal(messages):
        send(messages)
        if any(isinstance(message, FactArrived) and message.run_id == "r" for message in messages):
            monkeypatch.setattr(world, "send", send)
            sending.signal(world, "r", "s", "behind")
            serve(world)  # before its successor is told to start

    monkeypatch.setattr(world, "send", send_and_signal)
    replace(world, 1)
    serve(world)
    assert world.read_run("r").status == "cancelled"
    assert result(world, "r~2") == [1, "behind"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", range(5))
def test_a_client_that_dies_asks_again(world: CrashingWorld, call: int, when):
    starting.start(world, "r", gives_way)
    serve(world)
    world.crashes = once(len(world.calls) + call, when)
    try:
        replace(world, 1)
    except Crash:
        serve(world)
        replace(world, 1)
    serve(world)
    *before, newest = sorted(runs(world))
    assert [world.read_run(run_id).status for run_id in before] == ["cancelled"] * len(before)
    assert before
    sending.signal(world, "r", "s", "here")
    serve(world)
    assert result(world, newest) == [1, "here"]


def test_each_that_is_asked_for_takes_the_place_of_the_one_before(world: CrashingWorld):
    starting.start(world, "r", gives_way)
    for n in (1, 2, 3):
        replace(world, n)
    serve(world)
    assert runs(world) == {"r": "cancelled", "r~2": "cancelled", "r~3": "cancelled", "r~4": "running"}
    sending.signal(world, "r", "s", "here")
    serve(world)
    assert result(world, "r~4") == [3, "here"]
