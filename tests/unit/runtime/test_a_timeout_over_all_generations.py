"""`execution_timeout` counts over all generations and attempts of a run; `timeout` begins anew with each."""

from datetime import timedelta

import pytest

from tests.support.crashes import CrashingWorld, serve, whole_history
from worldflow import ConfigurationError, RetryPolicy, continue_as_new, sleep, wait_for_signal, workflow
from worldflow.engine.history import RunStarted
from worldflow.runtime import starting

pytestmark = pytest.mark.usefixtures("quiet")


EVERY_25_MINUTES = RetryPolicy(max_attempts=10, initial_interval="25m", backoff=1, max_interval="25m", jitter=0)


@workflow(execution_timeout="1h", timeout="40m")
async def goes_on_for_ever() -> None:
    await sleep("25m")
    continue_as_new()


@workflow(execution_timeout="1h")
async def waits_too_long() -> None:
    await wait_for_signal("never")


@workflow(execution_timeout="1h", retry=EVERY_25_MINUTES)
async def fails_for_an_hour() -> None:
    raise ConnectionError


@workflow(execution_timeout="1h", retry=RetryPolicy(max_attempts=9))
async def times_out_once() -> None:
    await sleep("2h")


def began(world: CrashingWorld, run_id: str) -> RunStarted:
    started = world.read_events(run_id)[0]
    assert isinstance(started, RunStarted)
    return started


def test_it_ends_the_generation_that_is_under_way(world: CrashingWorld) -> None:
    starting.start(world, "r", goes_on_for_ever, delay="1d")
    serve(world)
    assert [world.read_run(one).status for one in ("r", "r~2", "r~3")] == ["continued", "continued", "failed"]
    last = world.read_run("r~3")
    assert last.error and last.error.type == "builtins:TimeoutError"
    assert last.error.message == "the workflow took longer than 1h, all generations together"
    assert last.ended_at and last.ended_at - began(world, "r").at < timedelta(hours=1, seconds=1)
    assert world.get_run("r~4") is None
    for run_id in ("r", "r~2", "r~3"):
        whole_history(world, run_id, goes_on_for_ever)


def test_it_ends_a_single_generation(world: CrashingWorld) -> None:
    starting.start(world, "r", waits_too_long)
    serve(world)
    ended = world.read_run("r")
    assert ended.status == "failed" and ended.ended_at
    assert timedelta(hours=1) <= ended.ended_at - began(world, "r").at < timedelta(hours=1, seconds=1)


def test_no_attempt_starts_after_it(world: CrashingWorld) -> None:
    starting.start(world, "r", fails_for_an_hour)
    serve(world)
    assert [world.read_run(one).status for one in ("r", "r~2", "r~3")] == ["continued", "continued", "failed"]
    assert world.read_run("r~3").error.type == "builtins:ConnectionError"  # type: ignore[union-attr]


def test_it_is_no_reason_to_try_again(world: CrashingWorld) -> None:
    starting.start(world, "r", times_out_once)
    serve(world)
    assert world.read_run("r").status == "failed"


def test_a_retry_on_request_begins_to_count_anew(world: CrashingWorld) -> None:
    starting.start(world, "r", waits_too_long)
    serve(world)
    starting.retry(world, "r")
    serve(world)
    again = world.read_run("r~2")
    assert again.status == "failed" and again.ended_at and again.ended_at - again.created_at >= timedelta(hours=1)
    whole_history(world, "r~2", waits_too_long)


def test_it_must_be_greater_than_zero() -> None:
    with pytest.raises(ConfigurationError, match=r"execution_timeout=...\) of at_once must be greater than zero"):

        @workflow(name="at_once", execution_timeout=0)
        async def never_runs() -> None: ...
