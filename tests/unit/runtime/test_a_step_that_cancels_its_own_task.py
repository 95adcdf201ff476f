"""A library makes its timeouts by cancelling the step's task, and may leave it cancelled: that stops no executor."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.crashes import CrashingWorld
from worldflow import RetryPolicy, StepError, step, workflow
from worldflow.engine.history import StepCompleted, StepFailed
from worldflow.testing import WorkflowEnvironment
from worldflow.turns.steps import StepExecutor
from worldflow.worlds import ledger
from worldflow.worlds.messages import FactArrived, StepTask

pytestmark = pytest.mark.usefixtures("quiet")

ran: list[str] = []


@pytest.fixture(autouse=True)
def _quiet() -> None:
    ran.clear()


def cancel_here() -> None:
    task = asyncio.current_task()
    assert task
    task.cancel()


async def be_cancelled() -> None:
    cancel_here()
    await asyncio.sleep(0)


@step(name="cancels_itself", retry=RetryPolicy(max_attempts=1))
async def cancels(how: str) -> str:
    ran.append(how)
    match how:
        case "raises another error":
            try:
                await be_cancelled()
            except asyncio.CancelledError:
                raise TimeoutError("the bank did not answer") from None
        case "returns":
            try:
                await be_cancelled()
            except asyncio.CancelledError:
                return "returned"
        case "is cancelled":
            await be_cancelled()
        case "raises it":
            raise asyncio.CancelledError("by hand")
        case "is cancelled at its end":
            cancel_here()
            return "returned"
        case "cancels every task":
            for task in asyncio.all_tasks():
                task.cancel()
            await asyncio.sleep(0)
    return "not cancelled"


@step(name="cancels_nothing")
def raises_it() -> str:
    ran.append("a plain step")
    raise asyncio.CancelledError("by hand")


@workflow(name="cancels_steps")
async def runs(how: str, inline: bool) -> str:
    try:
        if how == "a plain step":
            return await raises_it.options(inline=inline, retry=RetryPolicy(max_attempts=1))()
        return await cancels.options(inline=inline)(how)
    except TimeoutError as error:
        return f"TimeoutError: {error}"
    except StepError as error:
        return error.type_name


OUTCOMES = {
    "raises another error": "TimeoutError: the bank did not answer",
    "returns": "returned",
    "is cancelled": "asyncio.exceptions:CancelledError",
    "raises it": "asyncio.exceptions:CancelledError",
    "is cancelled at its end": "returned",
    "a plain step": "asyncio.exceptions:CancelledError",
}


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize(("how", "outcome"), OUTCOMES.items())
async def test_its_one_attempt_has_an_outcome(how: str, outcome: str, inline: bool) -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(runs, how, inline)
        assert await run.result() == outcome
        assert ran == [how]

        after = await env.start(runs, "", inline)
        assert await after.result() == "not cancelled"


def test_one_that_cancels_every_task_fails_where_it_is_inline(world: CrashingWorld) -> None:
    """Its task is not the only one that it finds: the executor's is not spared."""
    executor = StepExecutor(world)
    (fact,) = executor.run_inline([task("cancels every task")])
    executor.close()
    assert isinstance(fact, StepFailed) and fact.error.type == "asyncio.exceptions:CancelledError"


def task(how: str, timeout: float | None = None, name: str = "cancels_itself") -> StepTask:
    return StepTask(run_id="r", step_id="s1", name=name, input={"how": how}, timeout=timeout)


@pytest.mark.parametrize("how", [how for how in OUTCOMES if how != "a plain step"])
async def test_the_executors_task_stays_as_it_was(world: CrashingWorld, how: str) -> None:
    """What follows in it, a timeout among them, works as ever."""
    executor, here = StepExecutor(world), asyncio.current_task()
    assert here
    await executor.execute(task(how))
    assert here.cancelling() == 0

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()
    executor.close()


@step(name="cancels_and_hangs")
async def hangs(how: str) -> str:
    """A library has cancelled its task; then it takes too long."""
    try:
        await be_cancelled()
    except asyncio.CancelledError:
        ran.append("cancelled")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if how == "returns":
            return "in the end"
        if how == "raises another error":
            raise KeyError("lost") from None
        if how == "raises a timeout":
            raise TimeoutError("a library's own") from None
        raise
    return "never"


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        ("is cancelled", "worldflow.engine.errors:StepTimeoutError"),
        ("raises a timeout", "worldflow.engine.errors:StepTimeoutError"),
        ("raises another error", "builtins:KeyError"),
        ("returns", "in the end"),
    ],
)
async def test_its_timeout_is_told_from_that(world: CrashingWorld, how: str, outcome: str) -> None:
    executor = StepExecutor(world)
    await executor.execute(task(how, timeout=0.001, name="cancels_and_hangs"))
    executor.close()

    assert ran == ["cancelled"]
    fact = told(world)
    if isinstance(fact, StepCompleted):
        assert fact.result == outcome
    else:
        assert fact.error.type == outcome
        if "StepTimeoutError" in outcome:
            assert fact.error.message == "step 'cancels_and_hangs', attempt 1: it took longer than 1ms"


def told(world: CrashingWorld) -> StepCompleted | StepFailed:
    (delivery,) = world.receive("runs")
    assert isinstance(delivery.message, FactArrived)
    assert isinstance(delivery.message.fact, StepCompleted | StepFailed)
    return delivery.message.fact


@step(name="cleans_up")
async def cleans_up(how: str) -> str:
    ran.append("begun")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if how == "raises another error":
            raise TimeoutError("the bank did not answer") from None
        if how == "returns":
            return "it was done"
        raise
    return "never"


@pytest.mark.parametrize("how", ["is cancelled", "raises another error"])
async def test_what_it_raises_as_the_executor_stops_is_no_outcome(world: CrashingWorld, how: str) -> None:
    executor = StepExecutor(world)
    running = asyncio.create_task(executor.execute(task(how, name="cleans_up")))
    while not ran:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    executor.close()

    assert world.receive("runs") == []
    assert ledger.get_outcome(world, "r", "s1", 1) is None


async def test_what_it_returns_as_the_executor_stops_is_recorded(world: CrashingWorld) -> None:
    executor = StepExecutor(world)
    running = asyncio.create_task(executor.execute(task("returns", name="cleans_up")))
    while not ran:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    executor.close()

    fact = told(world)
    assert isinstance(fact, StepCompleted) and fact.result == "it was done"
