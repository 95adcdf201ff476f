"""Runs that wait for their start, on every World: delayed, tried again, throttled, debounced and in batches."""

from datetime import timedelta

from tests.support.systems import System, finish, skip
from worldflow import Batch, Debounce, RetryPolicy, Throttle, wait_for_signal, workflow
from worldflow.runtime import sending, starting

EVERY_20_MINUTES = RetryPolicy(max_attempts=3, initial_interval="20m", max_interval="20m", jitter=0)


@workflow
async def waits_for_its_start() -> str:
    return await wait_for_signal("word", str)


@workflow(
    retry=RetryPolicy(max_attempts=3, initial_interval="20m", max_interval="20m", jitter=0), execution_timeout="1h"
)
async def fails_on_every_world() -> None:
    raise ConnectionError("away")


@workflow(throttle=Throttle("2/1m", key=lambda name: name))
async def throttled_on_every_world(name: str) -> str:
    return name


@workflow(debounce=Debounce("30s", max_wait="20m"))
async def debounced_on_every_world(value: str) -> str:
    return value


@workflow(batch=Batch(3, wait="10s"))
async def batched_on_every_world(rows: list[str]) -> int:
    return len(rows)


def test_a_delay(system: System) -> None:
    record, _ = starting.start(system.world, "r", waits_for_its_start, delay="1h")
    sending.signal(system.world, "r", "word", "early", signal_id="s")
    system.settle()
    system.restart()
    assert system.world.read_run("r").status == "pending"
    ended = finish(system, "r")
    assert ended.result == "early"
    assert ended.ended_at and record.start_at and ended.ended_at >= record.start_at


def test_a_cancelled_delay(system: System) -> None:
    starting.start(system.world, "r", waits_for_its_start, delay="1h")
    sending.cancel(system.world, "r")
    system.settle()
    assert system.world.read_run("r").status == "cancelled"
    assert system.next_due() is None


def test_attempts(system: System) -> None:
    starting.start(system.world, "r", fails_on_every_world)
    system.settle()
    system.restart()
    assert finish(system, "r~2").status == "continued"
    last = finish(system, "r~3")
    assert (last.status, last.attempt, last.max_attempts) == ("failed", 3, 3)


def test_a_throttle(system: System) -> None:
    for run_id in "abc":
        starting.start(system.world, run_id, throttled_on_every_world, {"name": "one"})
    system.settle()
    ends = [finish(system, run_id).ended_at for run_id in "abc"]
    assert ends[0] and ends[1] and ends[2]
    assert timedelta(seconds=29) < ends[1] - ends[0] and timedelta(seconds=29) < ends[2] - ends[1]


def test_a_debounce(system: System) -> None:
    for run_id in "abc":
        record, _ = starting.start(system.world, run_id, debounced_on_every_world, {"value": run_id * 70_000})
        assert record.run_id == "a"
        system.settle()
    system.restart()
    assert finish(system, "a").result == "c" * 70_000
    assert starting.start(system.world, "d", debounced_on_every_world, {"value": "d"})[0].run_id == "d"
    assert skip(system)


def test_a_batch(system: System) -> None:
    for run_id in "abcd":
        starting.start(system.world, run_id, batched_on_every_world, {"rows": [run_id]})
    system.settle()
    assert system.world.read_run("a").result == 3
    assert finish(system, "d").result == 1
