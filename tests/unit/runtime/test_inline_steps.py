"""Inline steps run in the orchestrator's own turn: one write a step, and nothing else."""

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from tests.support.crashes import Crash, CrashingWorld, serve
from tests.support.driver import Chance
from tests.support.office import Office
from tests.support.steps import work
from worldflow import (
    FatalError,
    RetryPolicy,
    StepCrashedError,
    StepInterruptedError,
    StepTimeoutError,
    sleep,
    step,
    step_info,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import CancelRequested, SignalReceived, StepCompleted, StepFailed
from worldflow.runtime import requests
from worldflow.runtime.turns import Turns
from worldflow.worlds.messages import FactArrived, Poke, StepDue

ran: list[object] = []
during: list[Callable[[], None]] = []
"""What happens while a step runs."""

RETRY = RetryPolicy(max_attempts=3, initial_interval="10s", jitter=0)


def run_step(item: object) -> object:
    ran.append(item)
    if during:
        during.pop(0)()
    return item


@step
async def quick(item: object = None) -> object:
    return run_step(item)


@step(retry=RETRY)
async def quick_again(item: object = None) -> object:
    return run_step(item)


@step(at_most_once=True)
async def quick_once(item: object = None) -> object:
    return run_step(item)


@step(at_most_once=True, retry=RETRY)
async def quick_once_each(item: object = None) -> object:
    return run_step(item)


@workflow(inline_steps=True)
async def inline_chain(count: int) -> list[object]:
    return [await quick(n) for n in range(count)]


@workflow(inline_steps=True)
async def inline_chain_once(count: int) -> list[object]:
    seen: list[object] = []
    for n in range(count):
        try:
            seen.append(await quick_once(n))
        except StepInterruptedError:
            seen.append("?")
    return seen


@workflow(inline_steps=True)
async def inline_unsteady_run() -> object:
    return await quick_again("x")


@workflow(inline_steps=True)
async def inline_once_each_run() -> object:
    return await quick_once_each("x")


def breaks(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    ran.clear()
    during.clear()
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)
    yield


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


@pytest.mark.parametrize("interval", [0, "1s"])
@pytest.mark.parametrize("at_most_once", [False, True])
def test_all_attempts_are_used(world: CrashingWorld, interval: object, at_most_once: bool):
    @step(at_most_once=at_most_once, retry=RetryPolicy(max_attempts=3, initial_interval=interval, jitter=0))
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


def test_a_fatal_error_is_the_last(world: CrashingWorld, turns: Turns):
    office = Office(world, inline_unsteady_run)
    during[:] = [breaks(FatalError("no"))]
    turns.take("run-1", [office.start()])
    assert office.status() == "failed"
    assert len(ran) == 1


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
    assert "longer than 0.05 s" in world.read_run("run-1").result
    assert office.kinds() == []


@pytest.mark.parametrize("error", [SystemExit(1), asyncio.CancelledError(), StopIteration()])
def test_an_exception_that_would_mean_something_to_python(world: CrashingWorld, turns: Turns, error: BaseException):
    office = Office(world, inline_chain, count=1)
    during[:] = [breaks(error)]
    turns.take("run-1", [office.start()])
    failed = [event for event in world.load_history("run-1") if isinstance(event, StepFailed)]
    assert len(failed) == 1


# --- twice at once ---


def test_a_stale_live_execution_does_not_run_the_step_again(world: CrashingWorld):
    """Another process took the turn before: what this one holds is found out by its write, before the step."""
    one, other = Turns(world), Turns(world)
    office = Office(world, waits_then_quick)
    one.take("run-1", [office.start()])
    other.take("run-1", [office.start()])
    signal = office.fact(SignalReceived(signal_id="1", name="go"))
    other.take("run-1", [signal])
    assert ran == [1, 2]
    one.take("run-1", [signal])
    one.take("run-1", [office.fact(SignalReceived(signal_id="2", name="go"))])
    assert ran == [1, 2]
    assert office.status() == "completed"


@workflow(inline_steps=True)
async def waits_then_quick() -> list[object]:
    await wait_for_signal("go")
    return [await quick(1), await quick(2)]


@workflow(inline_steps=True)
async def waits_then_once() -> list[object]:
    await wait_for_signal("go")
    try:
        return [await quick_once(1), await quick_once(2)]
    except StepInterruptedError:
        return ["?"]


@pytest.mark.parametrize("at", [0, 1], ids=["in the first step", "in the second step"])
@pytest.mark.parametrize("flow", [waits_then_quick, waits_then_once], ids=["at least once", "at most once"])
def test_two_orchestrators_on_one_run(world: CrashingWorld, at: int, flow):
    """The message was delivered to a second function while the first still runs the step."""
    office = Office(world, flow)
    Turns(world).take("run-1", [office.start()])
    signal = office.fact(SignalReceived(signal_id="1", name="go"))
    second = threading.Thread(target=lambda: Turns(world).take("run-1", [signal], redo=True))

    def meanwhile() -> None:
        second.start()
        second.join(timeout=20)

    during[:] = [lambda: None] * at + [meanwhile]
    Turns(world).take("run-1", [signal])
    assert not second.is_alive()
    history = world.load_history("run-1")
    answered = Counter(event.fact_id for event in history if isinstance(event, (StepCompleted, StepFailed)))
    assert max(answered.values()) == 1
    assert office.status() == "completed"
    if flow is waits_then_once:
        assert max(Counter(ran).values()) == 1
        assert world.read_run("run-1").result == ["?"]
    else:
        assert world.read_run("run-1").result == [1, 2]


def test_a_conflict_in_the_middle_of_a_chain_goes_on_from_what_the_other_wrote(world: CrashingWorld, turns: Turns):
    office = Office(world, inline_chain, count=4)

    def meanwhile() -> None:
        during.clear()
        Turns(world).take("run-1", [Poke(run_id="run-1")], out_of_time=lambda: ran.count(2) >= 1)

    during[:] = [lambda: None, meanwhile]
    turns.take("run-1", [office.start()])
    serve(world)
    assert world.read_run("run-1").result == [0, 1, 2, 3]


# --- when the function has no time left ---


def test_a_long_chain_goes_on_in_another_turn(world: CrashingWorld, turns: Turns):
    office = Office(world, inline_chain, count=5)
    turns.take("run-1", [office.start()], out_of_time=lambda: len(ran) >= 2)
    assert ran == [0, 1]
    assert office.status() == "running"
    assert len(office.sent) == 1  # something brings the next turn
    serve(world)
    assert world.read_run("run-1").result == [0, 1, 2, 3, 4]
    assert ran == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("flow", [inline_chain, inline_chain_once], ids=["at least once", "at most once"])
@pytest.mark.parametrize("count", [1, 3])
def test_it_hands_over_as_often_as_it_takes(world: CrashingWorld, flow, count: int):
    Office(world, flow, count=count)
    for _ in range(3 * count):
        deliveries = world.receive("runs")
        Turns(world).take("run-1", [delivery.message for delivery in deliveries], out_of_time=lambda: True)
        world.acknowledge(deliveries)
        if world.read_run("run-1").ended:
            break
    assert world.read_run("run-1").result == list(range(count))
    assert ran == list(range(count))


@pytest.mark.parametrize("flow", [inline_chain, inline_chain_once], ids=["at least once", "at most once"])
def test_what_came_meanwhile_does_not_run_the_step_again(world: CrashingWorld, turns: Turns, flow):
    office = Office(world, flow, count=3)
    turns.take("run-1", [office.start()], out_of_time=lambda: True)
    (handed_over,) = (message for message in office.taken() if isinstance(message, FactArrived))
    turns.take("run-1", [office.fact(SignalReceived(signal_id="1", name="n"))])
    turns.take("run-1", [handed_over])
    serve(world)
    assert world.read_run("run-1").result == [0, 1, 2]
    assert ran == [0, 1, 2]


def test_a_cancellation_comes_between(world: CrashingWorld, turns: Turns):
    office = Office(world, inline_chain, count=100)
    turns.take("run-1", [office.start()], out_of_time=lambda: len(ran) >= 10)
    turns.take("run-1", [*office.taken(), office.fact(CancelRequested())])
    assert office.status() == "cancelled"
    assert len(ran) < 20


# --- dead letters ---


def test_turns_that_die_again_and_again_fail_the_attempt_and_block_the_run(world: CrashingWorld, turns: Turns):
    """A step takes too much memory, say: its run is blocked, and goes on from the failed attempt when it is mended."""
    office = Office(world, inline_unsteady_run)
    during[:] = [breaks(Crash())] * 3
    for redo in (False, True, True):
        with pytest.raises(Crash):
            Turns(world).take("run-1", [office.start()], redo=redo)
    Turns(world).take("run-1", [office.start()], redo=True, use_code=False)
    assert office.status() == "blocked"
    (failed,) = (event for event in world.load_history("run-1") if isinstance(event, StepFailed))
    assert failed.held
    assert failed.error.type.endswith(":StepCrashedError")
    assert len(ran) == 3
    requests.resume(world, "run-1")
    serve(world)
    assert world.read_run("run-1").result == "x"
    assert len(ran) == 4


def test_a_dead_letter_of_an_at_most_once_step_never_runs_it_again(world: CrashingWorld, turns: Turns):
    @workflow(inline_steps=True)
    async def dying_once() -> str:
        try:
            await quick_once_each("x")
        except (StepInterruptedError, StepCrashedError) as error:
            return type(error).__name__
        return "done"

    office = Office(world, dying_once)
    during[:] = [breaks(Crash())]
    with pytest.raises(Crash):
        turns.take("run-1", [office.start()])
    Turns(world).take("run-1", [office.start()], redo=True, use_code=False)
    requests.resume(world, "run-1")
    serve(world)
    assert world.read_run("run-1").result in ("StepCrashedError", "StepInterruptedError")
    assert ran == ["x"]


def test_an_attempt_that_is_not_due_is_left_alone_by_a_dead_letter(world: CrashingWorld, turns: Turns):
    office = Office(world, inline_unsteady_run)
    during[:] = [breaks(OSError("1"))]
    turns.take("run-1", [office.start()])
    turns.take("run-1", [Poke(run_id="run-1")], redo=True, use_code=False)
    assert [event.held for event in world.load_history("run-1") if isinstance(event, StepFailed)] == [None]
    serve(world)
    assert office.status() == "completed"


# --- at most once ---


def test_an_attempt_that_may_have_begun_is_interrupted(world: CrashingWorld, turns: Turns):
    office = Office(world, inline_chain_once, count=2)
    during[:] = [breaks(Crash())]
    with pytest.raises(Crash):
        turns.take("run-1", [office.start()])
    Turns(world).take("run-1", [office.start()], redo=True)
    assert world.read_run("run-1").result == ["?", 1]
    assert ran == [0, 1]


def test_a_retry_waits_for_its_own_time(world: CrashingWorld, turns: Turns):
    office = Office(world, inline_once_each_run)
    during[:] = [breaks(OSError("1"))]
    turns.take("run-1", [office.start()])
    world.time += timedelta(minutes=1)
    turns.take("run-1", [office.fact(SignalReceived(signal_id="1", name="n"))])
    turns.take("run-1", [Poke(run_id="run-1")])
    assert ran == ["x"]
    assert office.status() == "running"
    serve(world)
    assert world.read_run("run-1").result == "x"
    assert ran == ["x", "x"]


def test_a_retry_whose_turn_died_is_not_run_again(world: CrashingWorld, turns: Turns):
    office = Office(world, inline_once_each_run)
    during[:] = [breaks(OSError("1")), breaks(Crash())]
    turns.take("run-1", [office.start()])
    due = StepDue(run_id="run-1", step_id="s1", attempt=2)
    with pytest.raises(Crash):
        turns.take("run-1", [due])
    Turns(world).take("run-1", [due], redo=True)
    assert ran == ["x", "x"]
    record = world.read_run("run-1")
    assert record.error
    assert record.error.type.endswith(":StepInterruptedError")


def test_a_copy_of_a_wake_does_nothing(world: CrashingWorld, turns: Turns):
    @workflow(inline_steps=True)
    async def slow_after() -> object:
        value = await quick_once_each("x")
        await sleep("1d")
        return value

    office = Office(world, slow_after)
    during[:] = [breaks(OSError("1"))]
    turns.take("run-1", [office.start()])
    due = StepDue(run_id="run-1", step_id="s1", attempt=2)
    turns.take("run-1", [due, due])
    turns.take("run-1", [due])
    assert ran == ["x", "x"]
    assert office.status() == "running"


def test_a_wake_beside_a_poke_is_a_wake(world: CrashingWorld, turns: Turns):
    office = Office(world, inline_once_each_run)
    during[:] = [breaks(OSError("1"))]
    turns.take("run-1", [office.start()])
    turns.take("run-1", [Poke(run_id="run-1"), StepDue(run_id="run-1", step_id="s1", attempt=2)])
    assert ran == ["x", "x"]
    assert office.status() == "completed"
