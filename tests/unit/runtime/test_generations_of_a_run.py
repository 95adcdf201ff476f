"""Runs that follow each other under one id: what comes for one that has ended goes to the one that follows."""

import asyncio
from typing import Any
from unittest import mock

import pytest

from tests.support.crashes import CrashingWorld, serve
from tests.support.office import Office
from tests.support.steps import work
from worldflow import (
    RunEndedError,
    continue_as_new,
    on_update,
    sleep,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import CancelRequested, SignalReceived, TerminateRequested
from worldflow.runtime import sending, starting, updates
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import FactArrived, Poke

pytestmark = pytest.mark.usefixtures("quiet")


@workflow
async def each_in_turn(n: int = 1, got: list[Any] | None = None) -> list[Any]:
    got = [*(got or []), await wait_for_signal("s")]
    if len(got) == 4:
        return got
    continue_as_new(n + 1, got)


def sent(signal_id: object) -> SignalReceived:
    return SignalReceived(signal_id=f"{signal_id}", name="s", value=signal_id)


def status(world: CrashingWorld, run_id: str) -> str:
    return world.read_run(run_id).status


def result(world: CrashingWorld, run_id: str) -> Any:
    return world.read_run(run_id).result


def test_what_comes_in_the_batch_that_ends_it_is_sent_on_in_order(world: CrashingWorld, turns: Turns):
    office = Office(world, each_in_turn)
    turns.take("run-1", [office.start(), *(office.fact(sent(n)) for n in range(4))])
    assert office.kinds() == ["start @run-1~2", *(f"fact signal/{n} @run-1~2" for n in (1, 2, 3))]
    serve(world)
    assert result(world, "run-1~4") == [0, 1, 2, 3]


def test_what_comes_before_the_next_exists_creates_it(
    world: CrashingWorld, turns: Turns, monkeypatch: pytest.MonkeyPatch
):
    """The turn that was to create it has died each time, and its messages are dead letters by now."""
    office = Office(world, each_in_turn)
    with monkeypatch.context() as broken, pytest.raises(ConnectionError):
        broken.setattr(world, "create_run", mock.Mock(side_effect=ConnectionError))
        turns.take("run-1", [office.start(), office.fact(sent(0))])
    assert office.kinds() == []
    turns.take("run-1", [office.fact(sent(1)), office.fact(sent(2))])
    assert office.kinds() == ["start @run-1~2", "fact signal/1 @run-1~2", "fact signal/2 @run-1~2"]
    turns.take("run-1~2", [office.fact(sent(1))])
    assert result(world, "run-1~2") is None
    assert status(world, "run-1~2") == "continued"


def test_what_it_received_itself_is_not_sent_on(world: CrashingWorld, turns: Turns):
    office = Office(world, each_in_turn)
    turns.take("run-1", [office.start(), office.fact(sent(0))])
    office.taken()
    turns.take("run-1", [office.fact(sent(0))])
    assert office.kinds() == []
    turns.take("run-1", [office.fact(sent(0))], redo=True)
    assert office.kinds() == ["start @run-1~2"]


@pytest.mark.parametrize(
    ("fact", "kind"),
    [(CancelRequested(reason="r"), "fact cancel"), (TerminateRequested(reason="r"), "fact terminate")],
)
@pytest.mark.parametrize("together", [True, False])
def test_a_request_to_end_is_sent_on(world: CrashingWorld, turns: Turns, fact: Any, kind: str, together: bool):
    office = Office(world, each_in_turn)
    first, second = [office.start(), office.fact(sent(0))], [office.fact(fact)]
    for batch in [first + second] if together else [first, second]:
        turns.take("run-1", batch)
    assert office.kinds()[-1] == f"{kind} @run-1~2"
    serve(world)
    assert status(world, "run-1~2") == "cancelled"
    assert world.read_run("run-1~2").reason == "r"


def test_it_is_sent_on_generation_after_generation(world: CrashingWorld, turns: Turns):
    office = Office(world, each_in_turn)
    turns.take("run-1", [office.start(), office.fact(sent(0))])
    turns.take("run-1~2", [FactArrived(run_id="run-1~2", fact=sent(1))])
    turns.take("run-1~3", [FactArrived(run_id="run-1~3", fact=sent(2))])
    turns.take("run-1", [office.fact(sent(3))])
    serve(world)
    assert result(world, "run-1~4") == [0, 1, 2, 3]


def test_answers_are_not_sent_on(world: CrashingWorld, turns: Turns):
    """A step of one generation means nothing to the next, though it has the same id."""

    @workflow
    async def leaving(n: int = 1) -> None:
        if n == 1:
            task = asyncio.ensure_future(work())
            await wait_for_signal("s")
            continue_as_new(n + len([task]))
        await work()
        await sleep("1d")

    office = Office(world, leaving)
    turns.take("run-1", [office.start(), office.fact(sent(0))])
    office.taken()
    turns.take("run-1", [office.done("s1", "old")])
    assert office.kinds() == []


def test_a_redo_of_the_end_starts_the_next_again(world: CrashingWorld, turns: Turns):
    office = Office(world, each_in_turn)
    turns.take("run-1", [office.start(), office.fact(sent(0))])
    office.taken()
    turns.take("run-1", [Poke(run_id="run-1")])
    assert office.kinds() == ["start @run-1~2"]
    assert world.read_run("run-1").next_run_id == "run-1~2"


def test_requests_go_to_the_newest(world: CrashingWorld):
    starting.start(world, "run-1", each_in_turn)
    for n in range(3):
        sending.signal(world, "run-1", "s", n, signal_id=f"{n}")
        serve(world)
    assert status(world, "run-1~4") == "running"
    sending.cancel(world, "run-1~2")
    serve(world)
    assert status(world, "run-1~4") == "cancelled"
    with pytest.raises(RunEndedError):
        sending.signal(world, "run-1", "s", 5)


def test_an_update_that_was_answered_before_is_answered_again(world: CrashingWorld):
    @workflow
    async def answering(n: int = 1) -> None:
        on_update("add")(lambda value: value + n)
        await wait_for_signal("s")
        continue_as_new(n + 1)

    starting.start(world, "run-1", answering)
    first = updates.send_update(world, "run-1", "add", (1,), update_id="u")
    serve(world)
    for n in range(3):
        again = updates.send_update(world, "run-1", "add", (1,), update_id="u")
        serve(world)
        for update in (first, again):
            reply = updates.look_for_answer(world, update)
            assert reply
            assert updates.answer(reply) == 2
        sending.signal(world, "run-1", "s", signal_id=f"{n}")
        serve(world)


def test_an_update_that_was_being_handled_is_answered_in_the_end(world: CrashingWorld):
    @workflow
    async def handling(n: int = 1) -> None:
        @on_update("slow")
        async def slow() -> int:
            await wait_for_signal("finish")
            return n

        await wait_for_signal("s")
        if n == 1:
            continue_as_new(2)

    starting.start(world, "run-1", handling)
    update = updates.send_update(world, "run-1", "slow", (), update_id="u")
    serve(world)
    sending.signal(world, "run-1", "s", signal_id="1")
    serve(world)
    sending.signal(world, "run-1", "finish")
    serve(world)
    assert updates.look_for_answer(world, update) is not None
