"""The process dies while a fork with edits, or a retry with another input, is asked for and begins."""

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


def lived(crashes: Crashes = never, live_limit: int = 200) -> CrashingWorld:
    world = CrashingWorld(crashes)
    persist(lambda: starting.start(world, "r", crash_edited, {"prompt": "a"}))
    serve(world, live_limit=live_limit)
    history = world.load_history("r")
    done = [event.seq for event in history if isinstance(event, StepCompleted)]
    asks = [event.seq for event in history if isinstance(event, StepScheduled)]

    def fork(new: str, **how: Any) -> None:
        persist(lambda: starting.fork(world, "r", new, **how))

    fork("result", edit={done[0]: LARGE})
    fork("earlier", after=asks[1], edit={done[0]: "edited"})
    fork("prompt", edit={asks[1]: {"prompt": LARGE}})
    serve(world, live_limit=live_limit)
    for run_id in ("r", "result", "earlier", "prompt"):
        persist(lambda run_id=run_id: sending.signal(world, run_id, "s", "on", signal_id="on"))  # type: ignore[misc]
    persist(lambda: starting.start(world, "bad", crash_edited, {"prompt": "bad"}))
    serve(world, live_limit=live_limit)
    persist(lambda: starting.retry(world, "bad", {"prompt": "good"}))
    serve(world, live_limit=live_limit)
    persist(lambda: sending.signal(world, "bad", "s", "on", signal_id="on"))
    serve(world, live_limit=live_limit)
    return world


def check(world: CrashingWorld) -> None:
    told = world.crashed
    for run_id, first, second in (
        ("r", "<a>", "<<a>>"),
        ("result", LARGE, f"<{LARGE}>"),
        ("earlier", "edited", "<edited>"),
        ("prompt", "<a>", f"<{LARGE}>"),
    ):
        record = world.read_run(run_id)
        assert record.status == "completed", (record, told)
        assert record.result == [first, second, "on", "<last>"], told
        history = whole_history(world, run_id, crash_edited)
        assert sum(isinstance(event, RunForked) for event in history) == (run_id != "r")
        if run_id != "r":
            assert record.fork_of
            assert record.fork_of.run_id == "r"
    retried = world.read_run("bad~2")
    assert (retried.status, retried.input) == ("completed", {"prompt": "good"}), told
    assert retried.result == ["<good>", "<<good>>", "on", "<last>"], told
    assert world.get_run("bad~3") is None
    whole_history(world, "bad~2", crash_edited)


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_once(when: When):
    die_at_each_call(lived, check, when)


@pytest.mark.parametrize("seed", range(10))
def test_the_process_dies_many_times(seed: int):
    die_often(lived, check, seed)
