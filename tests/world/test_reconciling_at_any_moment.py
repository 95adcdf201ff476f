"""The tables are restored to any two moments, and reconciled: every run ends as it would have, and no step runs again
of which the restored ledger has the outcome.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterator

import pytest

from tests.support.disaster import reconciled, recorded, restore, tick
from tests.support.systems import TURNS_LIMIT, AWSSystem
from worldflow import (
    RetryPolicy,
    continue_as_new,
    create_hook,
    sleep,
    step,
    step_info,
    wait_for_signal,
    workflow,
)
from worldflow.runtime import sending, starting, webhooks
from worldflow.turns import generations
from worldflow.worlds import items

HOOK = "disaster-token"

ran: list[tuple[str, str, int]] = []
"""The attempts that have run, in order."""


def _here() -> tuple[str, str, int]:
    info = step_info()
    return info.run_id, info.step_id, info.attempt


@step(name="disaster_work", retry=RetryPolicy(max_attempts=4, initial_interval="1s"))
async def work(number: int) -> int:
    ran.append(_here())
    if number % 3 == 0 and step_info().attempt == 1:
        raise ValueError("at first")
    return number + 1


@step(name="disaster_slow", timeout="10m", heartbeat_timeout="2m")
async def slow(number: int) -> int:
    ran.append(_here())
    return number + 1


@workflow(name="disaster_steps")
async def steps(number: int) -> int:
    for _ in range(3):
        number = await work(number)
        number = await work.options(inline=True)(number)
    return number + sum(await asyncio.gather(work(1), slow(2), work(3)))


@workflow(name="disaster_timers")
async def timers() -> int:
    await sleep("20s")
    await sleep("3d")
    try:
        async with asyncio.timeout(3_600):
            await wait_for_signal("never")
    except TimeoutError:
        return await work(1)
    raise AssertionError


@workflow(name="disaster_child")
async def child(number: int) -> int:
    await sleep("1h")
    return await work(number)


@workflow(name="disaster_parent")
async def parent() -> int:
    first = await child(1)
    return first + sum(await asyncio.gather(child(2), child(4)))


@workflow(name="disaster_hook")
async def holds_a_hook() -> str:
    await work(1)
    value = await create_hook(token=HOOK)
    await work(2)
    return str(value)


@workflow(name="disaster_generations")
async def counted_generations(number: int) -> int:
    await work(number)
    await sleep("30m")
    if number < 4:
        continue_as_new(number + 1)
    return number


@workflow(name="disaster_signal")
async def takes_signals() -> int:
    total = 0
    for _ in range(2):
        total += await work(await wait_for_signal("add", int))
    return total


RESULTS = {"steps": 16, "timers": 2, "parent": 10, "hook": "value", "generations": 4, "signals": 5}


@pytest.fixture(autouse=True)
def _forgets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)
    ran.clear()
    yield
    ran.clear()


def begin(system: AWSSystem) -> None:
    world = system.world
    starting.start(world, "steps", steps, {"number": 1})
    starting.start(world, "timers", timers)
    starting.start(world, "parent", parent)
    starting.start(world, "hook", holds_a_hook)
    starting.start(world, "generations", counted_generations, {"number": 2})
    starting.start(world, "signals", takes_signals)


def nudge(system: AWSSystem) -> None:
    """What the outside sends, and sends again to whom it may have been lost."""
    world = system.world
    if items.get_hook(world, HOOK):
        webhooks.resume_hook(world, HOOK, "value", resume_id="once")
    record = world.get_run("signals")
    if record and not record.ended:
        for number in (1, 2):
            sending.signal(world, "signals", "add", number, signal_id=f"add-{number}")


def is_over(system: AWSSystem) -> bool:
    records = [system.world.get_run(run_id) for run_id in RESULTS]
    return all(record and generations.newest_generation(system.world, record).ended for record in records)


def go(system: AWSSystem, ticks: int) -> int:
    """Lets so many things happen, or all. Returns how many did."""
    for done in range(ticks):
        if done % 10 == 0:
            if is_over(system):
                return done
            nudge(system)
        if not tick(system):
            return done
    return ticks


def end_in_disaster(system: AWSSystem, chance: random.Random, *, events_first: bool) -> set[tuple[str, str, int]]:
    """Restores the tables to two moments of the past. Returns the attempts of which the ledger then has the outcome."""
    begin(system)
    copies, passed = [], 0
    for moment in sorted(chance.randrange(1, 110) for _ in range(3)):
        passed += go(system, moment - passed)
        copies.append((system.stack.copy("events"), system.stack.copy("runs")))
    first, second, _ = copies
    restore(system, *((first[0], second[1]) if events_first else (second[0], first[1])))
    ran.clear()
    return set(recorded(system))


def check(system: AWSSystem, known: set[tuple[str, str, int]]) -> None:
    world = system.world
    newest = {run_id: generations.newest_generation(world, world.read_run(run_id)).run_id for run_id in RESULTS}
    ends = {run_id: world.read_run(last) for run_id, last in newest.items()}
    assert {run_id: (record.status, record.result) for run_id, record in ends.items()} == {
        run_id: ("completed", result) for run_id, result in RESULTS.items()
    }
    assert not known & set(ran)


@pytest.mark.parametrize("seed", range(8))
def test_every_run_ends_and_no_recorded_step_runs_again(aws: AWSSystem, seed: int) -> None:
    known = end_in_disaster(aws, random.Random(seed), events_first=bool(seed % 2))

    reconciled(aws)
    go(aws, TURNS_LIMIT)

    check(aws, known)


@pytest.mark.parametrize("seed", range(100, 104))
def test_a_pass_that_is_repeated_while_runs_go_on_disturbs_none(aws: AWSSystem, seed: int) -> None:
    chance = random.Random(seed)
    known = end_in_disaster(aws, chance, events_first=bool(seed % 2))

    reconciled(aws)
    for _ in range(3):
        go(aws, chance.randrange(1, 25))
        reconciled(aws)
    go(aws, TURNS_LIMIT)

    check(aws, known)
