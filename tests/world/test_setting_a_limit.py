"""Operators see limits and change them, at once and without a deployment."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta

import pytest

from tests.support.systems import System, finish, start
from worldflow import Limit, LimitNotFoundError, step, workflow
from worldflow.engine.history.limit_state import Asker
from worldflow.engine.history.limits import Declared
from worldflow.engine.history.state import RunState
from worldflow.runtime.limits import get_limit, list_limits, set_limit, waiting_steps
from worldflow.worlds import limits


@step(limit=Limit("loom", concurrency=1, key=lambda yarn: yarn))
async def weave_on_the_loom(yarn: str) -> str:
    return yarn


@workflow
async def weave_all_on_the_loom(yarns: list[str]) -> list[str]:
    return list(await asyncio.gather(*map(weave_on_the_loom, yarns)))


def test_what_is_paused_for_all_keys_waits_with_new_ones_too(system: System) -> None:
    start(system, "loom-1", weave_all_on_the_loom, yarns=["red"])

    set_limit(system.world, "loom", concurrency=0)
    start(system, "loom-2", weave_all_on_the_loom, yarns=["red", "blue"])

    found = {status.key: status for status in list_limits(system.world)}
    assert {key: (one.concurrency, one.changed) for key, one in found.items()} == {"red": (0, True), "blue": (0, True)}
    assert [place.run_id for status in found.values() for place in status.waiting] == ["loom-2", "loom-2"]

    state = RunState(system.world.load_history("loom-2"))
    assert waiting_steps(system.world, "loom-2", state) == {
        "s1": "waiting for limit 'loom' (1 of 1)",
        "s2": "waiting for limit 'loom' (1 of 1)",
    }

    set_limit(system.world, "loom", reset=True)
    assert finish(system, "loom-2").result == ["red", "blue"]


def test_a_greater_limit_lets_those_go_that_wait(system: System) -> None:
    start(system, "loom-3", weave_all_on_the_loom, yarns=["red"])
    set_limit(system.world, "loom", concurrency=0, key="red")
    start(system, "loom-4", weave_all_on_the_loom, yarns=["red", "red", "red"])

    (status,) = set_limit(system.world, "loom", concurrency=2, key="red")

    assert [place.step_id for place in status.holders] == ["s1", "s2"]
    assert finish(system, "loom-4").status == "completed"


@step(limit=Limit("shuttle", rate="10/1s"))
async def throw_the_shuttle() -> None: ...


@workflow
async def throw_the_shuttle_often() -> None:
    await asyncio.gather(*(throw_the_shuttle() for _ in range(4)))


def test_a_rate_that_was_much_too_slow_is_put_right(system: System) -> None:
    start(system, "shuttle-1", throw_the_shuttle_often)
    assert finish(system, "shuttle-1").status == "completed"
    set_limit(system.world, "shuttle", rate="1/1d")
    start(system, "shuttle-2", throw_the_shuttle_often)
    began = system.world.now()

    set_limit(system.world, "shuttle", reset=True)

    assert finish(system, "shuttle-2").status == "completed"
    assert system.world.now() - began < timedelta(minutes=1)


@workflow(limit=Limit("carding", concurrency=9))
async def card_the_wool() -> None: ...


def test_a_rate_spaces_runs_too(system: System) -> None:
    start(system, "wool-0", card_the_wool)
    set_limit(system.world, "carding", rate="1/1m")
    for number in (1, 2, 3):
        start(system, f"wool-{number}", card_the_wool)

    ended = [finish(system, f"wool-{number}").ended_at for number in (1, 2, 3)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(filter(None, ended))]
    assert [round(gap.total_seconds()) for gap in gaps] == [60, 60]


def test_who_waits_when_a_limit_is_changed_looks_whether_holders_are_dead(system: System) -> None:
    asks = [Asker("gone/s1/1/0", seconds=60)]
    limits.change(
        system.world,
        "loom",
        "black",
        lambda state: state.plan(system.world.now(), asks=asks, declared=Declared(1), declared_at=1.0),
    )
    for run_id in ("loom-5", "loom-6"):
        start(system, run_id, weave_all_on_the_loom, yarns=["black"])

    set_limit(system.world, "loom", concurrency=2, key="black")
    set_limit(system.world, "loom", concurrency=1, key="black")

    assert finish(system, "loom-6").result == ["black"]


def test_a_limit_that_no_call_has_used_is_not_found(system: System) -> None:
    with pytest.raises(LimitNotFoundError, match="there is no limit 'lom'"):
        set_limit(system.world, "lom", concurrency=1)
    with pytest.raises(LimitNotFoundError):
        get_limit(system.world, "lom")
