"""A step whose cancelled await waits for it: it is notified, or does not begin, and its outcome arrives either way."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from tests.support.crashes import (
    Crashes,
    CrashingWorld,
    When,
    die_at_each_call,
    die_often,
    persist,
    serve,
    settle,
    take_turn,
    whole_history,
)
from tests.support.office import Office, lose_steps, next_turn
from worldflow import Limit, RetryPolicy, sleep, step, step_info, workflow
from worldflow.engine.history import StepCancelRequested, StepFailed, TimerFired
from worldflow.runtime import sending, starting
from worldflow.turns.steps import StepExecutor
from worldflow.turns.turns import Turns
from worldflow.worlds import ledger
from worldflow.worlds.messages import Poke, StepTask

pytestmark = pytest.mark.usefixtures("quiet")

ran: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    ran.clear()


@step(retry=RetryPolicy(max_attempts=1), cancellation="wait")
async def waited_work() -> str:
    ran["work"] += 1
    return "done"


@workflow
async def waits_for_work(cancellation: str, guarantee: str = "", heartbeats: bool = False) -> str:
    waited: Any = waited_work.options(cancellation=cancellation, heartbeat_timeout="1h" if heartbeats else None)
    waited.guarantee = guarantee or waited.guarantee
    try:
        async with asyncio.timeout(10):
            return str(await waited())
    except TimeoutError as error:
        assert error.__cause__
        await sleep("1d")
        return repr(error.__cause__.__cause__)


def cancelled(world: CrashingWorld, turns: Turns, **arguments: Any) -> tuple[Office, list[StepTask]]:
    """The run when the time of its await is over, and the tasks that it has sent."""
    office = Office(world, waits_for_work, **arguments)
    world.acknowledge(world.receive("runs"))
    turns.take("run-1", [office.start()])
    tasks = [message for message in office.taken() if isinstance(message, StepTask)]
    lose_steps(world)
    next_turn(world, turns)
    return office, tasks


def test_a_step_that_runs_is_notified(world: CrashingWorld, turns: Turns) -> None:
    office, _ = cancelled(world, turns, cancellation="wait", heartbeats=True)

    assert office.history()[-1] == "StepCancelRequested"
    assert not ledger.beat(world, "run-1", "s1", 1, None)

    turns.take("run-1", [office.done("s1")])
    assert office.history()[-2:] == ["StepCompleted", "RunCompleted"]


def test_it_is_notified_again_where_the_turn_may_have_died(
    world: CrashingWorld, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled(world, turns, cancellation="wait")
    notified: list[str] = []
    monkeypatch.setattr(ledger, "abandon", lambda world, run_id, step_id, attempt, *, awaited: notified.append(step_id))

    turns.take("run-1", [Poke(run_id="run-1")])
    assert notified == ["s1"]


def test_a_step_that_is_abandoned_is_not(world: CrashingWorld, turns: Turns) -> None:
    office, (task,) = cancelled(world, turns, cancellation="abandon")

    assert office.history()[-2:] == ["StepAbandoned", "TimerStarted"]
    assert not ledger.is_abandoned(world, "run-1", "s1", 1)
    execute(world, task)
    assert ran["work"] == 1


def execute(world: CrashingWorld, task: StepTask, *, redelivered: bool = False) -> StepFailed | None:
    """Runs a task that has waited in the queue."""
    executor = StepExecutor(world)
    asyncio.run(executor.execute(task, redelivered=redelivered, sent_at=world.now() - timedelta(minutes=1)))
    executor.close()
    outcome = ledger.get_outcome(world, task.run_id, task.step_id, task.attempt)
    return outcome.fact if outcome and isinstance(outcome.fact, StepFailed) else None


@pytest.mark.parametrize("guarantee", ["at_least_once", "at_most_once"])
def test_an_attempt_that_has_not_begun_does_not(world: CrashingWorld, turns: Turns, guarantee: str) -> None:
    office, (task,) = cancelled(world, turns, cancellation="wait", guarantee=guarantee)

    failed = execute(world, task)
    assert failed and failed.error.message == "'waited_work' was cancelled before it began"
    assert ran["work"] == 0
    settle(world, turns)
    assert office.history()[-2:] == ["StepFailed", "TimerStarted"]


def test_an_attempt_that_may_have_begun_runs_again(world: CrashingWorld, turns: Turns) -> None:
    office, (task,) = cancelled(world, turns, cancellation="wait")

    assert execute(world, task, redelivered=True) is None
    assert ran["work"] == 1
    settle(world, turns)
    assert office.history()[-1] == "RunCompleted"


def test_an_attempt_whose_run_is_terminated_does_not_run_again(world: CrashingWorld, turns: Turns) -> None:
    _, (task,) = cancelled(world, turns, cancellation="wait")
    sending.terminate(world, "run-1")
    settle(world, turns)

    execute(world, task, redelivered=True)
    assert ran["work"] == 0


def test_one_that_must_not_run_again_is_interrupted(world: CrashingWorld, turns: Turns) -> None:
    _, (task,) = cancelled(world, turns, cancellation="wait", guarantee="at_most_once")
    ledger.claim(world, "run-1", "s1", 1)

    failed = execute(world, task, redelivered=True)
    assert failed and "outcome is unknown" in failed.error.message
    assert ran["work"] == 0


@pytest.mark.parametrize("inline", [False, True])
def test_a_step_of_the_same_commit_does_not_begin(world: CrashingWorld, turns: Turns, inline: bool) -> None:
    office = Office(world, cares, inline=inline)
    sending.cancel(world, "run-1")
    settle(world, turns)

    assert office.history() == [
        *("RunStarted", "TimerStarted", "StepScheduled"),
        *("CancelRequested", "StepCancelRequested", "StepFailed", "TimerCancelled", "RunCancelled"),
    ]
    assert ran["charge"] == 0


@workflow
async def does_not_wait() -> None:
    charging = asyncio.create_task(charge_with_care(1))
    try:
        await sleep("1h")
    finally:
        charging.cancel()
        await asyncio.sleep(0)


def test_a_run_that_ends_without_it_has_ended(world: CrashingWorld, turns: Turns) -> None:
    office = Office(world, does_not_wait)
    sending.cancel(world, "run-1")
    settle(world, turns)
    assert office.history()[-2:] == ["StepCancelRequested", "RunCancelled"]


@step(limit=Limit("hoist", concurrency=1), cancellation="wait")
async def lift_with_the_hoist() -> None: ...


@workflow
async def gives_up_at_the_hoist() -> None:
    async with asyncio.timeout(60):
        await lift_with_the_hoist()


def test_one_with_a_place_at_a_limit_does_not_begin_after_its_report(world: CrashingWorld, turns: Turns) -> None:
    office = Office(world, gives_up_at_the_hoist)
    turns.take("run-1", [office.start()])
    world.time += timedelta(minutes=2)
    turns.take("run-1", [office.fact(TimerFired(timer_id="t1"))])
    assert office.history()[-1] == "StepCancelRequested"
    office.taken()

    turns.take("run-1", [Poke(run_id="run-1")])
    tasks = [message for message in office.taken() if isinstance(message, StepTask)]
    assert tasks and all(task.report for task in tasks)


# --- crashes ---


@step(cancellation="wait", retry=RetryPolicy(max_attempts=3, initial_interval="9.5s", jitter=0))
async def charge_with_care(attempts: int) -> str:
    if step_info().attempt < attempts:
        raise ConnectionError("the bank is away")
    ran["charge"] += 1
    return "receipt"


@step
async def refund_with_care() -> None:
    ran["refund"] += 1


@workflow
async def cares(inline: bool = False, attempts: int = 1) -> str:
    try:
        async with asyncio.timeout(9):
            receipt = await charge_with_care.options(inline=inline)(attempts)
            try:
                await sleep("1h")
            except asyncio.CancelledError:
                await refund_with_care()
                raise
    except TimeoutError:
        return "refunded"
    return receipt


def test_an_attempt_that_a_fork_has_begun_at_once_is_waited_for(world: CrashingWorld, turns: Turns) -> None:
    """In the original it was due later, and would have been dropped."""
    starting.start(world, "r", cares, {"attempts": 2})
    settle(world, turns)
    after = next(event.seq for event in world.load_history("r") if isinstance(event, StepFailed))
    starting.fork(world, "r", "f", after=after)
    take_turn(world, turns)
    sending.cancel(world, "f")
    take_turn(world, turns)
    assert isinstance(world.load_history("f")[-1], StepCancelRequested)


def lived(crashes: Crashes, *, live_limit: int = 200, inline: bool = False) -> CrashingWorld:
    ran.clear()
    world = CrashingWorld(crashes)
    persist(lambda: starting.start(world, "r", cares, {"inline": inline, "attempts": 2}))
    serve(world, live_limit=live_limit)
    return world


def check(world: CrashingWorld) -> None:
    assert world.read_run("r").result == "refunded", world.crashed
    assert any(isinstance(event, StepCancelRequested) for event in whole_history(world, "r", cares))
    assert ran["charge"] >= 1 and ran["refund"] >= 1
    assert world._rows("select body from messages") == []


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_once(when: When) -> None:
    die_at_each_call(lived, check, when)


@pytest.mark.parametrize("seed", range(5))
def test_the_process_dies_many_times(seed: int) -> None:
    die_often(partial(lived, inline=True), check, seed)
