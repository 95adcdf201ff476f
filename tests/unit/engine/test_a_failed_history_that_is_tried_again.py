"""`retry`: a failed run goes on from what it failed of."""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.driver import Drive, Driver
from tests.support.steps import work
from worldflow import InvalidInputError, RetryPolicy, on_update, sleep, step, wait_for_signal, workflow
from worldflow.engine.history import (
    Applied,
    Fact,
    RunEnded,
    RunFailed,
    SignalReceived,
    StepFailed,
    StepRetryScheduled,
    TimerFired,
)
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.history.forking import retried


@step(retry=RetryPolicy(max_attempts=2, initial_interval="1m", jitter=0))
async def retry_charge(amount: int = 1) -> str: ...


@step(retry=RetryPolicy(max_attempts=1))
async def retry_undo() -> None: ...


@workflow
async def retry_kid() -> str: ...


@workflow
async def retry_paying() -> str:
    await work()
    return await retry_charge()


def going_on(run: Driver) -> Driver:
    again = run.going_on(retried(run.history, "run-1~2"), "run-1~2")
    assert [event.seq for event in again.history] == list(range(1, len(again.history) + 1))
    assert not again.ended
    return again


def failed(run: Driver) -> Driver:
    assert isinstance(run.state.ended, RunFailed)
    return run


def test_the_step_that_failed_is_open_again_with_all_its_attempts(drive: Drive):
    run = drive(retry_paying)
    run.complete(work)
    run.fail(retry_charge, OSError("1"), retryable=True)
    run.fail(retry_charge, OSError("2"), retryable=True)
    again = going_on(failed(run))
    assert again.open_steps() == ["s2"]
    assert again.state.steps["s2"].attempt == 1
    again.fail(retry_charge, OSError("3"), retryable=True)
    assert again.decided == ["StepRetryScheduled"]
    again.complete(retry_charge, "paid")
    assert again.result() == "paid"


def test_steps_that_succeeded_are_not_run_again(drive: Drive):
    run = drive(retry_paying)
    run.complete(work, "worked")
    run.fail(retry_charge, OSError())
    assert [event.event_type for event in going_on(run).history] == [
        "RunStarted",
        "StepScheduled",
        "StepCompleted",
        "StepScheduled",
    ]


def test_what_the_workflow_did_in_answer_to_the_failure_is_forgotten(drive: Drive):
    @workflow
    async def compensating() -> str:
        try:
            return await retry_charge()
        except OSError:
            await retry_undo()
            await sleep(10)
            raise

    run = drive(compensating)
    run.fail(retry_charge, OSError("declined"))
    run.complete(retry_undo)
    run.fire()
    again = going_on(failed(run))
    assert again.open_steps() == ["s1"]
    again.complete(retry_charge, "paid")
    assert again.result() == "paid"


def test_a_failure_that_was_raised_from_another(drive: Drive):
    @workflow
    async def wrapping() -> str:
        try:
            return await retry_charge()
        except OSError as error:
            raise LookupError("no money") from error

    run = drive(wrapping)
    run.fail(retry_charge, OSError("declined"))
    again = going_on(failed(run))
    again.complete(retry_charge, "paid")
    assert again.result() == "paid"


def test_a_failure_in_a_group(drive: Drive):
    @workflow
    async def grouped() -> list[str]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(retry_charge(n)) for n in range(3)]
        return [task.result() for task in tasks]

    run = drive(grouped)
    run.complete("s1", "a")
    run.fail("s2", OSError("declined"))
    again = going_on(failed(run))
    # What the failure made the group abandon is open again too.
    assert again.open_steps() == ["s2", "s3"]
    again.complete("s3", "c")
    again.complete("s2", "b")
    assert again.result() == ["a", "b", "c"]


def test_of_several_failures_it_is_the_last_that_the_run_failed_of(drive: Drive):
    @workflow
    async def forgiving() -> str:
        with contextlib.suppress(OSError):
            await retry_undo()
        return await retry_charge()

    run = drive(forgiving)
    run.fail(retry_undo, OSError("first"))
    run.fail(retry_charge, OSError("second"))
    again = going_on(failed(run))
    assert again.open_steps() == ["s2"]


def test_a_child_that_failed_is_started_anew(drive: Drive):
    @workflow
    async def parent() -> str:
        await work()
        return await retry_kid()

    run = drive(parent)
    run.complete(work)
    run.child_fails("c1", OSError("kid"))
    again = going_on(failed(run))
    assert [child.started.child_run_id for child in again.state.children.values()] == ["run-1~2~c1"]
    again.child_completes("c1", "grown")
    assert again.result() == "grown"


# --- the workflow's own code ---


@pytest.fixture
def broken() -> Iterator[list[bool]]:
    is_broken.append(True)
    yield is_broken
    is_broken.clear()


is_broken: list[bool] = []


@workflow
async def retry_careless() -> str:
    if is_broken == [True, True]:
        raise ZeroDivisionError
    first = await work()
    if is_broken:
        raise ZeroDivisionError
    return f"{first} {await work()}"


def test_the_last_fact_waits_for_code_that_is_mended(drive: Drive, broken: list[bool]):
    run = drive(retry_careless)
    run.complete(work, "one")
    history = retried(failed(run).history, "run-1~2")
    assert [(event.event_type, getattr(event, "held", None)) for event in history] == [
        ("RunStarted", None),
        ("StepScheduled", None),
        ("StepCompleted", True),
    ]
    broken.clear()
    again = going_on(run)
    again.learn("s1/1")
    again.complete(work, "two")
    assert again.result() == "one two"


def test_code_that_failed_at_once(drive: Drive, broken: list[bool]):
    broken.append(True)
    run = failed(drive(retry_careless))
    history = retried(run.history, "run-1~2")
    assert [(event.event_type, getattr(event, "held", None)) for event in history] == [("RunStarted", True)]
    broken.clear()
    again = going_on(run)
    again.learn("start")
    assert again.open_steps() == ["s1"]


def test_the_fact_that_it_failed_of_may_have_been_held_before(drive: Drive, broken: list[bool]):
    run = drive(retry_careless)
    broken.clear()
    (fact,) = [event for event in completed_once(drive).history if event.event_type == "StepCompleted"]
    run.hold(fact)
    broken.append(True)
    run.learn("s1/1")
    broken.clear()
    again = going_on(failed(run))
    again.learn("s1/1")
    assert again.open_steps() == ["s2"]


def completed_once(drive: Drive) -> Driver:
    run = drive(retry_careless)
    run.complete(work, "one")
    return run


# --- what came later, and what was held ---


def test_signals_and_updates_that_came_after_the_failure_are_not_lost(drive: Drive):
    @workflow
    async def listening() -> list[object]:
        got: list[object] = []
        on_update("add")(got.append)
        try:
            got.append(await retry_charge())
        except OSError:
            await retry_undo()
            raise
        got.append(await wait_for_signal("go"))
        return got

    run = drive(listening)
    run.fail(retry_charge, OSError("declined"))
    run.signal("go", "went")
    run.update("add", 5)
    run.complete(retry_undo)
    again = going_on(failed(run))
    assert list(again.state.held) == ["signal/signal-1", "update/update-2"]
    for fact_id in list(again.state.held):
        again.learn(fact_id)
    again.complete(retry_charge, "paid")
    assert again.result() == [5, "paid", "went"]


def held_failure(run: Driver, attempt: int = 1) -> None:
    """The attempt fails while the code cannot run; then it can."""
    fact = StepFailed(step_id="s1", attempt=attempt, error=encode_exception(OSError(f"attempt {attempt}")))
    run.hold(fact)
    run.clock += timedelta(minutes=5)
    run.learn(fact.fact_id)


@workflow
async def retry_just_charge() -> str:
    return await retry_charge()


def test_the_failure_itself_was_held(drive: Drive):
    run = drive(retry_just_charge)
    run.fail(retry_charge, OSError("attempt 1"), retryable=True)
    held_failure(run, 2)
    again = going_on(failed(run))
    assert again.state.held == {}
    again.complete(retry_charge, "paid")
    assert again.result() == "paid"


def test_a_failure_before_it_was_held(drive: Drive):
    run = drive(retry_just_charge)
    held_failure(run, 1)
    run.fail(retry_charge, OSError("attempt 2"), retryable=True)
    again = going_on(failed(run))
    again.complete(retry_charge, "paid")
    assert again.result() == "paid"


def test_facts_that_were_held_at_the_end_are_held_still(drive: Drive):
    @workflow
    async def two() -> str:
        nap = asyncio.ensure_future(sleep(10))
        try:
            return await retry_charge()
        finally:
            await nap

    run = drive(two)
    run.clock += timedelta(seconds=10)
    run.hold(TimerFired(timer_id="t1"))
    run.hold(SignalReceived(signal_id="x", name="n"))
    run.fail(retry_charge, OSError("no"))
    run.learn("t1")
    again = going_on(failed(run))
    assert set(again.state.held) == {"t1", "signal/x"}
    again.learn("t1")
    again.complete(retry_charge, "paid")
    assert again.result() == "paid"


# --- what cannot be retried ---


def test_a_run_that_has_not_failed(drive: Drive):
    run = drive(retry_paying)
    for _ in range(2):
        with pytest.raises(InvalidInputError, match="only a failed run"):
            retried(run.history, "run-1~2")
        run.clock += timedelta(seconds=1)
        if not run.ended:
            run.cancel()
    with pytest.raises(InvalidInputError, match="only a failed run"):
        retried([], "run-1~2")


def test_nothing_of_the_end_is_left(drive: Drive):
    run = drive(retry_paying)
    run.complete(work)
    run.fail(retry_charge, OSError("1"), retryable=True)
    run.fail(retry_charge, OSError("2"), retryable=True)
    history = retried(run.history, "run-1~2")
    kinds = (*RunEnded, StepFailed, StepRetryScheduled, Applied)
    assert [event for event in history if isinstance(event, kinds)] == []
    facts = [event.fact_id for event in history if isinstance(event, Fact)]
    assert len(facts) == len(set(facts))


def test_again_and_again(drive: Drive):
    run = drive(retry_just_charge)
    for generation in range(2, 5):
        run.fail(retry_charge, OSError("no"))
        run_id = f"run-1~{generation}"
        run = run.going_on(retried(run.history, run_id), run_id)
        (started, *_) = run.history
        assert (started.run_id, started.seed) == (run_id, "run-1")  # type: ignore[union-attr]
    run.complete(retry_charge, "paid")
    assert run.result() == "paid"
