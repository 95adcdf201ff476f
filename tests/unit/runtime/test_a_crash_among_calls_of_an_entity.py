"""The process dies anywhere while workflows call and lock an entity, which goes on as its next generations: each call
is done once, and each caller gets its own answer.
"""

import asyncio
from datetime import timedelta

import pytest

from tests.support.crashes import Crashes, CrashingWorld, When, die_at_each_call, die_often, persist, serve
from worldflow import Entity, entity, step, workflow
from worldflow.engine.history import Replied, UpdateReceived
from worldflow.engine.history.mail import UpdateReceived as Received
from worldflow.engine.ids import generation_id
from worldflow.engine.workflow import entity_runs
from worldflow.runtime import starting
from worldflow.turns.acts import entity_calls
from worldflow.worlds import items
from worldflow.worlds.messages import FactArrived

pytestmark = pytest.mark.usefixtures("quiet")


@step(inline=True)
async def count_in_till(amount: int) -> int:
    return amount


@entity
class Till(Entity):
    total: int = 0
    calls: list[int] = []  # noqa: RUF012 - of each entity its own

    async def put(self, amount: int) -> int:
        if amount % 5 == 0:
            raise ValueError(f"no {amount}")
        self.total += await count_in_till(amount)
        self.calls.append(amount)
        return amount

    async def read(self) -> list[int]:
        return self.calls


@workflow
async def fills_the_till(first: int) -> list[int]:
    till = Till("one")
    got = await asyncio.gather(till.put(first), till.put(first + 1))
    async with till.lock(lease="1h"):
        before = await till.read()
        got.append(await till.put(first + 2))
        assert await till.read() == [*before, first + 2], "another was let in"
    try:
        await till.put(5)
    except ValueError as error:
        assert str(error) == "no 5"
    await till.signal.put(first + 3)
    return got


@workflow
async def calls_the_till_twice() -> int:
    till = Till("two")
    await till.put(1)
    async with till.lock(lease="1h"):
        await till.put(2)
    await till.signal.put(3)
    return sum(await till.read())


def lived_briefly(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
    world = CrashingWorld(crashes)
    persist(lambda: starting.start(world, "r", calls_the_till_twice, {}))
    serve(world, live_limit=live_limit)
    return world


def check_briefly(world: CrashingWorld) -> None:
    assert world.read_run("r").result == 6, world.crashed
    assert items.get_generation(world, "Till@two") > 1
    assert world._rows("select body from messages") == [], world.crashed


def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
    world = CrashingWorld(crashes)
    for first in (11, 21):
        persist(lambda first=first: starting.start(world, f"r{first}", fills_the_till, {"first": first}))  # type: ignore[misc]
    serve(world, live_limit=live_limit)
    return world


def check(world: CrashingWorld) -> None:
    told = world.crashed
    for first in (11, 21):
        assert world.read_run(f"r{first}").result == [first, first + 1, first + 2], told
    newest = items.get_generation(world, "Till@one")
    assert newest > 1
    replied = [
        event
        for number in range(1, newest + 1)
        for event in world.load_history(generation_id("Till@one", number))
        if isinstance(event, Replied)
    ]
    ids = [event.fact_id for event in replied]
    assert len(ids) == len(set(ids)), told
    done = [event.result for event in replied if isinstance(event.result, int)]
    assert sorted(done) == [11, 12, 13, 14, 21, 22, 23, 24], told
    assert world._rows("select body from messages") == [], told


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generations of an entity are short."""
    monkeypatch.setattr(entity_runs, "LONG", 12)


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_once(when: When):
    die_at_each_call(lived_briefly, check_briefly, when)


@pytest.mark.parametrize("seed", range(6))
def test_the_process_dies_many_times(seed: int):
    die_often(lived, check, seed)


def test_a_copy_that_comes_generations_later_is_known(monkeypatch: pytest.MonkeyPatch):
    """Also when its id is not among those that generations hand on."""
    monkeypatch.setattr("worldflow.engine.workflow.inbox.REMEMBERED", 1)
    world = lived(lambda call, when: False)
    newest = entity_calls.newest(world, "Till@one")
    first = next(event for event in world.load_history("Till@one") if isinstance(event, Received))
    assert first.caller is not None and first.called_at is not None
    before = len(world.load_history(newest))
    world.time += timedelta(hours=1)
    copy = UpdateReceived(
        update_id=first.update_id, name=first.name, args=first.args, caller=first.caller, called_at=first.called_at
    )
    world.send([FactArrived(run_id=newest, fact=copy, nonce="copy")])
    serve(world)

    check(world)
    found = [event.event_type for event in world.load_history(newest)[before:]]
    assert found[:3] == ["UpdateReceived", "StepScheduled", "StepCompleted"]
