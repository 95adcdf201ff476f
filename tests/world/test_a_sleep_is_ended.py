"""`wake` ends sleeps before their time, and timeouts only by name."""

import asyncio
from datetime import timedelta

import pytest

from tests.support.systems import System, finish, start
from worldflow import InvalidInputError, RunEndedError, now, sleep, wait_for_signal, workflow
from worldflow.runtime import sending


@workflow
async def sleeps_in_time() -> list[float]:
    began = now()
    slept = []
    async with asyncio.timeout(10 * 86_400):
        for days in ("2d", "3d"):
            await asyncio.gather(sleep(days), sleep(1))
            slept.append(round((now() - began).total_seconds()))
    return slept


@workflow
async def waits_in_time() -> str:
    try:
        async with asyncio.timeout(10 * 86_400):
            await wait_for_signal("never")
    except TimeoutError:
        return "out of time"
    return "heard"


def kinds(system: System) -> list[str]:
    return [f"{event.event_type} {getattr(event, 'timer_id', '')}" for event in system.world.load_history("r")]


def test_all_that_sleeps_goes_on_at_once_and_a_timeout_stays(system: System) -> None:
    start(system, "r", sleeps_in_time)
    assert sending.wake(system.world, "r") == 2
    system.settle()
    assert [kind for kind in kinds(system) if "Cancelled" in kind] == [], "the timeout is open"
    assert sending.wake(system.world, "r", "t4") == 1
    assert finish(system, "r").result == [0, 1]


def test_asked_twice_it_ends_one_sleep_once(system: System) -> None:
    start(system, "r", sleeps_in_time)
    assert [sending.wake(system.world, "r", "t2") for _ in range(2)] == [1, 1]
    system.settle()
    assert sending.wake(system.world, "r", "t2") == 0
    assert kinds(system).count("TimerFired t2") == 1


def test_a_timeout_is_ended_by_its_id(system: System) -> None:
    start(system, "r", waits_in_time)
    assert sending.wake(system.world, "r") == 0
    assert sending.wake(system.world, "r", "t1") == 1
    assert finish(system, "r").result == "out of time"


def test_nothing_is_left_that_would_fire_later(system: System) -> None:
    start(system, "r", waits_in_time)
    sending.wake(system.world, "r", "t1")
    finish(system, "r")
    assert system.next_due() is None


def test_a_timer_that_the_run_has_not_started_is_refused(system: System) -> None:
    start(system, "r", waits_in_time)
    with pytest.raises(InvalidInputError, match=r"run 'r' has started no timer 't9': its open timers are t1"):
        sending.wake(system.world, "r", "t9")


def test_a_run_that_has_ended_is_not_woken(system: System) -> None:
    start(system, "r", waits_in_time)
    sending.wake(system.world, "r", "t1")
    finish(system, "r")
    with pytest.raises(RunEndedError):
        sending.wake(system.world, "r")


def test_a_sleep_replays_as_it_was_ended(system: System) -> None:
    start(system, "r", sleeps_in_time)
    sending.wake(system.world, "r", "t2")
    system.settle()
    system.restart()
    sending.wake(system.world, "r")
    system.settle()
    events = system.world.load_history("r")
    woken = [event.at - events[0].at for event in events if event.event_type == "TimerFired"]
    assert max(woken) < timedelta(minutes=1)
    sending.wake(system.world, "r")
    assert finish(system, "r").status == "completed"
