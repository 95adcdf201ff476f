"""Inline steps run in the orchestrator's own turn: one write a step, and nothing else."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tests.support.crashes import CrashingWorld, serve
from tests.support.driver import Chance
from tests.support.inline_flows import breaks, during, inline_chain, inline_unsteady_run, quick, ran
from tests.support.office import Office
from tests.support.steps import work
from worldflow import (
    RetryPolicy,
    StepTimeoutError,
    step,
    step_info,
    workflow,
)
from worldflow.engine.history import Event, StepCompleted, StepFailed
from worldflow.engine.workflow.guarantees import Guarantee
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import StepDue

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    ran.clear()
    during.clear()


@pytest.fixture
def turns(world: CrashingWorld) -> Turns:
    return Turns(world, chance=Chance(0.5))


# --- what it costs ---


@pytest.mark.parametrize("count", [1, 2, 20])
def test_a_chain_is_one_write_a_step_and_one_more(world: CrashingWorld, turns: Turns, count: int):
    office = Office(world, inline_chain, count=count)
    world.calls.clear()
    turns.take("run-1", [office.start()])
    assert world.calls == ["append"] * (count + 1) + ["update_run"]
    assert office.kinds() == []
    assert world.read_run("run-1").result == list(range(count))


def test_a_commit_holds_an_outcome_and_the_next_step(world: CrashingWorld, turns: Turns):
    office = Office(world, inline_chain, count=3)
    turns.take("run-1", [office.start()])
    assert office.history() == [
        "RunStarted",
        "StepScheduled",
        "StepCompleted",
        "StepScheduled",
        "StepCompleted",
        "StepScheduled",
        "StepCompleted",
        "RunCompleted",
    ]
    assert [len(world.load_history("run-1", after, commits=1)) for after in (0, 2, 4, 6)] == [2] * 4


def test_a_step_runs_only_when_the_decision_to_run_it_is_committed(world: CrashingWorld, turns: Turns):
    office = Office(world, inline_chain, count=2)
    seen: list[int] = []
    during[:] = [lambda: seen.append(len(world.load_history("run-1")))] * 2
    turns.take("run-1", [office.start()])
    assert seen == [2, 4]


def test_those_that_are_due_together_run_side_by_side_and_are_one_write(world: CrashingWorld, turns: Turns):
    together = threading.Barrier(3)

    @step(inline=True)
    def meeting(n: int) -> int:
        together.wait(timeout=20)
        return n

    @workflow
    async def meetings() -> list[int]:
        return list(await asyncio.gather(*(meeting(n) for n in range(3))))

    office = Office(world, meetings)
    world.calls.clear()
    turns.take("run-1", [office.start()])
    assert world.calls == ["append", "append", "update_run"]
    assert world.read_run("run-1").result == [0, 1, 2]


def test_queued_and_inline_steps_of_one_run(world: CrashingWorld, turns: Turns):
    @workflow
    async def mixed() -> list[object]:
        first = asyncio.ensure_future(work(1))
        return [await quick.options(inline=True)(2), await quick.options(inline=True)(3), await first]

    office = Office(world, mixed)
    turns.take("run-1", [office.start()])
    assert office.kinds() == ["step s2/1"]
    assert ran == [2, 3]
    turns.take("run-1", [office.done("s2", 1)])
    assert world.read_run("run-1").result == [2, 3, 1]


def test_a_step_knows_its_attempt(world: CrashingWorld, turns: Turns):
    @step(inline=True)
    async def telling() -> list[object]:
        info = step_info()
        info.heartbeat()
        return [info.run_id, info.step_id, info.attempt, info.idempotency_key]

    @workflow
    async def asking() -> list[object]:
        return await telling()

    office = Office(world, asking)
    turns.take("run-1", [office.start()])
    assert world.read_run("run-1").result == ["run-1", "s1", 1, "run-1/s1"]


def test_a_large_result_is_a_payload(world: CrashingWorld, turns: Turns):
    world.inline_limit = 100

    @step(inline=True)
    async def large() -> str:
        return "x" * 1_000

    @workflow
    async def reading() -> int:
        return len(await large())

    office = Office(world, reading)
    turns.take("run-1", [office.start()])
    assert world.read_run("run-1").result == 1_000
    (stored,) = (event for event in world.load_history("run-1") if isinstance(event, StepCompleted))
    assert "$payload" in stored.result


def test_an_inline_step_that_is_cancelled_before_it_begins_does_not_run(world: CrashingWorld, turns: Turns):
    @workflow(inline_steps=True)
    async def fickle() -> str:
        task = asyncio.ensure_future(quick("never"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return "done"

    office = Office(world, fickle)
    turns.take("run-1", [office.start()])
    assert ran == []
    assert office.status() == "completed"


def test_an_outcome_that_ends_the_run_leaves_out_its_siblings(world: CrashingWorld, turns: Turns):
    @workflow(inline_steps=True)
    async def racing() -> object:
        done, _ = await asyncio.wait(
            [asyncio.ensure_future(quick(n)) for n in range(3)], return_when=asyncio.FIRST_COMPLETED
        )
        return done.pop().result()

    office = Office(world, racing)
    turns.take("run-1", [office.start()])
    assert world.read_run("run-1").result == 0
    assert office.history().count("StepCompleted") == 1


# --- failures ---


def test_a_failed_attempt_comes_again_when_it_is_due(world: CrashingWorld, turns: Turns):
    office = Office(world, inline_unsteady_run)
    during[:] = [breaks(OSError("1"))]
    turns.take("run-1", [office.start()])
    assert office.sent[0][1] is not None
    assert office.kinds() == ["step_due s1/2"]
    turns.take("run-1", [StepDue(run_id="run-1", step_id="s1", attempt=2)])
    assert ran == ["x", "x"]
    assert office.status() == "completed"


def test_a_wake_that_comes_a_moment_early_is_not_lost(world: CrashingWorld, turns: Turns):
    office = Office(world, inline_unsteady_run)
    during[:] = [breaks(OSError("1"))]
    turns.take("run-1", [office.start()])
    due = office.sent[0][1]
    assert due
    world.time = due - timedelta(milliseconds=50)  # the clock of this machine is behind that of the other
    office.taken()
    turns.take("run-1", [StepDue(run_id="run-1", step_id="s1", attempt=2)])
    assert len(ran) == 2 or office.kinds() == ["step_due s1/2"]


def test_an_attempt_that_falls_due_during_the_last_commit_is_left_to_its_wake_up(
    world: CrashingWorld, turns: Turns, monkeypatch: pytest.MonkeyPatch
):
    office = Office(world, inline_unsteady_run)
    during[:] = [breaks(OSError())]
    append = world.append

    def slow_append(run_id: str, events: Sequence[Event]) -> None:
        append(run_id, events)
        world.time += timedelta(minutes=5)

    monkeypatch.setattr(world, "append", slow_append)
    turns.take("run-1", [office.start()])
    assert len(ran) == 1
    assert office.kinds() == ["step_due s1/2"]


@pytest.mark.parametrize("interval", [0, "1s"])
@pytest.mark.parametrize("guarantee", ["at_least_once", "at_most_once"])
def test_all_attempts_are_used(world: CrashingWorld, interval: object, guarantee: Guarantee):
    @step(guarantee=guarantee, retry=RetryPolicy(max_attempts=3, initial_interval=interval, jitter=0))
    async def hopeless() -> None:
        ran.append(step_info().attempt)
        raise OSError(f"attempt {step_info().attempt}")

    @workflow(inline_steps=True)
    async def hoping() -> None:
        await hopeless()

    Office(world, hoping)
    serve(world)
    record = world.read_run("run-1")
    assert record.error
    assert record.error.message == "attempt 3"
    assert ran == [1, 2, 3]


def test_an_async_attempt_ends_at_its_timeout(world: CrashingWorld, turns: Turns):
    @step(inline=True, timeout=0.05, retry=RetryPolicy(max_attempts=1))
    async def endless() -> None:
        await asyncio.sleep(60)

    @workflow
    async def limited() -> str:
        try:
            await endless()
        except StepTimeoutError as error:
            return str(error)
        return ""

    office = Office(world, limited)
    turns.take("run-1", [office.start()])
    assert "longer than 50ms" in world.read_run("run-1").result
    assert office.kinds() == []


@pytest.mark.parametrize("error", [SystemExit(1), asyncio.CancelledError(), StopIteration()])
def test_an_exception_that_would_mean_something_to_python(world: CrashingWorld, turns: Turns, error: BaseException):
    office = Office(world, inline_chain, count=1)
    during[:] = [breaks(error)]
    turns.take("run-1", [office.start()])
    failed = [event for event in world.load_history("run-1") if isinstance(event, StepFailed)]
    assert len(failed) == 1
