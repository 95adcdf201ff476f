"""Five thousand steps at once: sent in pages, so that no invocation has to have the time for all of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import pytest

from tests.support.crashes import CrashingWorld
from tests.support.office import Office
from worldflow import step, workflow
from worldflow.engine.history import StepCompleted
from worldflow.turns.acts.acts import PAGE
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import FactArrived, Message, Poke, StepTask

COUNT = 5_000
FEWER = 1_000


@step
async def part(n: int) -> int:
    return n


@workflow
async def fan_out(count: int) -> int:
    return sum(await asyncio.gather(*map(part, range(count))))


def opened(world: CrashingWorld, count: int) -> Office:
    office = Office(world, fan_out, count=count)
    world.acknowledge(world.receive("runs"))
    return office


@pytest.fixture
def office(world: CrashingWorld) -> Office:
    return opened(world, COUNT)


@pytest.fixture
def fewer(world: CrashingWorld) -> Office:
    return opened(world, FEWER)


def tasks(messages: list[Message]) -> list[StepTask]:
    return [message for message in messages if isinstance(message, StepTask)]


def batches(facts: list[FactArrived]) -> Iterator[list[FactArrived]]:
    left = iter(facts)
    while batch := list(islice(left, 10)):
        yield batch


def test_all_of_them_come_to_their_end(world: CrashingWorld, office: Office) -> None:
    turns = Turns(world)
    turns.take("run-1", [office.start()])
    sent = tasks(office.taken())
    for batch in batches([office.done(task.step_id, (task.input or {})["n"]) for task in reversed(sent)]):
        turns.take("run-1", batch)

    assert world.read_run("run-1").result == sum(range(COUNT))
    events = Counter(event.event_type for event in world.load_history("run-1"))
    assert events == {"RunStarted": 1, "StepScheduled": COUNT, StepCompleted.__name__: COUNT, "RunCompleted": 1}


def test_a_turn_without_time_leaves_the_rest_to_those_after_it(world: CrashingWorld, fewer: Office) -> None:
    """Each has the time for one page. Behind the first all is done again, and then each goes on from the last."""
    turns = Turns(world)
    turns.take("run-1", [fewer.start()], out_of_time=lambda: True)
    sent, counts = fewer.taken(), []
    (poke,) = (message for message in sent if isinstance(message, Poke))
    times = Counter(task.step_id for task in tasks(sent))
    while poke:
        turns.take("run-1", [poke], out_of_time=lambda: True)
        sent = fewer.taken()
        counts.append(len(tasks(sent)))
        times.update(task.step_id for task in tasks(sent))
        poke = next((message for message in sent if isinstance(message, Poke)), None)

    assert counts == [PAGE] * (FEWER // PAGE)
    assert len(times) == FEWER
    assert Counter(times.values()) == {1: FEWER - PAGE, 2: PAGE}


def test_one_that_comes_again_begins_where_it_left(world: CrashingWorld, fewer: Office) -> None:
    turns = Turns(world)
    turns.take("run-1", [fewer.start()])
    fewer.taken()
    last_page = world.load_history("run-1")[FEWER - PAGE].seq
    turns.take("run-1", [Poke(run_id="run-1", after=last_page)], redo=True)

    assert [task.step_id for task in tasks(fewer.taken())] == [f"s{n}" for n in range(FEWER - PAGE + 1, FEWER + 1)]


def test_what_comes_again_beside_a_poke_is_done_again_from_the_start(world: CrashingWorld, fewer: Office) -> None:
    turns = Turns(world)
    turns.take("run-1", [fewer.start()])
    fewer.taken()
    turns.take("run-1", [Poke(run_id="run-1", after=FEWER), fewer.done("s1", 0)], redo=True)

    assert len(tasks(fewer.taken())) == FEWER - 1


def test_what_comes_beside_a_poke_is_acted_on_whatever_page_it_is_of(world: CrashingWorld, fewer: Office) -> None:
    turns = Turns(world)
    turns.take("run-1", [fewer.start()])
    fewer.taken()
    turns.take("run-1", [Poke(run_id="run-1", after=FEWER + 1), fewer.failed("s1", ValueError("again"))])

    assert fewer.kinds() == ["step_due s1/2"]
