"""Running one attempt of a step."""

import asyncio
import threading
from typing import Any

import pytest

from tests.support.crashes import Crash, CrashingWorld
from worldflow import FatalError, OutsideError, RetryableError, step, step_info
from worldflow.engine.history import StepCompleted, StepFailed
from worldflow.turns.steps import StepExecutor
from worldflow.worlds import ledger
from worldflow.worlds.messages import FactArrived, StepTask

# A captured log of text that is not UTF-8 cannot be sent from one test process to another.
pytestmark = pytest.mark.usefixtures("quiet")

calls: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_called() -> None:
    calls.clear()


async def run(world: CrashingWorld, name: str, input: Any = None, *, redelivered: bool = False, **more: Any) -> Any:
    task = StepTask(run_id="run-1", step_id="s1", name=name, input=input, **more)
    async with asyncio.timeout(5):
        await StepExecutor(world).execute(task, redelivered=redelivered)
    return told(world)


def told(world: CrashingWorld) -> Any:
    facts = []
    while deliveries := world.receive("runs"):
        for delivery in deliveries:
            assert isinstance(delivery.message, FactArrived)
            facts.append(delivery.message.fact)
        world.acknowledge(deliveries)
    return facts[0] if len(facts) == 1 else facts


async def test_an_async_function(world: CrashingWorld):
    @step
    async def add(a: int, b: int = 2) -> int:
        await asyncio.sleep(0)
        return a + b

    assert await run(world, "add", {"a": 1}) == StepCompleted(step_id="s1", result=3)
    assert world.calls[:2] == ["put_outcome", "send"]


async def test_a_plain_function_runs_in_a_thread(world: CrashingWorld):
    @step
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert (await run(world, "where")).result is False


@pytest.mark.parametrize("plain", [True, False])
async def test_what_a_step_knows_of_itself(world: CrashingWorld, plain: bool):
    def know() -> list[Any]:
        info = step_info()
        return [info.run_id, info.step_id, info.attempt, info.idempotency_key]

    async def know_async() -> list[Any]:
        return know()

    step(name="know")(know if plain else know_async)
    assert (await run(world, "know", attempt=3)).result == ["run-1", "s1", 3, "run-1/s1"]
    with pytest.raises(OutsideError):
        step_info()


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize(
    ("error", "retryable", "retry_after"),
    [
        (ValueError("x"), True, None),
        (KeyError("x"), True, None),
        (FatalError("x"), False, None),
        (RetryableError("x", retry_after="1m"), True, 60),
        (asyncio.CancelledError(), True, None),
        (TimeoutError(), True, None),
    ],
    ids=repr,
)
async def test_a_step_that_raises(
    world: CrashingWorld, plain: bool, error: BaseException, retryable: bool, retry_after: float | None
):
    def fail() -> None:
        raise error

    async def fail_async() -> None:
        raise error

    step(name="fail")(fail if plain else fail_async)
    fact = await run(world, "fail")
    assert isinstance(fact, StepFailed)
    assert (fact.retryable, fact.retry_after) == (retryable, retry_after)
    assert fact.error.type.endswith(type(error).__name__)


@pytest.mark.parametrize("plain", [True, False])
async def test_a_step_that_raises_stop_iteration(world: CrashingWorld, plain: bool):
    def first() -> int:
        return next(iter([]))

    async def first_async() -> int:
        return next(iter([]))

    step(name="first")(first if plain else first_async)
    assert isinstance(await run(world, "first"), StepFailed)


@pytest.mark.parametrize("result", ["five", None, "caf\udce9"])
async def test_a_result_that_does_not_fit_fails_the_step_for_good(world: CrashingWorld, result: Any):
    @step
    async def wrong() -> int:
        return result  # type: ignore[no-any-return]

    fact = await run(world, "wrong")
    assert isinstance(fact, StepFailed)
    assert not fact.retryable
    assert "wrong()" in fact.error.message


async def test_an_error_whose_text_json_cannot_carry(world: CrashingWorld):
    @step
    async def broken_file() -> str:
        raise ValueError("no file caf\udce9")

    fact = await run(world, "broken_file")
    assert isinstance(fact, StepFailed)
    assert "no file caf" in fact.error.message


async def test_input_that_does_not_fit_fails_the_step_for_good(world: CrashingWorld):
    @step
    async def strict(count: int) -> None:
        calls.append(count)

    fact = await run(world, "strict", {"count": "many"})
    assert isinstance(fact, StepFailed)
    assert not fact.retryable
    assert "count" in fact.error.message
    assert calls == []


async def test_an_unknown_step_may_be_there_next_time(world: CrashingWorld):
    fact = await run(world, "step_of_tomorrow")
    assert isinstance(fact, StepFailed)
    assert fact.retryable
    assert "step_of_tomorrow" in fact.error.message


async def test_a_finished_attempt_that_comes_again_is_told_again_and_not_run(world: CrashingWorld):
    @step
    async def once() -> int:
        calls.append(1)
        return len(calls)

    first = await run(world, "once")
    assert await run(world, "once", redelivered=True) == first
    assert await run(world, "once", redo=True) == first
    assert calls == [1]


async def test_a_failure_is_in_the_ledger_too(world: CrashingWorld):
    @step
    async def fails() -> None:
        calls.append(1)
        raise ValueError("x")

    first = await run(world, "fails")
    assert await run(world, "fails", redelivered=True) == first
    assert calls == [1]


async def test_an_attempt_that_died_with_its_function_runs_again(world: CrashingWorld):
    @step
    async def dies() -> int:
        calls.append(1)
        return 1

    world.crashes = lambda number, when: world.calls[-1] == "put_outcome" and when == "before" and not world.crashed
    with pytest.raises(Crash):
        await run(world, "dies")
    assert told(world) == []
    assert (await run(world, "dies", redelivered=True)).result == 1
    assert calls == [1, 1]


async def test_the_next_attempt_is_another(world: CrashingWorld):
    @step
    async def again() -> int:
        calls.append(step_info().attempt)
        return step_info().attempt

    await run(world, "again")
    assert (await run(world, "again", attempt=2, redelivered=True)).result == 2
    assert calls == [1, 2]


async def test_a_worker_that_is_stopped_leaves_the_step_unanswered(world: CrashingWorld):
    started = asyncio.Event()

    @step
    async def long() -> None:
        started.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(StepExecutor(world).execute(StepTask(run_id="run-1", step_id="s1", name="long")))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told(world) == []
    assert ledger.get_outcome(world, "run-1", "s1", 1) is None


async def test_a_large_result_is_told_by_reference(world: CrashingWorld):
    @step
    async def large() -> str:
        return "x" * 100_000

    fact = await run(world, "large")
    assert len(str(fact.result)) < 1000


def test_a_step_whose_function_always_died(world: CrashingWorld):
    task = StepTask(run_id="run-1", step_id="s1", name="deadly")
    StepExecutor(world).bury(task)
    fact = told(world)
    assert isinstance(fact, StepFailed)
    assert fact.retryable
    assert "StepCrashedError" in fact.error.type
    StepExecutor(world).bury(task)
    assert told(world) == fact


async def test_a_copy_that_ends_after_its_dead_letter_changes_nothing(world: CrashingWorld):
    task = StepTask(run_id="run-1", step_id="s1", name="buried_alive")

    @step
    async def buried_alive() -> str:
        await asyncio.to_thread(StepExecutor(world).bury, task)
        return "done"

    await StepExecutor(world).execute(task)
    outcome = ledger.get_outcome(world, "run-1", "s1", 1)
    assert outcome
    assert isinstance(outcome.fact, StepFailed)
    assert told(world) == [outcome.fact, outcome.fact]


async def test_a_process_that_comes_back_late_does_not_write_over_what_is_known(world: CrashingWorld, monkeypatch):
    """It was about to claim the attempt when another took it, and brought it to its end."""
    task = StepTask(run_id="r", step_id="s1", name="late_step", at_most_once=True)

    @step(guarantee="at_most_once")
    async def late_step() -> str:
        return "done"

    executor, claim = StepExecutor(world), ledger.claim

    def claimed_by_another(*attempt) -> bool:
        monkeypatch.setattr(ledger, "claim", claim)
        asyncio.run(StepExecutor(world).execute(task))
        return claim(*attempt)

    monkeypatch.setattr(ledger, "claim", claimed_by_another)
    await executor.execute(task)

    outcome = ledger.get_outcome(world, "r", "s1", 1)
    assert outcome
    assert outcome.fact.event_type == "StepCompleted"
