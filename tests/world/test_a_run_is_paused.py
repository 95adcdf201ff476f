"""While a run is paused its code does not run and no step of it begins; what comes for it is kept."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.systems import System, cancel, finish, skip, start
from worldflow import (
    RetryPolicy,
    RunEndedError,
    now,
    sleep,
    step,
    step_info,
    wait_for_signal,
    workflow,
    workflow_info,
)
from worldflow.runtime import sending, starting

calls: list[str] = []


@step
async def works_in_a_pause(what: str) -> str:
    calls.append(what)
    return what


@step(inline=True)
async def works_inline_in_a_pause(what: str) -> str:
    calls.append(what)
    return what


@step(retry=RetryPolicy(max_attempts=2, initial_interval="1h", jitter=0), timeout="10m")
async def needs_two_attempts() -> int:
    calls.append(f"attempt {step_info().attempt}")
    if step_info().attempt == 1:
        raise ValueError("not yet")
    return step_info().attempt


@workflow
async def pausable_flow() -> list[Any]:
    got: list[Any] = []
    async for word in wait_for_signal("word"):
        if word == "end":
            break
        got += [await works_inline_in_a_pause(f"inline {word}"), await works_in_a_pause(word)]
    return [*got, workflow_info().history_length]


@workflow
async def retries_over_a_pause() -> int:
    return await needs_two_attempts()


@workflow
async def sleeps_over_a_pause() -> float:
    began = now()
    await sleep("1h")
    return (now() - began) / timedelta(hours=1)


@workflow
async def cleans_up_after_a_pause() -> None:
    try:
        await wait_for_signal("word")
    finally:
        await works_in_a_pause("clean up")


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


def signal(system: System, run_id: str, name: str, value: Any = None) -> None:
    sending.signal(system.world, run_id, name, value)
    system.settle()


def pause(system: System) -> None:
    sending.pause(system.world, "r", "an incident", by="Grace")
    system.settle()


def unpause(system: System) -> None:
    sending.unpause(system.world, "r")
    system.settle()


@pytest.mark.parametrize("restarts", [False, True], ids=["warm", "cold"])
def test_signals_are_kept_in_order_and_nothing_runs_until_then(system: System, restarts: bool) -> None:
    start(system, "r", pausable_flow)
    pause(system)
    signal(system, "r", "word", "one")
    signal(system, "r", "word", "two")
    if restarts:
        system.restart()
    assert calls == []
    unpause(system)
    assert calls == ["inline one", "one", "inline two", "two"]
    if restarts:
        system.restart()
    signal(system, "r", "word", "end")
    record = finish(system, "r")
    assert record.result[:-1] == ["inline one", "one", "inline two", "two"]
    assert record.result[-1] == record.seq - 1, "a process that was there all along counts as one that replays"


def test_the_record_says_since_when_by_whom_and_why(system: System) -> None:
    start(system, "r", pausable_flow)
    pause(system)
    record = system.world.read_run("r")
    assert record.status == "paused" and record.paused is not None
    assert (record.paused.by, record.paused.reason) == ("Grace", "an incident")
    assert [run.run_id for run in system.world.list_runs(status="paused").runs] == ["r"]
    unpause(system)
    record = system.world.read_run("r")
    assert (record.status, record.paused) == ("running", None)


def test_a_run_that_has_not_begun_waits_with_its_start(system: System) -> None:
    starting.start(system.world, "r", cleans_up_after_a_pause, {})
    pause(system)
    assert system.world.read_run("r").status == "paused"
    assert system.world.load_history("r")[0].held
    unpause(system)
    signal(system, "r", "word")
    assert finish(system, "r").status == "completed" and calls == ["clean up"]


def test_a_timer_waits_for_the_end_of_the_pause(system: System) -> None:
    start(system, "r", sleeps_over_a_pause)
    pause(system)
    assert skip(system)
    assert system.world.read_run("r").status == "paused"
    unpause(system)
    assert finish(system, "r").result >= 1


def test_a_step_that_is_running_finishes(system: System) -> None:
    start(system, "r", pausable_flow)
    sending.signal(system.world, "r", "word", "one")
    turn = system.receive("runs")
    system.reject(turn)
    system.settle()
    pause(system)
    assert calls == ["inline one", "one"]


def test_a_retry_begins_after_the_pause_with_all_its_time(system: System) -> None:
    start(system, "r", retries_over_a_pause)
    pause(system)
    assert skip(system)
    sending.resume(system.world, "r")
    system.settle()
    assert calls == ["attempt 1"], "a turn that acts again on all that is open does not begin it"
    while skip(system):
        pass
    assert calls == ["attempt 1"], "its time has come and gone, and its timeout"
    unpause(system)
    assert finish(system, "r").result == 2
    assert calls == ["attempt 1", "attempt 2"]


def test_a_second_attempt_that_hangs_has_its_timeout_from_the_end_of_the_pause(system: System) -> None:
    start(system, "r", retries_over_a_pause)
    pause(system)
    assert skip(system)
    sending.unpause(system.world, "r")
    system.reject(system.receive("runs"))
    assert finish(system, "r").result == 2


def test_cancelling_ends_the_pause_so_that_it_can_clean_up(system: System) -> None:
    start(system, "r", cleans_up_after_a_pause)
    pause(system)
    cancel(system, "r")
    assert finish(system, "r").status == "cancelled" and calls == ["clean up"]


def test_terminating_runs_no_code(system: System) -> None:
    start(system, "r", cleans_up_after_a_pause)
    pause(system)
    sending.terminate(system.world, "r")
    assert finish(system, "r").status == "cancelled" and calls == []
    with pytest.raises(RunEndedError):
        sending.pause(system.world, "r")


def test_pausing_twice_and_unpausing_twice_does_no_harm(system: System) -> None:
    start(system, "r", cleans_up_after_a_pause)
    for act in (unpause, pause, pause, unpause, unpause, pause, unpause):
        act(system)
    kinds = [event.event_type for event in system.world.load_history("r") if "aused" in event.event_type]
    assert kinds == ["RunPaused", "RunUnpaused"] * 2
    signal(system, "r", "word")
    assert finish(system, "r").status == "completed"


def test_what_comes_in_one_batch_counts_in_its_order(system: System) -> None:
    start(system, "r", pausable_flow)
    sending.pause(system.world, "r")
    sending.signal(system.world, "r", "word", "one")
    sending.unpause(system.world, "r")
    sending.signal(system.world, "r", "word", "two")
    sending.pause(system.world, "r")
    system.settle()
    assert system.world.read_run("r").status == "paused"
    unpause(system)
    signal(system, "r", "word", "end")
    assert finish(system, "r").result[:-1] == ["inline one", "one", "inline two", "two"]
    assert sorted(set(calls)) == sorted(calls)


def test_a_fork_of_a_paused_run_is_not_paused(system: System) -> None:
    start(system, "r", pausable_flow)
    pause(system)
    signal(system, "r", "word", "one")
    starting.fork(system.world, "r", "f", after=3)
    system.settle()
    assert system.world.read_run("f").status == "running"
    assert calls == ["inline one", "one"]
