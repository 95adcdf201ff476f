"""Steps that may run again at any time: inline ones share a write, queued ones have no ledger."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.support.crashes import Crash, CrashingWorld, serve
from tests.support.driver import Chance
from tests.support.office import Office
from worldflow import step, workflow
from worldflow.engine.history import StepCompleted, StepFailed
from worldflow.turns import turn as turn_module
from worldflow.turns.steps import StepExecutor
from worldflow.turns.turns import Turns
from worldflow.worlds import ledger
from worldflow.worlds.messages import FactArrived, StepTask

pytestmark = pytest.mark.usefixtures("quiet")

ran: list[Any] = []


@step(inline=True, guarantee="pure")
async def count(n: int) -> int:
    ran.append(n)
    return n


@step(inline=True)
async def tell(n: int) -> int:
    ran.append(n)
    return n


@step(guarantee="repeatable")
async def look(n: int) -> int:
    ran.append(n)
    return n


@workflow
async def pure_counting(to: int) -> list[int]:
    return [await count(n) for n in range(to)]


@pytest.fixture(autouse=True)
def _fresh() -> None:
    ran.clear()


@pytest.fixture
def turns(world: CrashingWorld) -> Turns:
    return Turns(world, chance=Chance(0.5))


def test_a_chain_is_one_write(world: CrashingWorld, turns: Turns):
    office = Office(world, pure_counting, to=20)
    world.calls.clear()
    turns.take("run-1", [office.start()])
    assert world.calls == ["append", "append", "update_run"]
    assert world.read_run("run-1").result == list(range(20))
    assert Counter(office.history()) == {"RunStarted": 1, "StepScheduled": 20, "StepCompleted": 20, "RunCompleted": 1}


@pytest.mark.parametrize(("events", "seconds"), [(10, 60.0), (200, 0.0)], ids=["so many events", "so much time"])
def test_no_more_waits_than_is_quickly_done_again(
    world: CrashingWorld, turns: Turns, monkeypatch: pytest.MonkeyPatch, events: int, seconds: float
):
    monkeypatch.setattr(turn_module, "PURE_EVENTS", events)
    monkeypatch.setattr(turn_module, "PURE_SECONDS", seconds)
    office = Office(world, pure_counting, to=20)
    world.calls.clear()
    turns.take("run-1", [office.start()])
    assert world.calls == ["append"] * (5 if seconds else 21) + ["update_run"]


def test_what_is_not_pure_runs_when_all_before_it_is_committed(world: CrashingWorld, turns: Turns):
    seen: list[int] = []

    @step(inline=True)
    async def look_back() -> None:
        seen.append(len(world.load_history("run-1")))

    @workflow
    async def counts_and_looks() -> None:
        await count(1)
        await count(2)
        await look_back()
        await count(3)

    turns.take("run-1", [Office(world, counts_and_looks).start()])
    assert seen == [6]  # the start, two steps that have ended, and this one


def test_when_time_is_over_what_was_done_is_committed(world: CrashingWorld, turns: Turns):
    office = Office(world, pure_counting, to=20)
    turns.take("run-1", [office.start()], out_of_time=lambda: len(ran) == 5)
    assert office.history().count("StepCompleted") == 4
    serve(world)
    assert world.read_run("run-1").result == list(range(20))
    assert Counter(ran) == dict.fromkeys(range(20), 1)


@pytest.mark.parametrize("at", range(8))
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_call_changes_no_result(world: CrashingWorld, at: int, when: str):
    @workflow
    async def counts_and_tells() -> list[int]:
        return [await count(1), await count(2), await tell(3), await count(4), await look(5)]

    office = Office(world, counts_and_tells)
    first = len(world.calls)
    world.crashes = lambda number, moment: number == first + at and moment == when and not world.crashed
    try:
        turns = Turns(world)
        turns.take("run-1", [office.start()])
    except Crash:
        Turns(world).take("run-1", [office.start()], redo=True)
    serve(world)
    assert world.read_run("run-1").result == [1, 2, 3, 4, 5]


# --- through the queue ---


async def test_a_task_without_ledger_writes_none(world: CrashingWorld):
    task = StepTask(run_id="run-1", step_id="s1", name="look", input={"n": 1}, ledger=False)
    await StepExecutor(world).execute(task)
    assert world.calls == ["send"]
    await StepExecutor(world).execute(task, redelivered=True)
    assert ran == [1, 1]
    assert ledger.get_outcome(world, "run-1", "s1", 1) is None


async def test_its_dead_letter_is_told(world: CrashingWorld):
    task = StepTask(run_id="run-1", step_id="s1", name="look", input={"n": 1}, ledger=False)
    await asyncio.to_thread(StepExecutor(world).bury, task)
    (delivery,) = world.receive("runs")
    assert isinstance(delivery.message, FactArrived)
    assert isinstance(delivery.message.fact, StepFailed)


def test_the_history_takes_one_outcome_all_the_same(world: CrashingWorld, turns: Turns):
    @workflow
    async def looking() -> int:
        return await look(1)

    office = Office(world, looking)
    turns.take("run-1", [office.start()])
    facts = [office.fact(StepCompleted(step_id="s1", result=result)) for result in (1, 2)]
    turns.take("run-1", facts)
    assert world.read_run("run-1").result == 1
