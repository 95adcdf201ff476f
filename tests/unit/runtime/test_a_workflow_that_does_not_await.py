"""A workflow that runs on and on is stopped: its run is blocked and says where it was, and others go on."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from functools import partial

import pytest

from tests.support.crashes import CrashingWorld, settle
from worldflow import WorkflowStuckError, publish, step, wait_for_signal, workflow
from worldflow.engine.workflow import definitions
from worldflow.engine.workflow.execution import Execution
from worldflow.runtime import queries, sending, starting
from worldflow.turns import watchdog
from worldflow.turns.turns import Turns

LIMIT = 0.3


@step
async def labour(n: int) -> int:
    return n


@workflow
async def waits_for_nothing_else() -> None:
    await wait_for_signal("go")


async def spins() -> int:
    done = await labour(1)
    while True:
        done += 1  # forever


async def swallows() -> int:
    for _ in range(3):
        try:
            while True:
                pass
        except BaseException:
            continue
    return await labour(1)


async def awaits_nothing_real() -> int:
    while True:
        await asyncio.sleep(0)


async def good() -> int:
    return await labour(1)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "_INTERVAL", 0.05)


@pytest.fixture
def turns(world: CrashingWorld) -> Turns:
    return Turns(world, cpu_limit=LIMIT)


def deploy(function: Callable[..., object]) -> None:
    definitions._workflows._versions["shop"] = {1: definitions.Workflow(function, "shop")}


@pytest.mark.parametrize(
    ("function", "place"),
    [
        (spins, f"it was in spins, {re.escape(__file__)}:"),
        (swallows, f"it was in swallows, {re.escape(__file__)}:"),
        (awaits_nothing_real, "awaits_nothing_real|its tasks keep waking each other"),
    ],
)
def test_its_run_is_blocked_and_goes_on_when_its_code_is_mended(
    world: CrashingWorld, turns: Turns, function, place: str
) -> None:
    deploy(function)
    starting.start(world, "r", "shop")
    settle(world, turns)

    blocked = world.read_run("r")
    assert blocked.status == "blocked"
    assert blocked.blocked_reason
    assert "300ms of processor time without awaiting" in blocked.blocked_reason
    assert re.search(place, blocked.blocked_reason)

    deploy(good)
    sending.resume(world, "r")
    settle(world, turns)
    assert world.read_run("r").result == 1


def test_others_go_on(world: CrashingWorld, turns: Turns) -> None:
    deploy(spins)
    definitions._workflows._versions["other"] = {1: definitions.Workflow(good, "other")}
    starting.start(world, "r", "shop")
    starting.start(world, "s", "other")
    settle(world, turns)

    assert world.read_run("s").result == 1
    assert world.read_run("r").status == "blocked"


def test_a_history_that_takes_long_to_replay_is_progress(world: CrashingWorld) -> None:
    async def busy() -> int:
        for number in range(6):
            await labour(number)
            _use_cpu(0.05)
        await wait_for_signal("go")
        return 6

    deploy(busy)
    starting.start(world, "r", "shop")
    settle(world, Turns(world, cpu_limit=0.2))
    sending.signal(world, "r", "go")
    settle(world, Turns(world, cpu_limit=0.2))

    assert world.read_run("r").result == 6


def _use_cpu(seconds: float) -> None:
    clock = watchdog._cpu_clock()
    until = clock() + seconds
    while clock() < until:
        pass


def test_a_query_does_not_hang(world: CrashingWorld, turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    async def published() -> None:
        publish("answer", spin)
        await wait_for_signal("go")

    def spin() -> int:
        while True:
            pass

    deploy(published)
    starting.start(world, "r", "shop")
    settle(world, turns)
    monkeypatch.setattr(queries, "watched", partial(watchdog.watched, limit=LIMIT))

    with pytest.raises(WorkflowStuckError, match=r"it was in .*spin"):
        queries.query(world, "r", "answer")


def test_what_was_stopped_too_late_is_left_alone() -> None:
    """The exception may be on its way when the call ends: it must not come later, somewhere else."""

    def spin() -> None:
        while not watchdog._watchdog._watches[threading.get_ident()].stuck_at:
            pass

    for _ in range(5):
        with pytest.raises(WorkflowStuckError):
            watchdog.watched(Execution("r", waits_for_nothing_else), spin, 0.02)
        _use_cpu(0.02)
    assert not watchdog._watchdog._watches


def test_a_thread_that_was_sent_nothing_is_left_alone(
    world: CrashingWorld, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taking back what was never sent would hang Python 3.11 in the next call that is traced, by coverage for one."""
    sent: list[object] = []
    monkeypatch.setattr(watchdog, "_send", lambda *what: sent.append(what))
    deploy(good)
    starting.start(world, "r", "shop")
    settle(world, turns)

    assert world.read_run("r").result == 1
    assert sent == []


def test_an_error_of_the_code_itself_is_its_own() -> None:
    with pytest.raises(ZeroDivisionError):
        watchdog.watched(Execution("r", waits_for_nothing_else), lambda: 1 / 0, LIMIT)
