"""The limits of the code are others by the time that runs have their places: none is lost, and none is too many."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.crashes import Crash, Crashes, CrashingWorld, die_at_each_call, never, persist, settle
from worldflow import Limit, continue_as_new, step, wait_for_signal, workflow
from worldflow.engine.history.limit_state import Asker, LimitState
from worldflow.engine.history.limits import Declared, Rate
from worldflow.engine.workflow.ramps import workflow_for
from worldflow.runtime import sending, starting
from worldflow.runtime.limits import list_limits
from worldflow.turns import throttling
from worldflow.worlds import limits
from worldflow.worlds.outages import OutageError

pytestmark = pytest.mark.usefixtures("quiet")

BOATS = ("boat-1", "boat-2", "boat-3")


@workflow
async def lands_at_the_pier(again: bool = False) -> None:
    await wait_for_signal("go")
    if again:
        await continue_as_new(again=False)


@workflow(name="ferry")
async def small_ferry() -> None:
    await wait_for_signal("go")


@workflow(name="ferry", version=2, ramp=10, limit=Limit("ferries", concurrency=1))
async def large_ferry() -> None:
    await wait_for_signal("go")


@step(limit=Limit("bell", rate="100/1s", burst=100))
async def rings_the_bell(number: int) -> int:
    return number


@workflow
async def rings_twice(first: int) -> None:
    await rings_the_bell(first)
    await wait_for_signal("go")
    await rings_the_bell(first + 1)


def deploy(monkeypatch: pytest.MonkeyPatch, key: str | None, **options: object) -> None:
    """The workflow has this key at its limit from now on, or no limit."""
    limit = None if key is None else Limit("pier", concurrency=1, key=lambda: key, **options)  # type: ignore[arg-type]
    monkeypatch.setattr(lands_at_the_pier, "starts", replace(lands_at_the_pier.starts, limit=limit))


def state_of(world: CrashingWorld, name: str, key: str = "") -> LimitState:
    return limits.read(world, name, key)


def at(world: CrashingWorld, key: str) -> tuple[list[str], list[str]]:
    """Which runs hold a place at the pier, and which wait."""
    state = state_of(world, "pier", key)
    return [token.partition("@")[0] for token in state.holders], [token.partition("@")[0] for token in state.waiting]


def begun(world: CrashingWorld, *run_ids: str) -> list[str]:
    return [run_id for run_id in run_ids if world.load_history(run_id)]


def start_all(world: CrashingWorld) -> None:
    for run_id in BOATS:
        persist(lambda run_id=run_id: starting.start(world, run_id, lands_at_the_pier, {}))  # type: ignore[misc]
        settle(world)


def go(world: CrashingWorld, run_id: str) -> None:
    persist(lambda: sending.signal(world, run_id, "go", signal_id=f"go-{run_id}"))


def living(world: CrashingWorld) -> CrashingWorld:
    """Lets all happen that is due within twenty minutes, whichever processes die."""
    until = world.time + timedelta(minutes=20)
    while True:
        try:
            settle(world)
        except Crash:
            world.recover()
            continue
        due = world.next_due()
        if due is None or due > until:
            return world
        world.time = max(world.time, due)


@pytest.mark.parametrize("key", [None, "new"])
def test_a_limit_that_is_gone_lets_those_begin_that_wait(monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    def lived(crashes: Crashes = never, live_limit: int = 200) -> CrashingWorld:
        deploy(monkeypatch, "old")
        world = CrashingWorld()
        start_all(world)
        deploy(monkeypatch, key)
        world.calls.clear()
        world.crashes = crashes
        go(world, "boat-1")
        return living(world)

    def check(world: CrashingWorld) -> None:
        assert at(world, "old") == ([], []), world.crashed
        if key is None:
            assert begun(world, *BOATS) == list(BOATS), world.crashed
        else:
            (holders, waiting) = at(world, "new")
            assert begun(world, *BOATS) == ["boat-1", *holders] and len(waiting) == 1, world.crashed

    die_at_each_call(lived, check, "after")


def test_a_place_is_not_given_back_that_a_run_has_by_its_start(
    world: CrashingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(monkeypatch, "old")
    start_all(world)
    go(world, "boat-1")
    settle(world)
    deploy(monkeypatch, "new")

    assert at(living(world), "old") == (["boat-2"], []), "boat-3 has looked, and asks for the new place"
    assert at(world, "new")[0] == ["boat-3"]


def test_a_run_whose_start_came_before_its_place_leaves_the_line_when_it_is_cancelled(
    world: CrashingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(monkeypatch, "old")
    starting.start(world, "boat-1", lands_at_the_pier, {})
    starting.start(world, "boat-2", lands_at_the_pier, {}, delay="1m")
    sending.signal(world, "boat-2", "early")  # which records its start, before it asks
    settle(world)
    world.time += timedelta(minutes=2)
    settle(world)
    assert at(world, "old") == (["boat-1"], ["boat-2"])

    sending.cancel(world, "boat-2")
    settle(world)

    assert at(world, "old") == (["boat-1"], [])


@pytest.mark.parametrize("excess", ["skip", "fail", "cancel_oldest"])
def test_a_run_that_has_begun_waits_at_a_limit_that_is_new(
    world: CrashingWorld, monkeypatch: pytest.MonkeyPatch, excess: str
) -> None:
    deploy(monkeypatch, None)
    for run_id in BOATS[:2]:
        starting.start(world, run_id, lands_at_the_pier, {"again": True})
    settle(world)
    deploy(monkeypatch, "new", excess=excess)
    for run_id in BOATS[:2]:
        go(world, run_id)
        settle(world)

    assert at(world, "new") == (["boat-1~2"], ["boat-2~2"])
    assert [world.read_run(f"{run_id}~2").status for run_id in BOATS[:2]] == ["running", "pending"]


def test_a_limit_of_a_version_is_for_the_runs_of_its_ramp(world: CrashingWorld) -> None:
    ids = [f"ferry-{number}" for number in range(40)]
    for run_id in ids:
        starting.start(world, run_id, large_ferry, {})
    settle(world)

    large = [run_id for run_id in ids if workflow_for("ferry", run_id).version == 2]
    state = state_of(world, "ferries")
    assert [token.partition("@")[0] for token in (*state.holders, *state.waiting)] == large != []
    assert set(begun(world, *ids)) == set(ids) - set(large[1:])


def test_what_was_called_at_a_rate_holds_no_place(world: CrashingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    starting.start(world, "ann", rings_twice, {"first": 1})
    settle(world)
    monkeypatch.setattr(rings_the_bell, "limit", Limit("bell", concurrency=1))
    starting.start(world, "bob", rings_twice, {"first": 3})
    settle(world)
    assert state_of(world, "bell").places == []
    for run_id in ("ann", "bob"):
        go(world, run_id)
        settle(world)

    assert [world.read_run(run_id).status for run_id in ("ann", "bob")] == ["completed"] * 2
    assert state_of(world, "bell").places == []


def test_a_run_whose_input_cannot_be_read_now_does_not_begin_without_a_place(
    world: CrashingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise ConnectionError

    deploy(monkeypatch, "old")
    starting.start(world, "boat-1", lands_at_the_pier, {})
    starting.start(world, "boat-2", lands_at_the_pier, {})
    with monkeypatch.context() as patch:
        patch.setattr(throttling, "fetch", away)
        with pytest.raises(OutageError):
            settle(world)
    world.recover()
    settle(world)

    assert begun(world, *BOATS) == ["boat-1"]


def test_a_time_that_no_calendar_has_stops_nobody(world: CrashingWorld) -> None:
    asks, yearly = [Asker(f"gone/s{number}/1/0", reports=False) for number in range(9_000)], Rate(1, 366 * 86_400.0)
    limits.change(
        world,
        "bell",
        "",
        lambda state: state.plan(world.now(), asks=asks, declared=Declared(None, yearly), declared_at=1e12),
    )
    starting.start(world, "ann", rings_twice, {"first": 1})
    settle(world)

    assert list_limits(world) and world.read_run("ann").status == "running"
