"""`signal_with_start`: no signal is lost, whether a run is there, or has ended, or ends before the signal comes."""

from typing import Any

import pytest

from tests.support.crashes import Crash, CrashingWorld, once, serve, settle, take_turn
from tests.support.trouble import result, runs
from worldflow import wait_for_signal, workflow
from worldflow.runtime import sending, starting
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import FactArrived


@workflow
async def takes_one(prefix: str = "") -> str:
    return prefix + str(await wait_for_signal("item"))


@workflow
async def takes_two() -> list[Any]:
    return [await wait_for_signal("item"), await wait_for_signal("item")]


def send(world: CrashingWorld, value: object, workflow: Any = takes_one, **arguments: Any) -> bool:
    _, created = starting.signal_with_start(
        world, "r", workflow, arguments, name="item", value=value, signal_id=str(value)
    )
    return created


def results(world: CrashingWorld) -> list[object]:
    return [result(world, run_id) for run_id in sorted(runs(world), key=lambda run_id: (len(run_id), run_id))]


def test_each_of_several_that_come_at_once_has_its_run(world: CrashingWorld):
    assert [send(world, n) for n in (1, 2, 3)] == [True, False, False]
    serve(world)
    assert results(world) == ["1", "2", "3"]


def test_what_a_run_can_take_goes_to_one_run(world: CrashingWorld):
    for n in range(5):
        send(world, n, takes_two)
    settle(world)
    assert runs(world) == {"r": "completed", "r~2": "completed", "r~3": "running"}
    send(world, 5, takes_two)
    serve(world)
    assert results(world) == [[0, 1], [2, 3], [4, 5]]


def test_the_run_that_it_starts_behind_the_end_has_its_arguments(world: CrashingWorld):
    send(world, 1, prefix="first ")
    send(world, 2, prefix="second ")
    serve(world)
    assert results(world) == ["first 1", "second 2"]


def test_a_run_that_ends_between_its_start_and_its_signal(world: CrashingWorld, monkeypatch: pytest.MonkeyPatch):
    starting.start(world, "r", takes_one)
    serve(world)
    begin = starting.start

    def start_and_end(*args: Any, **kwargs: Any) -> Any:
        answer = begin(*args, **kwargs)
        sending.signal(world, "r", "item", "in between")
        serve(world)
        return answer

    monkeypatch.setattr(starting, "start", start_and_end)
    assert not send(world, "late")
    serve(world)
    assert results(world) == ["in between", "late"]


def test_a_run_that_waits_for_none_is_not_started_again_and_again(world: CrashingWorld):
    @workflow
    async def instant() -> str:
        return "done"

    send(world, 1, instant)
    serve(world, patience=50)
    assert runs(world) == {"r": "completed", "r~2": "completed"}
    assert world.load_history("r~2")[0].payload["seen"] == ["signal/1"]


def test_one_that_is_sent_twice_starts_one_run(world: CrashingWorld):
    for n in (1, 2, 2, 1):
        send(world, n)
    serve(world)
    assert results(world) == ["1", "2"]


def test_a_plain_signal_starts_nothing(world: CrashingWorld):
    send(world, 1)
    sending.signal(world, "r", "item", 2)
    serve(world)
    assert results(world) == ["1"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_while_it_starts_one(world: CrashingWorld, when: Any):
    def lived(crash: int | None) -> CrashingWorld:
        lives = CrashingWorld()
        for n in (1, 2):
            send(lives, n)
        if crash is not None:
            lives.crashes = once(crash, when)
        serve(lives)
        return lives

    whole = lived(None)
    begun = whole.calls.index("append")
    for crash in range(begun, len(whole.calls)):
        crashed = lived(crash)
        assert crashed.crashed
        assert results(crashed) == ["1", "2"], crashed.crashed
        crashed.close()
    whole.close()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", range(4))
def test_the_client_dies_and_asks_again(world: CrashingWorld, call: int, when: Any):
    send(world, 1)
    serve(world)
    world.crashes = once(len(world.calls) + call, when)
    try:
        send(world, 2)
    except Crash:
        serve(world)
        send(world, 2)
    serve(world)
    assert results(world) == ["1", "2"]


def test_a_redelivered_one_starts_no_other(world: CrashingWorld):
    send(world, 1)
    send(world, 2)
    turns = Turns(world)
    deliveries = world.receive("runs")
    messages: list[Any] = [delivery.message for delivery in deliveries]
    assert [message.fact.value for message in messages if isinstance(message, FactArrived)] == [1, 2]
    turns.take("r", messages)
    turns.take("r", messages, redo=True)
    world.acknowledge(deliveries)
    while take_turn(world, turns):
        pass
    assert results(world) == ["1", "2"]
    assert world.get_run("r~3") is None
