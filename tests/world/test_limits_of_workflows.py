"""Limits of workflows: how many runs are under way, and what becomes of one too many."""

from __future__ import annotations

from tests.support.systems import System, cancel, finish, signal, start
from worldflow import Limit, continue_as_new, wait_for_signal, workflow
from worldflow.engine.history.limit_state import LimitState
from worldflow.runtime import sending
from worldflow.worlds import limits


async def until_told(again: bool = False) -> str:
    told = str(await wait_for_signal("go"))
    if again:
        await continue_as_new(again=False)
    return told


@workflow(limit=Limit("dock", concurrency=1, key=lambda again: str(again)))
async def queues_at_the_dock(again: bool = False) -> str:
    return await until_told(again)


@workflow(limit=Limit("dock-skip", concurrency=1, excess="skip"))
async def skips_the_dock() -> str:
    return await until_told()


@workflow(limit=Limit("dock-fail", concurrency=1, excess="fail"))
async def fails_at_the_dock() -> str:
    return await until_told()


@workflow(limit=Limit("dock-oldest", concurrency=1, excess="cancel_oldest"))
async def replaces_the_oldest_at_the_dock() -> str:
    return await until_told()


def state_of(system: System, name: str, key: str = "") -> LimitState:
    return limits.read(system.world, name, key)


def is_empty(state: LimitState) -> bool:
    return not state.holders and not state.waiting


def test_a_run_begins_when_the_one_before_has_ended(system: System) -> None:
    start(system, "dock-1", queues_at_the_dock, again=False)
    start(system, "dock-2", queues_at_the_dock, again=False)
    assert system.world.load_history("dock-2") == []

    signal(system, "dock-1", "go", "first")
    signal(system, "dock-2", "go", "second")

    assert finish(system, "dock-1").result == "first"
    assert finish(system, "dock-2").result == "second"
    assert is_empty(state_of(system, "dock", "False"))


def test_what_comes_for_a_run_that_waits_is_held(system: System) -> None:
    start(system, "dock-3", queues_at_the_dock, again=False)
    start(system, "dock-4", queues_at_the_dock, again=False)

    signal(system, "dock-4", "go", "early")
    assert [(event.event_type, event.held) for event in system.world.load_history("dock-4")] == [
        ("RunStarted", True),
        ("SignalReceived", True),
    ]
    system.restart()
    signal(system, "dock-3", "go", "late")

    assert finish(system, "dock-4").result == "early"
    assert is_empty(state_of(system, "dock", "False"))


def test_a_run_that_waits_can_be_cancelled(system: System) -> None:
    start(system, "dock-5", queues_at_the_dock, again=False)
    start(system, "dock-6", queues_at_the_dock, again=False)

    cancel(system, "dock-6")

    assert finish(system, "dock-6").status == "cancelled"
    assert list(state_of(system, "dock", "False").waiting) == []


def test_a_place_is_kept_over_generations(system: System) -> None:
    start(system, "dock-7", queues_at_the_dock, again=True)
    start(system, "dock-8", queues_at_the_dock, again=True)
    signal(system, "dock-7", "go", "again")

    assert system.world.read_run("dock-7").status == "continued"
    assert system.world.load_history("dock-8") == []

    sending.signal(system.world, "dock-7~2", "go", "done", signal_id="another")
    assert finish(system, "dock-7~2").result == "done"
    assert len(system.world.load_history("dock-8")) == 1
    assert len(state_of(system, "dock", "True").holders) == 1


def test_one_too_many_is_skipped(system: System) -> None:
    start(system, "dock-9", skips_the_dock)
    start(system, "dock-10", skips_the_dock)

    record = finish(system, "dock-10")
    assert (record.status, record.reason) == ("cancelled", "skipped: limit 'dock-skip' is held by run 'dock-9'")
    signal(system, "dock-9", "go")
    start(system, "dock-11", skips_the_dock)
    assert not system.world.read_run("dock-11").ended


def test_one_too_many_fails(system: System) -> None:
    start(system, "dock-12", fails_at_the_dock)
    start(system, "dock-13", fails_at_the_dock)

    error = finish(system, "dock-13").error
    assert error and error.message == "limit 'dock-fail' is held by run 'dock-12'"
    assert error.type == "worldflow.engine.errors:LimitExceededError"


def test_the_newest_takes_the_place_of_the_oldest(system: System) -> None:
    for run_id in ("dock-14", "dock-15", "dock-16"):
        start(system, run_id, replaces_the_oldest_at_the_dock)

    assert [system.world.read_run(run_id).status for run_id in ("dock-14", "dock-15")] == ["cancelled"] * 2
    signal(system, "dock-16", "go", "newest")
    assert finish(system, "dock-16").result == "newest"
    assert is_empty(state_of(system, "dock-oldest"))
