"""Inline steps whose turn is taken twice, ends in the middle, or dies: each runs as often as it may."""

import threading
from collections import Counter
from datetime import timedelta

import pytest

from tests.support.crashes import Crash, CrashingWorld, die, serve
from tests.support.driver import Chance
from tests.support.inline_flows import (
    breaks,
    during,
    inline_chain,
    inline_chain_once,
    inline_once_each_run,
    inline_unsteady_run,
    quick_again,
    quick_once_each,
    ran,
    waits_then_once,
    waits_then_quick,
)
from tests.support.office import Office, next_turn
from worldflow import (
    StepCrashedError,
    StepInterruptedError,
    sleep,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import CancelRequested, SignalReceived, StepCompleted, StepFailed
from worldflow.engine.workflow import definitions
from worldflow.runtime import sending
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import FactArrived, Poke, StepDue

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    ran.clear()
    during.clear()


@pytest.fixture
def turns(world: CrashingWorld) -> Turns:
    return Turns(world, chance=Chance(0.5))


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
    during[:] = [die] * 3
    for redo in (False, True, True):
        with pytest.raises(Crash):
            Turns(world).take("run-1", [office.start()], redo=redo)
    Turns(world).take("run-1", [office.start()], redo=True, use_code=False)
    assert office.status() == "blocked"
    (failed,) = (event for event in world.load_history("run-1") if isinstance(event, StepFailed))
    assert failed.held
    assert failed.error.type.endswith(":StepCrashedError")
    assert len(ran) == 3
    sending.resume(world, "run-1")
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
    during[:] = [die]
    with pytest.raises(Crash):
        turns.take("run-1", [office.start()])
    Turns(world).take("run-1", [office.start()], redo=True, use_code=False)
    sending.resume(world, "run-1")
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


def test_a_run_that_lost_its_code_before_its_attempt_is_blocked_and_goes_on(world: CrashingWorld, turns: Turns):
    """No fact is held: it is the attempt that waits for the code."""
    office = Office(world, inline_unsteady_run)
    during[:] = [die]
    with pytest.raises(Crash):
        turns.take("run-1", [office.start()])
    mended = definitions._workflows._versions.pop("inline_unsteady_run")
    Turns(world).take("run-1", [office.start()], redo=True)
    assert office.status() == "blocked"
    definitions._workflows._versions["inline_unsteady_run"] = mended
    sending.resume(world, "run-1")
    serve(world)
    assert world.read_run("run-1").result == "x"


def test_a_retry_that_goes_on_with_mended_code_is_blocked_no_more(world: CrashingWorld, turns: Turns):
    office = Office(world, unsteady_then_waits)
    during[:] = [breaks(OSError("1"))]
    turns.take("run-1", [office.start()])
    world.acknowledge(world.receive("runs"))
    mended = definitions._workflows._versions.pop("unsteady_then_waits")
    next_turn(world, Turns(world))
    assert office.status() == "blocked"
    definitions._workflows._versions["unsteady_then_waits"] = mended
    Turns(world).take("run-1", [office.fact(SignalReceived(signal_id="0", name="other"))])
    assert office.status() == "running"


@workflow(inline_steps=True)
async def unsteady_then_waits() -> str:
    await quick_again("x")
    return await wait_for_signal("go")


# --- at most once ---


def test_one_that_was_handed_over_is_not_run_again_by_a_wake(world: CrashingWorld, turns: Turns):
    """Time ran out behind the step: what came of it is under way, and a copy of the wake comes first."""
    office = Office(world, inline_once_each_run)
    during[:] = [breaks(OSError("1"))]
    turns.take("run-1", [office.start()])
    due = StepDue(run_id="run-1", step_id="s1", attempt=2)
    turns.take("run-1", [due], out_of_time=lambda: True)
    Turns(world).take("run-1", [due])
    assert ran == ["x", "x"]
    assert world.read_run("run-1").result == "x"


def test_a_wake_that_is_sent_again_does_not_run_an_attempt_again(world: CrashingWorld, turns: Turns):
    """The first died with its function again and again, and lies among the dead letters."""
    office = Office(world, inline_once_each_run)
    during[:] = [breaks(OSError("1")), die]
    turns.take("run-1", [office.start()])
    with pytest.raises(Crash):
        turns.take("run-1", [StepDue(run_id="run-1", step_id="s1", attempt=2)])
    world.time += timedelta(hours=1)
    Turns(world).take("run-1", [StepDue(run_id="run-1", step_id="s1", attempt=2)])
    assert ran == ["x", "x"]
    assert office.status() == "failed"


def test_an_attempt_that_may_have_begun_is_interrupted(world: CrashingWorld, turns: Turns):
    office = Office(world, inline_chain_once, count=2)
    during[:] = [die]
    with pytest.raises(Crash):
        turns.take("run-1", [office.start()])
    Turns(world).take("run-1", [office.start()], redo=True)
    assert world.read_run("run-1").result == ["?", 1]
    assert ran == [0, 1]


def test_a_retry_is_begun_by_the_first_turn_behind_its_time(world: CrashingWorld, turns: Turns):
    office = Office(world, inline_once_each_run)
    during[:] = [breaks(OSError("1"))]
    turns.take("run-1", [office.start()])
    turns.take("run-1", [office.fact(SignalReceived(signal_id="1", name="n"))])
    assert ran == ["x"]
    world.time += timedelta(minutes=1)
    turns.take("run-1", [office.fact(SignalReceived(signal_id="2", name="n"))])
    serve(world)
    assert world.read_run("run-1").result == "x"
    assert ran == ["x", "x"]


def test_a_retry_whose_turn_died_is_not_run_again(world: CrashingWorld, turns: Turns):
    office = Office(world, inline_once_each_run)
    during[:] = [breaks(OSError("1")), die]
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
