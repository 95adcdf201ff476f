"""How long a step's attempt waited in its queue before it began: its outcome says so, and nothing else knows."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.systems import Clock, System, finish, start, story
from worldflow import RetryPolicy, step, workflow
from worldflow.engine.history import StepCompleted, StepFailed
from worldflow.engine.history.spans import spans_of

MINUTE = timedelta(minutes=1)
clocks: list[Clock] = []
failing: list[str] = []


@pytest.fixture(autouse=True)
def clock_of_steps(system: System) -> Iterator[None]:
    clocks[:] = [system.clock]
    yield
    clocks.clear()
    failing.clear()


@step(retry=RetryPolicy(max_attempts=2, initial_interval=3600, jitter=0))
async def takes_a_minute(name: str) -> str:
    clocks[0].forward(clocks[0].now() + MINUTE)
    if name in failing:
        failing.remove(name)
        raise ConnectionError("no")
    return name


@step(inline=True)
async def waits_in_no_queue(name: str) -> str:
    return name


@workflow
async def two_in_a_queue() -> list[str]:
    """Each World runs one step at a time: the second one waits for the first."""
    return await asyncio.gather(takes_a_minute("first"), takes_a_minute("second"))


@workflow
async def never_in_a_queue() -> str:
    return await waits_in_no_queue("inline")


def outcomes(system: System, run_id: str) -> list[StepCompleted | StepFailed]:
    return [event for event in system.world.read_events(run_id) if isinstance(event, (StepCompleted, StepFailed))]


def test_an_attempt_says_how_long_it_waited(system: System):
    start(system, "queued", two_in_a_queue)
    first, second = outcomes(system, "queued")
    assert first.waited is None or first.waited < 1
    assert second.waited == pytest.approx(60, abs=1)


def test_each_attempt_has_its_own_wait(system: System):
    failing.append("second")
    start(system, "queued-again", two_in_a_queue)
    finish(system, "queued-again")
    _, failed, completed = outcomes(system, "queued-again")
    assert isinstance(failed, StepFailed)
    assert failed.waited == pytest.approx(60, abs=1)
    assert completed.waited is None or completed.waited < 1  # it was due in an hour, in no queue of steps


def test_a_bar_is_divided_where_its_attempt_began(system: System):
    start(system, "queued-bars", two_in_a_queue)
    _, second = spans_of(system.world.read_events("queued-bars"))
    (attempt,) = second.attempts
    assert attempt.end
    assert attempt.began - attempt.begin == pytest.approx(MINUTE, abs=timedelta(seconds=1))
    assert attempt.end - attempt.began == pytest.approx(MINUTE, abs=timedelta(seconds=1))


def test_an_inline_step_waits_in_no_queue(system: System):
    start(system, "never-queued", never_in_a_queue)
    assert [fact.waited for fact in outcomes(system, "never-queued")] == [None]


def test_a_wait_changes_no_decision(system: System):
    """The run is replayed from its history, in which the second step says that it waited."""
    start(system, "queued-replayed", two_in_a_queue)
    before = story(system, "queued-replayed")
    system.restart()
    assert system.world.read_run("queued-replayed").result == ["first", "second"]
    start(system, "queued-replayed", two_in_a_queue)
    assert story(system, "queued-replayed") == before
