"""A step that takes too long has failed: also where its function died."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.crashes import CrashingWorld, serve
from tests.support.driver import Chance
from tests.support.office import lose_steps, next_turn, opened, wakes
from worldflow import RetryPolicy, StepInterruptedError, StepTimeoutError, sleep, step, step_info, workflow
from worldflow.engine.history import StepCompleted, StepFailed
from worldflow.runtime import starting
from worldflow.turns.steps import StepExecutor
from worldflow.turns.turns import Turns
from worldflow.worlds import ledger
from worldflow.worlds.messages import FactArrived, Poke, StepDue, StepTask

pytestmark = pytest.mark.usefixtures("quiet")

RETRY = RetryPolicy(max_attempts=2, initial_interval="10s", jitter=0)
ONCE = RetryPolicy(max_attempts=1)
ran: list[Any] = []


@step(timeout="1m", retry=RETRY)
async def limited_work() -> str:
    ran.append(step_info().attempt)
    return "done"


@step(timeout="1m", guarantee="at_most_once", retry=RETRY)
async def limited_once() -> str:
    ran.append(step_info().attempt)
    return "done"


@workflow
async def limited_run() -> str:
    try:
        return await limited_work()
    except StepTimeoutError as error:
        return f"late: {error}"


@workflow
async def limited_once_run() -> str:
    try:
        return await limited_once()
    except (StepTimeoutError, StepInterruptedError) as error:
        return type(error).__name__


@pytest.fixture(autouse=True)
def _fresh() -> None:
    ran.clear()


@pytest.fixture
def turns(world: CrashingWorld) -> Turns:
    return Turns(world, chance=Chance(0.5))


def execute(world: CrashingWorld, task: StepTask, **how: Any) -> None:
    asyncio.run(StepExecutor(world).execute(task, **how))


def test_a_task_goes_out_with_its_deadline_and_a_watch(world: CrashingWorld, turns: Turns):
    office = opened(world, turns, limited_run)
    (task,) = (message for message, _ in office.sent if isinstance(message, StepTask))
    ((watch, due),) = wakes(office, FactArrived)
    scheduled = world.load_history("run-1")[-1]
    assert task.deadline == due == scheduled.at + timedelta(minutes=1)
    assert task.timeout == 60
    assert isinstance(watch.fact, StepFailed)


def test_a_function_that_died_is_found_out(world: CrashingWorld, turns: Turns):
    office = opened(world, turns, limited_run)
    assert lose_steps(world) == 1
    next_turn(world, turns)
    assert office.history()[-2:] == ["StepFailed", "StepRetryScheduled"]
    assert next_turn(world, turns) == ["step_due"]
    serve(world)
    assert world.read_run("run-1").result == "done"
    assert ran == [2]


def test_each_attempt_has_its_own_time(world: CrashingWorld, turns: Turns):
    office = opened(world, turns, limited_run)
    kinds = []
    while office.status() == "running":
        lose_steps(world)
        kinds += next_turn(world, turns)
    assert kinds == ["fact", "step_due", "fact"]
    assert "late: step 'limited_work', attempt 2" in world.read_run("run-1").result
    started, failed, again, failed_again = _times(world)
    assert failed - started >= timedelta(minutes=1)
    assert failed_again - again >= timedelta(minutes=1)


def _times(world: CrashingWorld) -> list[datetime]:
    history = world.load_history("run-1")
    scheduled, *_ = (event.at for event in history if event.event_type == "StepScheduled")
    (due,) = (event.due for event in history if event.event_type == "StepRetryScheduled")
    first, second = (event.at for event in history if isinstance(event, StepFailed))
    return [scheduled, first, due, second]


def test_a_step_in_time_takes_its_watch_back(world: CrashingWorld, turns: Turns):
    office = opened(world, turns, limited_run)
    turns.take("run-1", [office.done("s1", "in time")])
    serve(world)
    assert world.next_due() is None
    assert "cancel_delayed" in world.calls


def test_a_late_outcome_is_dropped(world: CrashingWorld, turns: Turns):
    office = opened(world, turns, limited_run)
    ((watch, _),) = wakes(office, FactArrived)
    turns.take("run-1", [watch])
    history = office.history()
    turns.take("run-1", [office.done("s1", "late")])
    assert office.history() == history
    turns.take("run-1", [office.done("s1", "again", attempt=2)])
    assert world.read_run("run-1").result == "again"


def test_a_watch_that_comes_after_the_outcome_is_dropped(world: CrashingWorld, turns: Turns):
    @workflow
    async def goes_on() -> str:
        await limited_work()
        await sleep("1d")
        return "slept"

    office = opened(world, turns, goes_on)
    ((watch, _),) = wakes(office, FactArrived)
    turns.take("run-1", [office.done("s1")])
    history = office.history()
    turns.take("run-1", [watch])
    assert office.history() == history


def test_a_task_that_comes_after_its_deadline_is_not_run(world: CrashingWorld, turns: Turns):
    office = opened(world, turns, limited_run)
    (task,) = (message for message in office.taken() if isinstance(message, StepTask))
    world.time += timedelta(minutes=2)
    execute(world, task)
    assert ran == []
    assert office.kinds() == []
    assert ledger.get_outcome(world, "run-1", "s1", 1) is None


def test_an_outcome_that_is_recorded_is_told_after_the_deadline_too(world: CrashingWorld, turns: Turns):
    office = opened(world, turns, limited_run)
    (task,) = (message for message in office.taken() if isinstance(message, StepTask))
    execute(world, task)
    world.time += timedelta(minutes=2)
    office.taken()
    execute(world, task, redelivered=True)
    assert ran == [1]
    assert office.kinds() == ["fact s1/1"]


def test_the_watch_may_come_before_the_retrys_own(world: CrashingWorld, turns: Turns):
    """An attempt fails by itself, and then its watch comes: it is not the next attempt's."""
    office = opened(world, turns, limited_run)
    ((watch, _),) = wakes(office, FactArrived)
    turns.take("run-1", [office.failed("s1", OSError())])
    history = office.history()
    turns.take("run-1", [watch])
    assert office.history() == history


@pytest.mark.parametrize("begun", [True, False])
def test_an_at_most_once_attempt_that_timed_out_is_not_tried_again(world: CrashingWorld, turns: Turns, begun: bool):
    opened(world, turns, limited_once_run)
    if begun:
        assert ledger.claim(world, "run-1", "s1", 1)
    lose_steps(world)
    next_turn(world, turns)
    assert world.read_run("run-1").result == "StepTimeoutError"


def test_a_retried_run_gives_its_step_all_its_time(world: CrashingWorld, turns: Turns):
    @workflow
    async def hasty() -> str:
        return await limited_work.options(retry=ONCE)()

    office = opened(world, turns, hasty)
    turns.take("run-1", [office.failed("s1", OSError())])
    lose_steps(world)
    world.time += timedelta(days=1)
    starting.retry(world, "run-1")
    serve(world)
    assert world.read_run("run-1~2").result == "done"
    assert ran == [1]


def test_a_redo_sets_the_watch_again(world: CrashingWorld, turns: Turns):
    office = opened(world, turns, limited_run)
    ((_, due),) = wakes(office, FactArrived)
    office.taken()
    turns.take("run-1", [Poke(run_id="run-1")])
    assert [moment for _, moment in wakes(office, FactArrived)] == [due]


# --- at most once, on the executor ---


def once_task(**fields: Any) -> StepTask:
    return StepTask(run_id="run-1", step_id="s1", name="limited_once", at_most_once=True, **fields)


def told(world: CrashingWorld) -> list[Any]:
    facts = []
    while deliveries := world.receive("runs"):
        facts += [delivery.message.fact for delivery in deliveries if isinstance(delivery.message, FactArrived)]
        world.acknowledge(deliveries)
    return facts


def test_a_marker_is_written_before_the_step_runs(world: CrashingWorld):
    execute(world, once_task())
    assert world.calls == ["claim", "put_outcome", "send"]
    assert isinstance(told(world)[0], StepCompleted)


@pytest.mark.parametrize("how", [{"redelivered": True}, {}], ids=["redelivered", "a copy"])
def test_an_attempt_that_was_begun_is_interrupted(world: CrashingWorld, how: dict[str, bool]):
    assert ledger.claim(world, "run-1", "s1", 1)
    execute(world, once_task(), **how)
    (fact,) = told(world)
    assert ran == []
    assert isinstance(fact, StepFailed)
    assert fact.error.type.endswith(":StepInterruptedError")
    assert not fact.retryable


def test_an_attempt_that_was_begun_and_has_an_outcome_is_told_again(world: CrashingWorld):
    execute(world, once_task())
    execute(world, once_task(), redelivered=True)
    assert ran == [1]
    assert [type(fact) for fact in told(world)] == [StepCompleted, StepCompleted]


def test_the_next_attempt_has_a_marker_of_its_own(world: CrashingWorld):
    ledger.claim(world, "run-1", "s1", 1)
    execute(world, once_task(attempt=2))
    assert ran == [2]


def test_a_dead_letter_of_an_at_most_once_attempt_is_final(world: CrashingWorld):
    StepExecutor(world).bury(once_task())
    (fact,) = told(world)
    assert not fact.retryable
    assert ran == []


def test_a_wake_of_an_at_most_once_retry(world: CrashingWorld, turns: Turns):
    office = opened(world, turns, limited_once_run)
    turns.take("run-1", [office.failed("s1", OSError())])
    office.taken()
    turns.take("run-1", [StepDue(run_id="run-1", step_id="s1", attempt=2)])
    assert office.kinds() == ["step s1/2 redo"]
    lost = lose_steps(world)
    assert lost == 2
