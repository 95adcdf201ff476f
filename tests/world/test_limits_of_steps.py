"""Limits of steps, on every World: how many run at a time, who is next, and how many begin in a time."""

from __future__ import annotations

import asyncio
import itertools
from datetime import datetime, timedelta

import pytest

from tests.support.systems import System, cancel, finish, skip, start
from worldflow import Limit, RetryPolicy, step, workflow
from worldflow.engine.history.limit_state import Asker, LimitState
from worldflow.engine.history.limits import Declared
from worldflow.worlds import limits

began: list[str] = []
times: list[datetime] = []
now_of: list[System] = []


@pytest.fixture(autouse=True)
def nothing_has_begun(system: System) -> None:
    began.clear()
    times.clear()
    now_of[:] = [system]


def note(name: str) -> str:
    began.append(name)
    times.append(now_of[0].world.now())
    return name


@step(limit=Limit("press", concurrency=1), priority=lambda name: int(name[0]), fairness=lambda name: name[1])
async def print_on_the_press(name: str) -> str:
    return note(name)


@workflow
async def print_all_on_the_press(names: list[str]) -> list[str]:
    return list(await asyncio.gather(*map(print_on_the_press, names)))


def state_of(system: System, name: str, key: str = "") -> LimitState:
    return limits.read(system.world, name, key)


def occupy(system: System, name: str, key: str = "") -> None:
    """Lets a run that is not there hold the place, as one does that an operator has removed."""
    asker, declared = Asker("gone/s1/1/0", seconds=60), Declared(1)
    limits.change(
        system.world,
        name,
        key,
        lambda state: state.plan(system.world.now(), asks=[asker], declared=declared, declared_at=1.0),
    )


def leave(system: System, name: str, token: str = "gone/s1/1/0") -> None:
    limits.change(system.world, name, "", lambda state: state.plan(system.world.now(), ends=[token]))


def is_empty(state: LimitState) -> bool:
    return not state.holders and not state.waiting


def test_priority_and_then_fairness_say_who_is_next(system: System) -> None:
    start(system, "print-1", print_all_on_the_press, names=["1a1", "1a2", "1a3", "1b1", "0a1", "2c1"])

    assert finish(system, "print-1").status == "completed"
    assert began == ["0a1", "1b1", "1a1", "1a2", "1a3", "2c1"]
    assert is_empty(state_of(system, "press"))


def test_a_run_waits_for_another_runs_step(system: System) -> None:
    occupy(system, "press")
    start(system, "print-2", print_all_on_the_press, names=["1a"])
    assert (began, [token.rpartition("/")[0] for token in state_of(system, "press").waiting]) == ([], ["print-2/s1/1"])

    leave(system, "press")  # by a process that dies before it says so: the run looks itself

    assert finish(system, "print-2").result == ["1a"]


def test_a_holder_whose_run_is_gone_is_found_dead_when_its_lease_has_passed(system: System) -> None:
    occupy(system, "press")
    start(system, "print-3", print_all_on_the_press, names=["1a"])
    began_at = system.world.now()

    assert finish(system, "print-3").result == ["1a"]
    assert system.world.now() - began_at > timedelta(minutes=17)
    assert is_empty(state_of(system, "press"))


def test_a_run_that_is_cancelled_waits_no_more(system: System) -> None:
    occupy(system, "press")
    start(system, "print-4", print_all_on_the_press, names=["1a", "1b"])

    cancel(system, "print-4")

    assert (list(state_of(system, "press").waiting), began) == ([], [])


@step(limit=Limit("counter", concurrency=1, key=lambda shop, _: shop), retry=RetryPolicy(max_attempts=1))
async def serve_at_the_counter(shop: str, number: int) -> int:
    note(shop)
    return number


@workflow
async def serve_all_at_the_counter(shops: list[str]) -> list[int]:
    calls = [serve_at_the_counter(shop, number) for number, shop in enumerate(shops)]
    return list(await asyncio.gather(*calls))


def test_each_key_has_the_limit_for_itself(system: System) -> None:
    occupy(system, "counter", key="east")
    start(system, "counter-1", serve_all_at_the_counter, shops=["east", "west"])

    assert began == ["west"]
    assert limits.keys(system.world, "counter") == ["east", "west"]


@step(limit=Limit("kiln", concurrency=1), timeout="10s", retry=RetryPolicy(max_attempts=1))
async def fire_in_the_kiln() -> str:
    return note("fired")


@workflow
async def fire_one_in_the_kiln() -> str:
    return await fire_in_the_kiln()


def test_a_timeout_counts_from_when_the_place_is_granted(system: System) -> None:
    occupy(system, "kiln")
    start(system, "kiln-1", fire_one_in_the_kiln)

    assert finish(system, "kiln-1").result == "fired"


@step(limit=Limit("gate", rate="2/10s"), retry=RetryPolicy(max_attempts=1))
async def pass_the_gate(number: int) -> int:
    note(str(number))
    return number


@workflow
async def pass_all_the_gate(count: int) -> list[int]:
    return list(await asyncio.gather(*map(pass_the_gate, range(count))))


def test_a_rate_spaces_what_begins(system: System) -> None:
    start(system, "gate-1", pass_all_the_gate, count=4)
    assert began == ["0"]

    assert finish(system, "gate-1").result == [0, 1, 2, 3]
    gaps = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)]
    assert gaps == [pytest.approx(5, abs=1)] * 3


@step(limit=Limit("ladder", concurrency=1), retry=RetryPolicy(max_attempts=2, initial_interval="1h", jitter=0))
async def climb_the_ladder(name: str) -> str:
    note(name)
    if name == "slips" and began.count(name) == 1:
        raise OSError
    return name


@workflow
async def climb_all_the_ladder(names: list[str]) -> list[str]:
    return list(await asyncio.gather(*map(climb_the_ladder, names)))


def test_a_retry_gives_its_place_to_others_while_it_waits(system: System) -> None:
    start(system, "ladder-1", climb_all_the_ladder, names=["slips", "climbs"])

    assert began == ["slips", "climbs"]
    assert finish(system, "ladder-1").result == ["slips", "climbs"]
    assert is_empty(state_of(system, "ladder"))


@workflow
async def give_up_at_the_ladder() -> str:
    try:
        async with asyncio.timeout(60):
            return await climb_the_ladder("late")
    except TimeoutError:
        return "gave up"


def test_a_step_that_is_given_up_waits_no_more(system: System) -> None:
    occupy(system, "ladder")
    start(system, "ladder-2", give_up_at_the_ladder)
    skip(system)

    assert finish(system, "ladder-2").result == "gave up"
    assert (list(state_of(system, "ladder").waiting), began) == ([], [])


@step(limit=Limit("crane", concurrency=1), cancellation="wait")
async def lift_with_the_crane() -> str:
    return note("lifted")


@workflow
async def give_up_at_the_crane() -> str:
    try:
        async with asyncio.timeout(60):
            return await lift_with_the_crane()
    except TimeoutError:
        return "gave up"


def test_a_cancelled_await_does_not_wait_for_a_place(system: System) -> None:
    occupy(system, "crane")
    start(system, "crane-1", give_up_at_the_crane)

    assert finish(system, "crane-1").result == "gave up"
    assert (list(state_of(system, "crane").waiting), began) == ([], [])


def test_a_long_history_is_continued_in_another(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "COMMITS", 3)
    start(system, "print-5", print_all_on_the_press, names=["1a"] * 6)
    system.restart()
    limits.forget(system.world)

    start(system, "print-6", print_all_on_the_press, names=["1b"])

    assert finish(system, "print-6").result == ["1b"]
    assert is_empty(state_of(system, "press"))
    assert limits.tidy(system.world) == 0
    system.clock.forward(system.world.now() + timedelta(days=2))
    assert limits.tidy(system.world, lambda: True) == 0, "there is no time"
    assert limits.tidy(system.world) > 0
    assert is_empty(state_of(system, "press"))
