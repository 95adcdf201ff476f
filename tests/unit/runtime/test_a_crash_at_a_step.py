"""The process dies anywhere around steps of every kind: those that must not run twice do not, the others' outcomes are
recorded once, and what is not known is said.
"""

import asyncio
from collections import Counter

import pytest

from tests.support.crashes import (
    Crash,
    Crashes,
    CrashingWorld,
    When,
    die,
    die_at_each_call,
    die_often,
    once,
    persist,
    serve,
    whole_history,
)
from worldflow import RetryPolicy, StepInterruptedError, step, step_info, workflow
from worldflow.engine.history import StepCompleted, StepFailed
from worldflow.runtime import starting

executions: Counter[str] = Counter()
pytestmark = pytest.mark.usefixtures("quiet")
TWICE = RetryPolicy(max_attempts=2, initial_interval="10s", jitter=0)


def executed() -> str:
    info = step_info()
    executions[f"{info.step_id}/{info.attempt}"] += 1
    return info.step_id


@step(inline=True)
async def inline_often(n: int = 0) -> str:
    return executed()


@step(inline=True, retry=RetryPolicy(max_attempts=3, initial_interval="10s", jitter=0))
async def inline_unsteady() -> str:
    executed()
    if step_info().attempt < 3:
        raise OSError
    return "steady"


@step(inline=True, guarantee="at_most_once")
async def inline_once() -> str:
    return executed()


@step(inline=True, guarantee="at_most_once", retry=TWICE)
async def inline_once_each() -> str:
    executed()
    if step_info().attempt < 2:
        raise OSError
    return "second"


@step(guarantee="at_most_once")
async def queued_once() -> str:
    return executed()


@step(guarantee="at_most_once", retry=TWICE, timeout="1h")
def queued_once_each() -> str:
    executed()
    if step_info().attempt < 2:
        raise OSError
    return "second"


@step(timeout="1h", heartbeat_timeout="1m")
async def beating() -> str:
    step_info().heartbeat({"at": 1})
    return executed()


@workflow
async def steps_of_every_kind() -> list[str]:
    async def known(call) -> str:
        try:
            return await call
        except StepInterruptedError:
            return "?"

    seen = [await inline_often(n) for n in range(3)]
    seen.append(await known(inline_once()))
    seen += await asyncio.gather(
        inline_often(), known(inline_once()), beating(), known(queued_once()), inline_unsteady()
    )
    seen.append(await known(inline_once_each()))
    seen.append(await known(queued_once_each()))
    return [*seen, await inline_often()]


AT_MOST_ONCE = ("s4/1", "s6/1", "s8/1", "s10/1", "s10/2", "s11/1", "s11/2")
EXPECTED = ["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "steady", "second", "second", "s12"]


def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
    executions.clear()
    world = CrashingWorld(crashes)
    persist(lambda: starting.start(world, "r", steps_of_every_kind))
    serve(world, live_limit=live_limit)
    return world


def check(world: CrashingWorld) -> int:
    """Returns how many outcomes are not known."""
    told = world.crashed
    record = world.read_run("r")
    assert record.status == "completed", (record, told)
    unknown = 0
    for number, (value, expected) in enumerate(zip(record.result, EXPECTED, strict=True), 1):
        assert value == expected or (value == "?" and f"s{number}/1" in AT_MOST_ONCE), (record.result, told)
        unknown += value == "?"
    assert all(executions[attempt] <= 1 for attempt in AT_MOST_ONCE), (executions, told)
    history = whole_history(world, "r", steps_of_every_kind)
    answered = Counter(event.fact_id for event in history if isinstance(event, (StepCompleted, StepFailed)))
    assert max(answered.values()) == 1
    # What is recorded as done was done.
    for event in history:
        if isinstance(event, StepCompleted):
            assert executions[event.fact_id] >= 1
    assert world._rows("select body from messages") == [], told
    return unknown


def check_once(world: CrashingWorld) -> None:
    """One death leaves one attempt, or those that ran side by side, in doubt."""
    unknown = check(world)
    if world.crashed:
        assert unknown <= 2
    else:
        assert unknown == 0
        assert set(executions.values()) == {1}
        assert set(AT_MOST_ONCE) <= set(executions)


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_once(when: When):
    die_at_each_call(lived, check_once, when)


@pytest.mark.parametrize("seed", range(30))
def test_the_process_dies_many_times(seed: int):
    die_often(lived, check, seed)


# --- it dies in the step itself ---

deaths: list[str] = []


@step(inline=True)
async def dies_inline() -> str:
    executed()
    if deaths:
        deaths.pop()
        die()
    return "done"


@step(inline=True, guarantee="at_most_once")
async def dies_inline_once() -> str:
    executed()
    if deaths:
        deaths.pop()
        die()
    return "done"


@step(guarantee="at_most_once")
async def dies_once() -> str:
    executed()
    if deaths:
        deaths.pop()
        die()
    return "done"


@workflow
async def deadly(kind: str) -> str:
    step = {"inline": dies_inline, "inline once": dies_inline_once, "queued once": dies_once}[kind]
    try:
        return await step()
    except StepInterruptedError:
        return "?"


@pytest.mark.parametrize(
    ("kind", "result", "ran"), [("inline", "done", 3), ("inline once", "?", 1), ("queued once", "?", 1)]
)
def test_the_process_dies_in_the_step(world: CrashingWorld, kind: str, result: str, ran: int):
    executions.clear()
    deaths[:] = ["one", "two"]
    starting.start(world, "r", deadly, {"kind": kind})
    serve(world)
    assert world.read_run("r").result == result
    assert executions["s1/1"] == ran
    deaths.clear()


def test_a_death_that_no_call_has_followed_is_not_the_next_worlds() -> None:
    """Else it takes the place of the call that another test lets it die at, which is never reached then."""
    with pytest.raises(Crash):
        die()
    world = lived(once(0, "after"))
    assert world.crashed == ["after create_run"]
    world.close()
