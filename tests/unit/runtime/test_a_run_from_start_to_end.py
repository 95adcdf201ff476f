"""What a user sees of a run: the environment for tests, the orchestrator and the handle."""

import asyncio
import random
from datetime import timedelta

import pytest

from worldflow import (
    InvalidInputError,
    RetryPolicy,
    RunBlockedError,
    RunCancelledError,
    RunEndedError,
    RunFailedError,
    RunNotFoundError,
    now,
    sleep,
    step,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import Event, StepFailed
from worldflow.runtime import Orchestrator
from worldflow.testing import WorkflowEnvironment


@step
async def double_it(n: int) -> int:
    return 2 * n


@workflow
async def approve_double(n: int) -> int:
    doubled = await double_it(n)
    async with asyncio.timeout(3 * 86_400):
        return doubled if await wait_for_signal("approval", bool) else 0


async def test_a_run_that_completes():
    async with WorkflowEnvironment() as env:
        run = await env.start(approve_double, 21)
        assert await run.status() == "running"
        await env.advance("2d")
        await run.signal("approval", True)
        assert await run.result() == 42
        assert await run.status() == "completed"


async def test_a_run_that_fails():
    async with WorkflowEnvironment() as env:
        run = await env.start(approve_double, 21)
        with pytest.raises(RunFailedError) as caught:
            await run.result()
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert await run.status() == "failed"


async def test_a_run_that_is_cancelled():
    async with WorkflowEnvironment() as env:
        run = await env.start(approve_double, 21)
        await run.cancel("enough")
        with pytest.raises(RunCancelledError):
            await run.result()
        with pytest.raises(RunEndedError):
            await run.signal("approval", True)
        with pytest.raises(RunEndedError):
            await run.cancel()


@pytest.mark.time_of_day
async def test_time_is_skipped():
    @workflow
    async def seasons() -> float:
        before = now()
        for _ in range(4):
            await sleep("90d")
        return (now() - before) / timedelta(days=1)

    async with WorkflowEnvironment() as env:
        assert await (await env.start(seasons)).result() == pytest.approx(360)


async def test_waiting_for_what_will_not_come_is_found_out():
    async with WorkflowEnvironment() as env:

        @workflow
        async def lonely() -> None:
            await wait_for_signal("never")

        run = await env.start(lonely)
        with pytest.raises(AssertionError, match="a signal"):
            await run.result()


async def test_steps_run_at_the_same_time():
    running = most = 0

    @step
    async def busy(n: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02 * random.random())
        running -= 1
        return n

    @workflow
    async def fan_out() -> int:
        return sum(await asyncio.gather(*(busy(n) for n in range(30))))

    async with WorkflowEnvironment() as env:
        assert await (await env.start(fan_out)).result() == sum(range(30))
    assert most > 1


@pytest.mark.time_of_day
async def test_a_failing_step_is_tried_again_and_then_raises_its_own_error():
    attempts = []

    @step(retry=RetryPolicy(max_attempts=3, initial_interval="1h"))
    def pay() -> None:
        attempts.append(1)
        raise LookupError("card")

    @workflow
    async def buy() -> str:
        try:
            await pay()
        except LookupError as error:
            return str(error)
        return ""

    async with WorkflowEnvironment() as env:
        run = await env.start(buy)
        assert len(attempts) == 1
        assert await run.result() == "card"
        assert len(attempts) == 3
        failures = [event for event in await run.events() if isinstance(event, StepFailed)]
        assert [failure.attempt for failure in failures] == [1, 2, 3]


async def test_the_events_of_a_run():
    async with WorkflowEnvironment() as env:
        run = await env.start(approve_double, 1)
        events: list[Event] = await run.events()
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [event.event_type for event in events][:2] == ["RunStarted", "StepScheduled"]
        assert await run.events(after=events[-2].seq) == events[-1:]


@pytest.mark.parametrize(
    ("run_id", "given", "field"),
    [
        ("order-1", {"n": "many"}, "n"),
        ("order-1", {}, "n"),
        ("order-1", {"n": 1, "m": 2}, "m"),
        ("order-1", [1], "input"),
        ("", {"n": 1}, "run_id"),
        ("a b", {"n": 1}, "run_id"),
        ("x" * 101, {"n": 1}, "run_id"),
        ("order-1\n", {"n": 1}, "run_id"),
    ],
)
async def test_bad_input_stores_nothing(run_id: str, given, field: str):
    async with WorkflowEnvironment() as env:
        with pytest.raises(InvalidInputError) as caught:
            await Orchestrator(env.world).start_workflow(run_id, approve_double, given)
        assert caught.value.fields[0].field == field
        assert env.world.list_runs().runs == []
        assert env.world.next_due() is None


async def test_a_run_that_does_not_exist():
    async with WorkflowEnvironment() as env:
        run = Orchestrator(env.world).run("nobody")
        for request in (run.status, run.events, run.result, run.cancel):
            with pytest.raises(RunNotFoundError):
                await request()
        with pytest.raises(RunNotFoundError):
            await run.signal("approval")


async def test_a_workflow_that_nobody_has():
    async with WorkflowEnvironment() as env:
        run = await Orchestrator(env.world).start_workflow("order-1", "unheard_of")
        await env.settle()
        with pytest.raises(RunBlockedError, match="unheard_of"):
            await run.result()
