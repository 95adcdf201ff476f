"""The process dies anywhere while runs start, await, cancel and outlive each other: each child is one run, each parent
is told, and each child learns that its parent has ended.
"""

import asyncio
from collections import Counter

import pytest

from tests.support.crashes import (
    Crashes,
    CrashingWorld,
    When,
    die_at_each_call,
    die_often,
    once,
    persist,
    serve,
    whole_history,
)
from worldflow import RetryPolicy, RunCancelledError, sleep, step, step_info, wait_for_signal, workflow
from worldflow.engine.history import ChildCompleted, ChildFailed, RunStarted
from worldflow.engine.workflow.definitions import find_workflow
from worldflow.runtime import sending, starting

executions: Counter[str] = Counter()
pytestmark = pytest.mark.usefixtures("quiet")


@step(retry=RetryPolicy(max_attempts=1))
async def family_work(name: str) -> str:
    executions[f"{step_info().run_id} {name}"] += 1
    return name


class Naughty(Exception):
    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


@workflow
async def good_kid(n: int) -> str:
    return await family_work(f"kid {n}")


@workflow
async def bad_kid() -> str:
    await sleep(1)
    raise Naughty("very")


@workflow
async def slow_kid(name: str) -> str:
    try:
        await sleep("1h")
    except asyncio.CancelledError:
        await family_work(f"{name} tidies up")
        raise
    return await family_work(f"{name} is done")


@workflow
async def family_parent() -> list[str]:
    seen = list(await asyncio.gather(good_kid(1), good_kid.options(run_id="named")(2)))
    try:
        await bad_kid()
    except Naughty as error:
        seen.append(error.how)
    try:
        async with asyncio.timeout(60):
            await slow_kid("late")
    except TimeoutError:
        seen.append("late")
    mine = asyncio.ensure_future(slow_kid("mine"))
    await sleep(1)
    mine.cancel()
    try:
        await mine
    except asyncio.CancelledError:
        seen.append("cancelled")
    left = []
    for policy in ("cancel", "terminate", "abandon"):
        left.append(asyncio.ensure_future(slow_kid.options(parent_close=policy)(policy)))
    await sleep(1)
    # Decided with the end: only what outlives the run is begun.
    left.append(asyncio.ensure_future(slow_kid("too late")))
    await asyncio.sleep(0)
    slow_kid.start_detached("detached")
    return seen


CHILDREN = {
    "r~c1": ("completed", "kid 1"),
    "named": ("completed", "kid 2"),
    "r~c3": ("failed", ""),
    "r~c4": ("cancelled", "late tidies up"),
    "r~c5": ("cancelled", "mine tidies up"),
    "r~c6": ("cancelled", "cancel tidies up"),
    "r~c7": ("cancelled", ""),
    "r~c8": ("completed", "abandon is done"),
    "r~c10": ("completed", "detached is done"),
}


def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
    executions.clear()
    world = CrashingWorld(crashes)
    persist(lambda: starting.start(world, "r", family_parent))
    serve(world, live_limit=live_limit)
    return world


def check(world: CrashingWorld) -> None:
    told = world.crashed
    record = world.read_run("r")
    assert record.status == "completed", (record, told)
    assert record.result == ["kid 1", "kid 2", "very", "late", "cancelled"], told
    runs = {run.run_id: run for run in world.list_runs().runs}
    assert {run_id: run.status for run_id, run in runs.items() if run_id != "r"} == {
        run_id: status for run_id, (status, _) in CHILDREN.items()
    }, told
    answered = Counter(
        event.child_id for event in world.load_history("r") if isinstance(event, (ChildCompleted, ChildFailed))
    )
    assert max(answered.values()) == 1
    assert {"c1", "c2", "c3"} <= set(answered)
    for run_id, (_, work) in CHILDREN.items():
        child = world.read_run(run_id)
        history = whole_history(world, run_id, find_workflow(child.workflow_name))
        assert sum(isinstance(event, RunStarted) for event in history) == 1
        assert child.parent and child.parent.run_id == "r"
        did = [key.partition(" ")[2] for key in executions if key.startswith(f"{run_id} ")]
        assert did == ([work] if work else []), told
    whole_history(world, "r", family_parent)
    assert world._rows("select body from messages") == [], told


def check_once(world: CrashingWorld) -> None:
    check(world)
    assert max(executions.values()) == 1 or world.crashed == ["before put_outcome"]


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_once(when: When):
    die_at_each_call(lived, check_once, when)


@pytest.mark.parametrize("seed", range(20))
def test_the_process_dies_many_times(seed: int):
    die_often(lived, check, seed)


@workflow
async def grandparent() -> str:
    try:
        return await family_parent_of_one()
    except RunCancelledError:
        return "cancelled"


@workflow
async def family_parent_of_one() -> str:
    return await waiting_kid()


@workflow
async def waiting_kid() -> str:
    try:
        return str(await wait_for_signal("never"))
    finally:
        await family_work("grandchild tidies up")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_cancellation_goes_down_and_its_end_comes_up(when: When):
    call = 0
    while True:
        executions.clear()
        world = CrashingWorld(once(call, when))
        persist(lambda world=world: starting.start(world, "r", grandparent))  # type: ignore[misc]
        serve(world)
        persist(lambda world=world: sending.cancel(world, "r~c1"))  # type: ignore[misc]
        serve(world)
        assert world.read_run("r").result == "cancelled", world.crashed
        assert world.read_run("r~c1").status == "cancelled"
        assert world.read_run("r~c1~c1").status == "cancelled"
        assert set(executions) == {"r~c1~c1 grandchild tidies up"}
        world.close()
        if not world.crashed:
            return
        call += 1
