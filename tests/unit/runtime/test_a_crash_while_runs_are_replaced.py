"""The process, or who asks, dies anywhere while a failed run is tried again, a run is forked, and a run gives way to
another: each of them happens once.
"""

import logging
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.crashes import Crashes, CrashingWorld, When, never, often, once, persist, serve
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
from worldflow.engine.workflow.execution import Execution
from worldflow.runtime import sending, starting, webhooks
from worldflow.worlds import items

executions: Counter[str] = Counter()
moods: list[str] = []


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


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)


@pytest.fixture
def worlds() -> Iterator[list[CrashingWorld]]:
    worlds: list[CrashingWorld] = []
    yield worlds
    for world in worlds:
        world.close()


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
        history = world.read_events(run_id)
        assert [event.seq for event in history] == list(range(1, len(history) + 1))
        assert [event.at for event in history] == sorted(event.at for event in history)
        assert sum(isinstance(event, RunForked) for event in history) == (run_id in ("r~2", "f"))
        record = world.get_run(run_id)
        assert record
        assert record.seq == len(history), (run_id, told)
        execution = Execution(run_id, replaceable)
        execution.replay(history)
        execution.dispose()
    assert items.get_hook(world, "door") is None, told
    assert world._rows("select body from messages") == [], told


@pytest.fixture(scope="module")
def calls() -> int:
    """How many calls there are to die at."""
    world = lived(never)
    check(world)
    assert world.get_run("f~3") is None
    assert set(executions.values()) == {1}
    world.close()
    return len(world.calls)


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_once(calls: int, worlds: list[CrashingWorld], when: When):
    for call in range(calls):
        world = lived(once(call, when))
        worlds.append(world)
        assert world.crashed, "the call was never reached"
        check(world)


@pytest.mark.parametrize("seed", range(20))
def test_the_process_dies_many_times(worlds: list[CrashingWorld], seed: int):
    chance = random.Random(seed)
    world = lived(often(chance), live_limit=chance.choice([0, 1, 200]))
    worlds.append(world)
    check(world)
