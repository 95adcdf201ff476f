"""The process dies while a fork with edits, or a retry with another input, is asked for and begins."""

from functools import partial
from typing import Any

import pytest

from tests.support.crashes import (
    Crashes,
    CrashingWorld,
    When,
    die_at_each_call,
    die_often,
    never,
    persist,
    serve,
    whole_history,
)
from worldflow import FatalError, step, wait_for_signal, workflow
from worldflow.engine.history import RunForked, StepCompleted, StepScheduled
from worldflow.runtime import sending, starting

pytestmark = pytest.mark.usefixtures("quiet")

LARGE = "x" * 100_000


@step
async def crash_asked(prompt: str) -> str:
    if prompt.startswith("bad"):
        raise FatalError(prompt)
    return f"<{prompt}>"


@workflow
async def crash_edited(prompt: str) -> list[str]:
    first = await crash_asked(prompt)
    second = await crash_asked(first)
    return [first, second, await wait_for_signal("s", str), await crash_asked("last")]


FORKS = {
    "result": [LARGE, f"<{LARGE}>"],
    "earlier": ["edited", "<edited>"],
    "prompt": ["<a>", f"<{LARGE}>"],
}
"""What the first two steps of each fork return."""


def forked(name: str, crashes: Crashes = never, live_limit: int = 200) -> CrashingWorld:
    world = CrashingWorld(crashes)
    persist(lambda: starting.start(world, "r", crash_edited, {"prompt": "a"}))
    serve(world, live_limit=live_limit)
    history = world.load_history("r")
    done = [event.seq for event in history if isinstance(event, StepCompleted)]
    asks = [event.seq for event in history if isinstance(event, StepScheduled)]
    edits: dict[str, dict[str, Any]] = {
        "result": {"edit": {done[0]: LARGE}},
        "earlier": {"after": asks[1], "edit": {done[0]: "edited"}},
        "prompt": {"edit": {asks[1]: {"prompt": LARGE}}},
    }
    persist(lambda: starting.fork(world, "r", name, **edits[name]))
    serve(world, live_limit=live_limit)
    for run_id in ("r", name):
        persist(lambda run_id=run_id: sending.signal(world, run_id, "s", "on", signal_id="on"))  # type: ignore[misc]
    serve(world, live_limit=live_limit)
    return world


def retried(crashes: Crashes = never, live_limit: int = 200) -> CrashingWorld:
    world = CrashingWorld(crashes)
    persist(lambda: starting.start(world, "bad", crash_edited, {"prompt": "bad"}))
    serve(world, live_limit=live_limit)
    persist(lambda: starting.retry(world, "bad", {"prompt": "good"}))
    serve(world, live_limit=live_limit)
    persist(lambda: sending.signal(world, "bad", "s", "on", signal_id="on"))
    serve(world, live_limit=live_limit)
    return world


def check_fork(world: CrashingWorld, name: str) -> None:
    for run_id, results in (("r", ["<a>", "<<a>>"]), (name, FORKS[name])):
        record = world.read_run(run_id)
        assert record.status == "completed", (record, world.crashed)
        assert record.result == [*results, "on", "<last>"], world.crashed
        history = whole_history(world, run_id, crash_edited)
        assert sum(isinstance(event, RunForked) for event in history) == (run_id != "r")
    assert record.fork_of and record.fork_of.run_id == "r"


def check_retry(world: CrashingWorld) -> None:
    record = world.read_run("bad~2")
    assert (record.status, record.input) == ("completed", {"prompt": "good"}), world.crashed
    assert record.result == ["<good>", "<<good>>", "on", "<last>"], world.crashed
    assert world.get_run("bad~3") is None
    whole_history(world, "bad~2", crash_edited)


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", FORKS)
def test_the_process_dies_once_at_a_fork(when: When, name: str):
    die_at_each_call(partial(forked, name), partial(check_fork, name=name), when)


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_once_at_a_retry(when: When):
    die_at_each_call(retried, check_retry, when)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", FORKS)
def test_the_process_dies_many_times_at_a_fork(seed: int, name: str):
    die_often(partial(forked, name), partial(check_fork, name=name), seed)


@pytest.mark.parametrize("seed", range(3))
def test_the_process_dies_many_times_at_a_retry(seed: int):
    die_often(retried, check_retry, seed)
