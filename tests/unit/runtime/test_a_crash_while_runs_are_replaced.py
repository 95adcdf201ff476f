"""The process, or who asks, dies anywhere while a failed run is tried again, a run is forked, and a run gives way to
another: each of them happens once.
"""

from collections import Counter
from typing import Any

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
from worldflow import (
    RetryPolicy,
    create_hook,
    set_attributes,
    step,
    step_info,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import RunForked
from worldflow.runtime import sending, starting, webhooks
from worldflow.worlds import items

executions: Counter[str] = Counter()
moods: list[str] = []
pytestmark = pytest.mark.usefixtures("quiet")


@step(retry=RetryPolicy(max_attempts=2, initial_interval="1s", jitter=0), timeout="1m")
async def mood_of_the_day() -> str:
    executions[f"{step_info().run_id} {step_info().step_id}/{step_info().attempt}"] += 1
    if not moods:
        raise OSError("bad mood")
    return moods[-1]


@workflow
async def replaceable() -> list[Any]:
    set_attributes(stage="begun")
    with create_hook(token="door") as hook:
        got = [await wait_for_signal("word"), await mood_of_the_day(), await hook]
    set_attributes(stage="done")
    return got


def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
    executions.clear()
    moods.clear()
    world = CrashingWorld(crashes)

    def ask(request: Any, *args: Any, **kwargs: Any) -> None:
        persist(lambda: request(world, *args, **kwargs))
        serve(world, live_limit=live_limit)

    ask(starting.start, "r", replaceable)
    ask(sending.signal, "r", "word", "one", signal_id="1")
    assert world.read_run("r").status == "failed", world.crashed
    moods.append("good")
    ask(starting.retry, "r")
    # A fork before the signal, which meets the token that the retry holds only when that has let go of it.
    ask(webhooks.resume_hook, "door", "opened", resume_id="1")
    ask(starting.fork, "r", "f", after=1)
    ask(sending.signal, "f", "word", "two", signal_id="2")
    ask(starting.start, "f", replaceable, if_running="terminate_existing")
    newest = f"f~{items.get_generation(world, 'f')}"
    ask(sending.signal, newest, "word", "three", signal_id="3")
    ask(webhooks.resume_hook, "door", "again", resume_id="2")
    return world


def check(world: CrashingWorld) -> None:
    told = world.crashed
    newest = f"f~{items.get_generation(world, 'f')}"
    runs = {run.run_id: run.status for run in world.list_runs().runs}
    replaced = {run_id: status for run_id, status in runs.items() if run_id.startswith("f~") and run_id != newest}
    # Who asks again to take a run's place takes that of the run that was to take it.
    assert set(replaced.values()) <= {"cancelled"}
    kept = {run_id: status for run_id, status in runs.items() if run_id not in replaced}
    assert kept == {"r": "failed", "r~2": "completed", "f": "cancelled", newest: "completed"}, told
    assert world.read_run("r~2").result == ["one", "good", "opened"], told
    assert world.read_run(newest).result == ["three", "good", "again"], told
    assert world.read_run("r~2").attributes == {"stage": "done"}
    for run_id in runs:
        history = whole_history(world, run_id, replaceable)
        assert sum(isinstance(event, RunForked) for event in history) == (run_id in ("r~2", "f"))
    if not world.crashed:
        assert newest == "f~2"
        assert set(executions.values()) == {1}
    assert items.get_hook(world, "door") is None, told
    assert world._rows("select body from messages") == [], told


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_once(when: When):
    die_at_each_call(lived, check, when)


@pytest.mark.parametrize("seed", range(20))
def test_the_process_dies_many_times(seed: int):
    die_often(lived, check, seed)
