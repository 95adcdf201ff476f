"""The process dies anywhere while a run is paused and continues: nothing is lost, doubled or begun meanwhile."""

from collections import Counter
from datetime import timedelta

import pytest

from tests.support.crashes import (
    Crashes,
    CrashingWorld,
    When,
    die_at_each_call,
    die_often,
    persist,
    serve,
    whole_history,
)
from worldflow import RetryPolicy, step, step_info, wait_for_signal, workflow
from worldflow.engine.history import RunPaused, RunUnpaused, StepScheduled
from worldflow.runtime import sending, starting

pytestmark = pytest.mark.usefixtures("quiet")

executions: Counter[str] = Counter()


def note() -> None:
    executions[f"{step_info().step_id}/{step_info().attempt}"] += 1


@step(retry=RetryPolicy(max_attempts=3, initial_interval="1h", jitter=0), timeout="10m")
async def fails_before_the_pause() -> str:
    note()
    if step_info().attempt == 1:
        raise OSError("not yet")
    return "done"


@step(inline=True, guarantee="at_most_once")
async def once_after_a_pause(word: str) -> str:
    note()
    return word


@workflow
async def lives_through_a_pause() -> list[str]:
    return [await fails_before_the_pause(), await once_after_a_pause(await wait_for_signal("word"))]


def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
    executions.clear()
    world = CrashingWorld(crashes)
    persist(lambda: starting.start(world, "r", lives_through_a_pause))
    persist(lambda: sending.pause(world, "r", "an incident"))
    persist(lambda: sending.signal(world, "r", "word", "one", signal_id="1"))
    serve(world, live_limit=live_limit)
    began = dict(executions)
    assert world.read_run("r").status == "paused" and began == {}, (began, world.crashed)
    persist(lambda: sending.unpause(world, "r"))
    persist(lambda: sending.pause(world, "r"))
    serve(world, live_limit=live_limit)
    world.time += timedelta(hours=2)
    persist(lambda: sending.unpause(world, "r"))
    serve(world, live_limit=live_limit)
    return world


def check(world: CrashingWorld) -> None:
    record = world.read_run("r")
    if world.crashed and record.error:
        assert record.error.type.endswith(":StepInterruptedError"), "as whenever the process dies at such a step"
        return
    assert record.result == ["done", "one"], (record.status, world.crashed)
    history = whole_history(world, "r", lives_through_a_pause)
    paused = False
    for event in history:
        paused = isinstance(event, RunPaused) or (paused and not isinstance(event, RunUnpaused))
        assert not (paused and isinstance(event, StepScheduled))
    assert executions["s2/1"] == 1, world.crashed
    if not world.crashed:
        assert set(executions.values()) == {1}
    assert world._rows("select body from messages") == [], world.crashed


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_once(when: When):
    die_at_each_call(lived, check, when)


@pytest.mark.parametrize("seed", range(4))
def test_the_process_dies_many_times(seed: int):
    die_often(lived, check, seed)


def test_the_last_word_of_a_turn_counts(world: CrashingWorld) -> None:
    for is_last in (True, False):
        run_id = f"r-{is_last}"
        starting.start(world, run_id, lives_through_a_pause)
        sending.unpause(world, run_id)
        sending.pause(world, run_id)
        if is_last:
            sending.unpause(world, run_id)
        serve(world)

    assert [world.read_run(f"r-{is_last}").status for is_last in (True, False)] == ["running", "paused"]
