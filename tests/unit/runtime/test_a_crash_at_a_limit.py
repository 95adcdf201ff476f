"""The process dies anywhere while steps wait for places at a limit: no place is lost, and none is given twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.support.crashes import (
    Crashes,
    CrashingWorld,
    die_at_each_call,
    die_often,
    never,
    persist,
    serve,
    settle,
    take_turn,
    whole_history,
)
from worldflow import Limit, RetryPolicy, step, workflow
from worldflow.engine.history.limit_state import Asker, LimitState
from worldflow.engine.history.limits import Declared, LimitRow, read_token
from worldflow.runtime import sending, starting
from worldflow.turns.turns import Turns
from worldflow.worlds import limits
from worldflow.worlds.local.world import LocalWorld

pytestmark = pytest.mark.usefixtures("quiet")

TILL = Limit("till", concurrency=1)
paid: list[int] = []


@step(limit=TILL, retry=RetryPolicy(max_attempts=2, initial_interval="10s", jitter=0), timeout="1m")
async def pay_at_the_till(number: int) -> int:
    if number == 2 and not paid:
        paid.append(number)
        raise OSError
    return number


@workflow
async def shop_at_the_till(first: int, last: int) -> list[int]:
    return list(await asyncio.gather(*map(pay_at_the_till, range(first, last))))


def _state(world: CrashingWorld, name: str = "till") -> LimitState:
    return limits.read(world, name, "")


def _shop(crashes: Crashes = never, live_limit: int = 200) -> CrashingWorld:
    paid.clear()
    world = CrashingWorld(crashes)
    persist(lambda: starting.start(world, "ann", shop_at_the_till, {"first": 1, "last": 3}))
    persist(lambda: starting.start(world, "bob", shop_at_the_till, {"first": 3, "last": 4}))
    serve(world, live_limit=live_limit)
    return world


def _all_have_paid(world: CrashingWorld) -> None:
    for run_id in ("ann", "bob"):
        record = world.get_run(run_id)
        assert record and record.ended_at and record.status == "completed", world.crashed
        assert record.ended_at - record.created_at < timedelta(minutes=10), "only a look has found it"
        whole_history(world, run_id, shop_at_the_till)
    state = _state(world)
    assert (state.holders, state.waiting) == ({}, {}), world.crashed


def test_at_any_call() -> None:
    die_at_each_call(_shop, _all_have_paid, "after")  # which is before the next


@pytest.mark.parametrize("seed", range(3))
def test_again_and_again(seed: int) -> None:
    die_often(_shop, _all_have_paid, seed)


def _cancelled(crashes: Crashes = never, live_limit: int = 200) -> CrashingWorld:
    """Ann is cancelled while one of her steps holds the place and another waits; Bob waits."""
    paid[:] = [2]
    world = CrashingWorld(crashes)
    persist(lambda: starting.start(world, "ann", shop_at_the_till, {"first": 1, "last": 3}))
    persist(lambda: starting.start(world, "bob", shop_at_the_till, {"first": 3, "last": 4}))
    persist(lambda: sending.cancel(world, "ann"))
    serve(world, live_limit=live_limit)
    return world


def _bob_has_paid(world: CrashingWorld) -> None:
    record = world.get_run("bob")
    assert record and record.status == "completed", world.crashed
    state = _state(world)
    assert (state.holders, state.waiting) == ({}, {}), world.crashed


def test_at_any_call_of_a_run_that_is_cancelled() -> None:
    die_at_each_call(_cancelled, _bob_has_paid, "after")


@step(limit=Limit("wide-till", concurrency=2))
async def pay_at_the_wide_till(number: int) -> int:
    return number


@workflow
async def shop_at_the_wide_till() -> int:
    return await pay_at_the_wide_till(1)


def test_those_that_a_deployment_lets_through_are_told(world: CrashingWorld) -> None:
    def occupied(state: LimitState) -> LimitRow | None:
        at = world.now().timestamp() + 1
        return state.plan(world.now(), asks=[Asker("gone/s1/1/0")], declared=Declared(1), declared_at=at)

    limits.change(world, "wide-till", "", occupied)
    starting.start(world, "ann", shop_at_the_wide_till, {})
    settle(world)
    assert _state(world, "wide-till").waiting
    world.time += timedelta(seconds=2)
    starting.start(world, "bob", shop_at_the_wide_till, {})
    settle(world)

    records = [world.get_run(run_id) for run_id in ("ann", "bob")]
    assert [record.status for record in records if record] == ["completed"] * 2


@step(limit=Limit("slow-till", concurrency=1))
async def pay_at_the_slow_till() -> None: ...


@workflow
async def shop_at_the_slow_till() -> None:
    await pay_at_the_slow_till()


def _while_a_step_runs(world: CrashingWorld, act: Callable[[], None]) -> None:
    """Acts while a process has the first task and has not reported its outcome."""
    (delivery,) = world.receive("steps", 1)
    act()
    settle(world)
    (holder,) = _state(world).holders
    assert read_token(holder) == ("ann", "s1", 1)
    world.put_back([delivery], timedelta())  # its process dies: the task comes again


def test_a_step_that_is_given_up_keeps_its_place_until_no_process_has_it(world: CrashingWorld) -> None:
    starting.start(world, "ann", shop_at_the_till, {"first": 1, "last": 2})
    starting.start(world, "bob", shop_at_the_till, {"first": 3, "last": 4})
    turns = Turns(world)
    while take_turn(world, turns):
        pass

    _while_a_step_runs(world, lambda: sending.terminate(world, "ann"))

    settle(world)
    record = world.get_run("bob")
    assert record and record.status == "completed"
    turns.close()


def test_a_holder_that_is_alive_keeps_its_place_however_long_it_takes(world: CrashingWorld, turns: Turns) -> None:
    for run_id in ("ann", "bob"):
        starting.start(world, run_id, shop_at_the_slow_till, {})
        take_turn(world, turns)
    (delivery,) = world.receive("steps", 1)

    for _ in range(3):  # bob looks, and is told when to look again
        world.time += timedelta(hours=1)
        while take_turn(world, turns):
            pass
        assert [read_token(token)[0] for token in _state(world, "slow-till").holders] == ["ann"]

    world.put_back([delivery], timedelta())
    settle(world, turns)
    records = [world.get_run(run_id) for run_id in ("ann", "bob")]
    assert [record.status for record in records if record] == ["completed"] * 2


def test_that_nothing_changes_counts_only_for_a_state_that_was_just_read(tmp_path: Path) -> None:
    with closing(LocalWorld(tmp_path / "runs.db")) as one, closing(LocalWorld(tmp_path / "runs.db")) as other:

        def ask(world: LocalWorld, *tokens: str, ends: str = "") -> LimitState:
            asks = [Asker(token) for token in tokens]
            plan = partial(LimitState.plan, now=world.now(), ends=[ends], asks=asks, declared=Declared(1))
            return limits.change(world, "till", "", lambda state: plan(state, declared_at=1.0))[0]

        ask(one, "ann", "bob")
        ask(other, ends="ann")

        assert list(ask(one, "bob").holders) == ["bob"]
