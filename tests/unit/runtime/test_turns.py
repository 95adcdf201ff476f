"""Load, apply, commit, act: what a turn does, and what it leaves alone."""

import asyncio
from datetime import timedelta

import pytest

from tests.support.crashes import Crash, CrashingWorld
from tests.support.office import Office
from tests.support.steps import work
from worldflow import RetryPolicy, sleep, step, wait_for_signal, workflow
from worldflow.engine.errors import ConflictError
from worldflow.engine.history import (
    AnyFact,
    CancelRequested,
    RunCompleted,
    SignalReceived,
    StepCompleted,
    StepFailed,
    StepScheduled,
    TimerFired,
    TimerStarted,
)
from worldflow.engine.history.failures import encode_exception
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import Poke, Start, StepDue, StepTask


@workflow
async def two_steps() -> list[str]:
    return [await work(1), await work(2)]


@step(retry=RetryPolicy(max_attempts=2, initial_interval="10s", jitter=0))
async def failing_once() -> str: ...


@workflow
async def retrying() -> str:
    return await failing_once()


@workflow
async def listening() -> list[str]:
    return [await wait_for_signal("a") for _ in range(3)]


@workflow
async def napping() -> str:
    await sleep("1h")
    return "awake"


def test_one_commit_a_turn(world: CrashingWorld, turns: Turns):
    office = Office(world, two_steps)
    world.calls.clear()
    turns.take("run-1", [office.start()])
    assert world.calls == ["append", "send"]
    assert office.kinds() == ["step s1/1"]
    turns.take("run-1", [office.done("s1")])
    turns.take("run-1", [office.done("s2")])
    assert world.calls == ["append", "send", "append", "send", "append", "update_run"]
    assert len(world.load_history("run-1", commits=1)) == 2
    assert office.status() == "completed"


def test_a_warm_turn_reads_nothing(world: CrashingWorld, turns: Turns, monkeypatch: pytest.MonkeyPatch):
    office = Office(world, two_steps)
    turns.take("run-1", [office.start()])
    for read in ("load_history", "get_run"):
        monkeypatch.setattr(world, read, lambda *args, **kwargs: pytest.fail("a warm turn read"))
    turns.take("run-1", [office.done("s1")])
    turns.take("run-1", [office.done("s2")])


def test_several_facts_are_one_turn(world: CrashingWorld, turns: Turns):
    office = Office(world, listening)
    signals = [office.fact(SignalReceived(signal_id=str(n), name="a", value=str(n))) for n in range(3)]
    turns.take("run-1", [office.start(), *signals])
    assert world.calls.count("append") == 1
    assert world.read_run("run-1").result == ["0", "1", "2"]


def test_a_fact_before_the_start_message_starts_the_run_from_its_record(world: CrashingWorld, turns: Turns):
    office = Office(world, two_steps)
    turns.take("run-1", [office.fact(SignalReceived(signal_id="1", name="a"))])
    assert office.history() == ["RunStarted", "StepScheduled", "SignalReceived"]


def test_messages_for_a_run_without_a_record_are_dropped(world: CrashingWorld, turns: Turns):
    turns.take("nobody", [Start(run_id="nobody"), Poke(run_id="nobody")], redo=True)
    assert world.calls == []
    assert world.load_history("nobody") == []


def test_a_duplicate_is_dropped_and_nothing_is_done_again(world: CrashingWorld, turns: Turns):
    office = Office(world, two_steps)
    turns.take("run-1", [office.start()])
    turns.take("run-1", [office.done("s1"), office.done("s1", "other")])
    office.kinds()
    world.calls.clear()
    turns.take("run-1", [office.done("s1"), office.start()])
    assert world.calls == []
    assert office.kinds() == []


@pytest.mark.parametrize(
    "late",
    [
        StepCompleted(step_id="s9"),
        StepCompleted(step_id="s1", attempt=2),
        TimerFired(timer_id="t1"),
        StepFailed(step_id="s1", attempt=7, error=encode_exception(ValueError())),
    ],
)
def test_an_answer_to_nothing_open_is_dropped(world: CrashingWorld, turns: Turns, late: AnyFact):
    office = Office(world, two_steps)
    turns.take("run-1", [office.start()])
    turns.take("run-1", [office.fact(late)])
    assert office.history() == ["RunStarted", "StepScheduled"]


def test_a_redo_sends_all_open_work_again(world: CrashingWorld, turns: Turns):
    @workflow
    async def busy() -> None:
        await asyncio.gather(work(), work(), sleep(60), failing_once())

    office = Office(world, busy)
    turns.take("run-1", [office.start()])
    turns.take("run-1", [office.done("s2")])
    failed = StepFailed(step_id="s3", error=encode_exception(ValueError()))
    turns.take("run-1", [office.fact(failed)])
    office.kinds()
    for redo in (
        lambda: turns.take("run-1", [office.done("s2")], redo=True),
        lambda: turns.take("run-1", [Poke(run_id="run-1")]),
    ):
        redo()
        assert sorted(office.kinds()) == ["fact t1", "step s1/1 redo", "step_due s3/2"]
    world.time += timedelta(seconds=20)
    turns.take("run-1", [Poke(run_id="run-1")])
    assert sorted(office.kinds()) == ["fact t1", "step s1/1 redo", "step s3/2 redo"]
    assert office.history().count("StepScheduled") == 3


def test_a_redo_on_a_run_that_has_ended_writes_its_record_again(world: CrashingWorld, turns: Turns):
    office = Office(world, two_steps)
    world.crashes = lambda number, when: world.calls[-1] == "update_run" and when == "before" and not world.crashed
    turns.take("run-1", [office.start()])
    turns.take("run-1", [office.done("s1", "a")])
    with pytest.raises(Crash):
        turns.take("run-1", [office.done("s2", "b")])
    assert office.status() == "running"
    turns.take("run-1", [office.done("s2", "b")], redo=True)
    assert office.status() == "completed"
    assert world.read_run("run-1").result == ["a", "b"]


def test_late_facts_of_a_run_that_has_ended_are_not_committed(world: CrashingWorld, turns: Turns):
    office = Office(world, two_steps)
    turns.take("run-1", [office.start(), office.fact(CancelRequested(reason="enough"))])
    assert office.status() == "cancelled"
    length = len(office.history())
    turns.take("run-1", [office.done("s1"), office.fact(SignalReceived(signal_id="1", name="a"))])
    turns.take("run-1", [office.done("s1")], redo=True)
    assert len(office.history()) == length
    assert office.status() == "cancelled"


def test_what_the_last_turn_scheduled_is_not_sent(world: CrashingWorld, turns: Turns):
    @workflow
    async def hasty() -> str:
        asyncio.create_task(work())  # noqa: RUF006
        asyncio.create_task(sleep(60))  # noqa: RUF006
        await asyncio.sleep(0)
        return "done"

    office = Office(world, hasty)
    turns.take("run-1", [office.start()])
    assert office.history() == ["RunStarted", "StepScheduled", "TimerStarted", "RunCompleted"]
    turns.take("run-1", [office.start()], redo=True)
    assert office.kinds() == []


def test_what_one_turn_opened_and_closed_is_not_sent(world: CrashingWorld, turns: Turns):
    @workflow
    async def impatient() -> str:
        task = asyncio.create_task(work())
        await wait_for_signal("never-mind")
        task.cancel()
        return await work("instead")

    office = Office(world, impatient)
    turns.take("run-1", [office.start(), office.fact(SignalReceived(signal_id="1", name="never-mind"))])
    assert office.kinds() == ["step s2/1"]


def test_a_failed_attempt_comes_again_when_it_is_due(world: CrashingWorld, turns: Turns):
    office = Office(world, retrying)
    turns.take("run-1", [office.start()])
    failed = StepFailed(step_id="s1", error=encode_exception(ValueError()))
    turns.take("run-1", [office.fact(failed)])
    (_, (message, due)) = office.sent
    assert isinstance(message, StepDue)
    assert (due - world.load_history("run-1")[-1].at) == timedelta(seconds=10)  # type: ignore[operator]
    office.kinds()
    turns.take("run-1", [message])
    assert [kind.removesuffix(" redo") for kind in office.kinds()] == ["step s1/2"]
    assert "StepDue" not in office.history()
    turns.take(
        "run-1", [StepDue(run_id="run-1", step_id="s1", attempt=1), StepDue(run_id="run-1", step_id="s7", attempt=1)]
    )
    assert office.kinds() == []


def test_a_timer_counts_at_its_own_time_at_the_earliest(world: CrashingWorld, turns: Turns):
    office = Office(world, napping)
    turns.take("run-1", [office.start()])
    turns.take("run-1", [office.fact(TimerFired(timer_id="t1"))])
    started, timer, fired, _ = world.load_history("run-1")
    assert isinstance(timer, TimerStarted)
    assert fired.at == timer.due >= started.at + timedelta(hours=1)


def test_time_never_goes_back(world: CrashingWorld, turns: Turns):
    office = Office(world, listening)
    turns.take("run-1", [office.start()])
    world.time -= timedelta(hours=5)
    turns.take("run-1", [office.fact(SignalReceived(signal_id="1", name="a"))])
    times = [event.at for event in world.load_history("run-1")]
    assert times == sorted(times)


def test_a_stale_execution_is_found_out_by_its_write(world: CrashingWorld, turns: Turns):
    office = Office(world, two_steps)
    turns.take("run-1", [office.start()])
    elsewhere = Turns(world)
    elsewhere.take("run-1", [office.done("s1", "from elsewhere")])
    office.kinds()
    turns.take("run-1", [office.done("s1", "late"), office.done("s2", "b")])
    assert office.status() == "completed"
    assert world.read_run("run-1").result == ["from elsewhere", "b"]
    elsewhere.take("run-1", [office.done("s2", "c")])
    assert world.read_run("run-1").result == ["from elsewhere", "b"]


def test_a_stale_execution_does_not_drop_what_is_new(world: CrashingWorld, turns: Turns):
    """It does not know the step that the fact answers: it must read before it says that nothing is open."""
    office = Office(world, two_steps)
    turns.take("run-1", [office.start()])
    Turns(world).take("run-1", [office.done("s1", "a")])
    turns.take("run-1", [office.done("s2", "b")])
    assert world.read_run("run-1").result == ["a", "b"]


def test_a_stale_execution_does_not_act_again_on_what_is_done(world: CrashingWorld, turns: Turns):
    office = Office(world, two_steps)
    turns.take("run-1", [office.start()])
    Turns(world).take("run-1", [office.done("s1", "a")])
    office.kinds()
    turns.take("run-1", [Poke(run_id="run-1")])
    assert office.kinds() == ["step s2/1 redo"]


def test_a_conflict_makes_the_turn_again_and_acts_on_what_is_open(world: CrashingWorld, turns: Turns):
    office = Office(world, two_steps)
    append, times = world.append, []

    def slow_append(run_id, events):
        if not times:
            times.append(1)
            Turns(world).take(run_id, [office.start()])
            office.kinds()
        append(run_id, events)

    world.append = slow_append  # type: ignore[method-assign]
    turns.take("run-1", [office.start()])
    assert office.kinds() == ["step s1/1 redo"]
    assert office.history() == ["RunStarted", "StepScheduled"]


def test_a_turn_that_always_loses_gives_up(world: CrashingWorld, turns: Turns, monkeypatch: pytest.MonkeyPatch):
    office = Office(world, two_steps)

    def lose(run_id, events):
        raise ConflictError("lost")

    monkeypatch.setattr(world, "append", lose)
    with pytest.raises(ConflictError, match="in a row"):
        turns.take("run-1", [office.start()])
    monkeypatch.undo()
    turns.take("run-1", [office.start()], redo=True)
    assert office.history() == ["RunStarted", "StepScheduled"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["append", "send"])
def test_whatever_goes_wrong_discards_the_live_execution(world: CrashingWorld, turns: Turns, call: str, when: str):
    office = Office(world, two_steps)
    turns.take("run-1", [office.start()])
    world.crashes = lambda number, moment: world.calls[-1] == call and moment == when and not world.crashed
    with pytest.raises(Crash):
        turns.take("run-1", [office.done("s1", "a")])
    office.kinds()
    turns.take("run-1", [office.done("s1", "a")], redo=True)
    assert [kind.removesuffix(" redo") for kind in office.kinds()] == ["step s2/1"]
    turns.take("run-1", [office.done("s2", "b")])
    assert world.read_run("run-1").result == ["a", "b"]
    assert office.history() == [
        "RunStarted",
        "StepScheduled",
        "StepCompleted",
        "StepScheduled",
        "StepCompleted",
        "RunCompleted",
    ]


def test_the_oldest_live_executions_are_let_go(world: CrashingWorld):
    turns = Turns(world, live_limit=2)
    offices = [Office(world, two_steps, f"run-{n}") for n in range(4)]
    for office in offices:
        turns.take(office.run_id, [office.start()])
    reads = []
    load = world.load_history
    world.load_history = lambda run_id, *args, **kwargs: (reads.append(run_id), load(run_id, *args, **kwargs))[1]  # type: ignore[method-assign]
    for office in reversed(offices):
        turns.take(office.run_id, [office.done("s1")])
        turns.take(office.run_id, [office.done("s2")])
    assert "run-3" not in reads
    assert "run-2" not in reads
    assert {"run-0", "run-1"} <= set(reads)
    assert {office.status() for office in offices} == {"completed"}


def test_the_history_of_a_large_value_holds_a_reference(world: CrashingWorld, turns: Turns):
    @workflow
    async def large() -> str:
        return await work("x" * 100_000)

    office = Office(world, large)
    turns.take("run-1", [office.start()])
    scheduled = world.load_history("run-1")[1]
    assert isinstance(scheduled, StepScheduled)
    assert len(str(scheduled.input)) < 1_000
    (task, _) = office.sent[0]
    assert isinstance(task, StepTask)
    assert task.input == scheduled.input
    turns.take("run-1", [office.done("s1", "y" * 100_000)])
    ended = world.load_history("run-1")[-1]
    assert isinstance(ended, RunCompleted)
    assert len(str(ended.result)) < 1_000
    assert world.read_run("run-1").result == "y" * 100_000


def test_half_of_the_live_executions_are_let_go_when_memory_is_short(world: CrashingWorld):
    is_short = False
    turns = Turns(world, is_full=lambda: is_short)
    offices = [Office(world, two_steps, f"run-{n}") for n in range(4)]
    for office in offices[:3]:
        turns.take(office.run_id, [office.start()])
    is_short = True
    turns.take("run-3", [offices[3].start()])
    is_short = False
    reads = []
    load = world.load_history
    world.load_history = lambda run_id, *args, **kwargs: (reads.append(run_id), load(run_id, *args, **kwargs))[1]  # type: ignore[method-assign]
    for office in offices:
        turns.take(office.run_id, [office.done("s1")])
    assert reads == ["run-0", "run-1"]


def test_turns_that_go_without_being_closed_let_go_of_their_runs(world: CrashingWorld) -> None:
    """Left to the garbage collector, a coroutine may end before its loop does: its `finally` would run for real."""
    turns = Turns(world)
    turns.take("run-1", [Office(world, two_steps).start()])
    loop = turns._tools.runs._runs["run-1"].execution.loop  # type: ignore[union-attr]
    assert not loop.closed

    del turns

    assert loop.closed
