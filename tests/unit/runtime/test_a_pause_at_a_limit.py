"""What is paused while it waits for a place at a limit waits for none in the pause, and asks again after it."""

from __future__ import annotations

import pytest

from tests.support.crashes import Crashes, CrashingWorld, die_at_each_call, never, persist, serve, settle
from worldflow import Limit, step, wait_for_signal, workflow
from worldflow.engine.history import Applied
from worldflow.engine.history.limit_state import Asker, LimitState
from worldflow.engine.history.limits import Declared
from worldflow.runtime import sending, starting, workflow_pauses
from worldflow.worlds import limits

pytestmark = pytest.mark.usefixtures("quiet")


@step(limit=Limit("lathe", concurrency=1))
async def turn_on_the_lathe(name: str) -> str:
    return name


@workflow
async def turns_on_the_lathe(name: str) -> str:
    return await turn_on_the_lathe(name)


@workflow(limit=Limit("workshop", concurrency=1))
async def works_in_the_workshop(name: str) -> str:
    await wait_for_signal("go")
    return name


def state_of(world: CrashingWorld, name: str) -> LimitState:
    return limits.read(world, name, "")


def status(world: CrashingWorld, run_id: str) -> str:
    return world.read_run(run_id).status


def occupied() -> CrashingWorld:
    """Ann and Bob wait for the lathe, which a run has that is not there."""
    world = CrashingWorld()
    asks = [Asker("gone/s1/1/0", seconds=60)]
    limits.change(
        world, "lathe", "", lambda state: state.plan(world.now(), asks=asks, declared=Declared(1), declared_at=1.0)
    )
    for run_id in ("ann", "bob"):
        starting.start(world, run_id, turns_on_the_lathe, {"name": run_id})
        settle(world)
    return world


def test_a_paused_run_gets_no_place_for_a_step_that_waits() -> None:
    def lived(crashes: Crashes = never, live_limit: int = 200) -> CrashingWorld:
        world = occupied()
        world.calls.clear()
        world.crashes = crashes
        persist(lambda: sending.pause(world, "ann"))
        serve(world, live_limit=live_limit)  # the lathe is free when somebody looks
        assert (status(world, "ann"), status(world, "bob")) == ("paused", "completed"), world.crashed
        persist(lambda: sending.unpause(world, "ann"))
        serve(world, live_limit=live_limit)
        return world

    def check(world: CrashingWorld) -> None:
        assert status(world, "ann") == "completed", world.crashed
        state = state_of(world, "lathe")
        assert (state.holders, state.waiting) == ({}, {}), world.crashed

    die_at_each_call(lived, check, "after")


@pytest.mark.parametrize("signalled", [False, True])
def test_a_run_that_waits_and_is_paused_lets_others_begin(signalled: bool) -> None:
    """
    signalled: its start is recorded by then.
    """

    def lived(crashes: Crashes = never, live_limit: int = 200) -> CrashingWorld:
        world = CrashingWorld()
        for run_id in ("ann", "bob", "cat"):
            starting.start(world, run_id, works_in_the_workshop, {"name": run_id})
            settle(world)
        if signalled:
            sending.signal(world, "bob", "other")
            settle(world)
        world.calls.clear()
        world.crashes = crashes
        persist(lambda: sending.pause(world, "bob"))
        persist(lambda: sending.signal(world, "ann", "go", signal_id="1"))
        persist(lambda: sending.signal(world, "bob", "go", signal_id="2"))
        persist(lambda: sending.signal(world, "cat", "go", signal_id="3"))
        serve(world, live_limit=live_limit)
        found = [status(world, run_id) for run_id in ("ann", "bob", "cat")]
        assert found == ["completed", "paused", "completed"], world.crashed
        persist(lambda: sending.unpause(world, "bob"))
        serve(world, live_limit=live_limit)
        return world

    def check(world: CrashingWorld) -> None:
        assert status(world, "bob") == "completed", world.crashed
        state = state_of(world, "workshop")
        assert (state.holders, state.waiting) == ({}, {}), world.crashed

    die_at_each_call(lived, check, "after")


@workflow(limit=Limit("workshop", concurrency=1))
async def cleans_the_workshop() -> str:
    return "clean"


def test_runs_of_a_paused_workflow_let_those_of_others_begin(world: CrashingWorld) -> None:
    for run_id in ("ann", "bob"):
        starting.start(world, run_id, works_in_the_workshop, {"name": run_id})
        settle(world)
    workflow_pauses.pause_workflow(world, works_in_the_workshop)
    starting.start(world, "cat", cleans_the_workshop, {})
    sending.signal(world, "ann", "go")
    serve(world)

    assert [status(world, run_id) for run_id in ("bob", "cat")] == ["paused", "completed"]


@pytest.mark.parametrize("signalled", [False, True])
def test_a_pause_that_ends_in_the_turn_that_it_came_in_lets_no_run_begin(world: CrashingWorld, signalled: bool) -> None:
    starting.start(world, "ann", works_in_the_workshop, {"name": "ann"})
    settle(world)
    starting.start(world, "bob", works_in_the_workshop, {"name": "bob"})
    if signalled:
        sending.signal(world, "bob", "other")
        settle(world)
    sending.pause(world, "bob")
    sending.unpause(world, "bob")
    settle(world)

    started, *_ = world.load_history("bob")
    assert started.held and not any(isinstance(event, Applied) for event in world.load_history("bob"))
    sending.signal(world, "bob", "go")
    sending.signal(world, "ann", "go")
    settle(world)
    assert [status(world, run_id) for run_id in ("ann", "bob")] == ["completed"] * 2


def test_a_paused_run_that_is_terminated_gives_its_place_back() -> None:
    def lived(crashes: Crashes = never, live_limit: int = 200) -> CrashingWorld:
        world = CrashingWorld()
        starting.start(world, "ann", works_in_the_workshop, {"name": "ann"})
        settle(world)
        sending.pause(world, "ann")
        settle(world)
        world.calls.clear()
        world.crashes = crashes
        persist(lambda: sending.terminate(world, "ann"))
        serve(world, live_limit=live_limit)
        return world

    die_at_each_call(lived, lambda world: _is_free(world, "workshop"), "after")


def _is_free(world: CrashingWorld, name: str) -> None:
    assert not state_of(world, name).holders, world.crashed
