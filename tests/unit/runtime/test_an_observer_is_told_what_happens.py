"""Observers: each commit is reported once, by the turn that wrote it, and when it is durable."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime, timedelta

import pytest

from tests.support.crashes import Crash, CrashingWorld, once, settle
from tests.support.office import Office
from tests.support.steps import work
from tests.support.watching import Notes
from worldflow import continue_as_new, step, wait_for_signal, workflow
from worldflow.engine.history import RunCompleted, SignalReceived, StepCompleted, StepScheduled
from worldflow.runtime import Orchestrator, starting
from worldflow.runtime.sweep import sweep
from worldflow.serving.worker import Worker
from worldflow.turns.observer import Attempt, Commit, Observer, Observers, TurnReport
from worldflow.turns.steps import StepExecutor
from worldflow.turns.turns import Turns
from worldflow.worlds import LocalWorld
from worldflow.worlds.messages import Poke, Start, StepTask

seen_by_step: ContextVar[str] = ContextVar("seen_by_step", default="nothing")


@workflow
async def watched_chain() -> list[str]:
    return [await work(1), await work(2)]


@step(inline=True)
async def watched_inline(n: int) -> int:
    return n + 1


@step(inline=True, guarantee="at_most_once")
async def watched_inline_once(n: int) -> int:
    return n + 1


@workflow
async def watched_once() -> int:
    return await watched_inline_once(1)


@workflow
async def watched_inline_chain() -> int:
    return await watched_inline(await watched_inline(1))


@step
async def sees_its_context() -> str:
    return seen_by_step.get()


@step
def sees_its_context_in_a_thread() -> str:
    return seen_by_step.get()


@workflow
async def watched_context() -> list[str]:
    return [await sees_its_context(), await sees_its_context_in_a_thread()]


@workflow
async def watched_listener() -> str:
    return str(await wait_for_signal("a"))


@workflow
async def watched_generations(n: int) -> str:
    return "done" if n == 0 else await continue_as_new(n - 1)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def turns(world: CrashingWorld, notes: Notes) -> Iterator[Turns]:
    turns = Turns(world, observer=notes)
    yield turns
    turns.close()


def test_a_turn_surrounds_its_commits(world: CrashingWorld, turns: Turns, notes: Notes):
    office = Office(world, watched_chain)
    turns.take("run-1", [office.start()])
    turns.take("run-1", [office.done("s1"), office.done("s2")])
    assert notes.said == [
        "turn of run-1",
        "RunStarted StepScheduled",
        "end of turn of run-1",
        "turn of run-1",
        "StepCompleted StepScheduled StepCompleted RunCompleted",
        "end of turn of run-1",
    ]
    assert notes.turns[1].workflow_name == "watched_chain"
    assert [message.kind for message in notes.turns[1].messages] == ["fact", "fact"]


def test_a_start_and_an_end_are_in_the_commit_that_has_them(world: CrashingWorld, turns: Turns, notes: Notes):
    office = Office(world, watched_chain)
    for message in (office.start(), office.done("s1"), office.done("s2")):
        turns.take("run-1", [message])
    assert [(commit.starts, commit.ended is not None) for commit in notes.commits] == [
        (True, False),
        (False, False),
        (False, True),
    ]
    assert isinstance(notes.commits[2].ended, RunCompleted)
    assert notes.commits[2].started.workflow_name == "watched_chain"


def test_a_redo_reports_nothing_again(world: CrashingWorld, turns: Turns, notes: Notes):
    office = Office(world, watched_chain)
    everything = [office.start(), office.done("s1"), office.done("s2")]
    turns.take("run-1", everything)
    turns.take("run-1", everything, redo=True)
    turns.take("run-1", [Poke(run_id="run-1")])
    assert len(notes.turns) == 3
    assert [turn.redo for turn in notes.turns] == [False, True, False]
    assert len(notes.commits) == 1


def test_a_turn_that_dies_before_its_commit_reports_nothing(world: CrashingWorld, turns: Turns, notes: Notes):
    office = Office(world, watched_chain)
    world.crashes = once(len(world.calls), "before")
    with pytest.raises(Crash):
        turns.take("run-1", [office.start()])
    assert notes.said == ["turn of run-1", "end of turn of run-1"]


def test_a_turn_whose_acts_fail_has_reported_its_commit(world: CrashingWorld, turns: Turns, notes: Notes):
    office = Office(world, watched_chain)
    world.crashes = once(len(world.calls) + 1, "before")
    with pytest.raises(Crash):
        turns.take("run-1", [office.start()])
    turns.take("run-1", [office.start()], redo=True)
    assert world.crashed == ["before send"]
    assert notes.starts() == ["run-1"]


def test_a_turn_that_loses_its_conditional_write_reports_what_it_then_writes(
    world: CrashingWorld, turns: Turns, notes: Notes
):
    office = Office(world, watched_chain)
    turns.take("run-1", [office.start()])
    Turns(world).take("run-1", [office.done("s1")])  # another process, which nobody observes
    turns.take("run-1", [office.done("s2")])
    assert [turn.redo for turn in notes.turns] == [False, False, True]
    assert [event.seq for event in notes.commits[-1].events] == [5, 6]
    assert notes.ends() == [("run-1", "RunCompleted")]


def test_what_is_rolled_back_is_not_reported(notes: Notes):
    with closing(LocalWorld()) as world:
        starting.start(world, "run-1", watched_chain, {})
        with closing(Turns(world, observer=notes)) as turns, pytest.raises(KeyError), world.together():
            turns.take("run-1", [Start(run_id="run-1")])
            raise KeyError
        assert notes.commits == []
        with closing(Turns(world, observer=notes)) as turns:
            turns.take("run-1", [Start(run_id="run-1")])
        assert notes.starts() == ["run-1"]


def test_a_report_comes_when_all_that_is_written_together_is_durable(notes: Notes):
    with closing(LocalWorld()) as world:
        for run_id in ("a", "b"):
            starting.start(world, run_id, watched_chain, {})
        turns = Turns(world, observer=notes)
        with world.together():
            for run_id in ("a", "b"):
                turns.take(run_id, [Start(run_id=run_id)])
            assert notes.commits == []
        assert notes.starts() == ["a", "b"]
        turns.close()


def test_a_turn_is_durable_after_it_is_over(notes: Notes):
    with closing(LocalWorld()) as world:
        starting.start(world, "run-1", watched_once, {})
        with closing(Turns(world, observer=notes)) as turns, world.together():
            turns.take("run-1", [Start(run_id="run-1")])
        assert world.read_run("run-1").result == 2
        assert [commit.events[0].seq for commit in notes.commits] == [1, 3]


def test_a_turn_begins_when_it_is_first_advanced(world: CrashingWorld, turns: Turns, notes: Notes):
    """A worker begins several, and one that runs inline steps holds up those after it."""
    Office(world, watched_chain)
    with turns.begin("run-1", [Start(run_id="run-1")]) as turn:
        world.time += timedelta(seconds=5)
        advanced = world.time
        turn.advance()
    assert notes.turns[0].began_at >= advanced


def test_a_turn_says_how_many_events_it_replayed(world: CrashingWorld, turns: Turns, notes: Notes):
    office = Office(world, watched_chain)
    turns.take("run-1", [office.start()])
    turns.take("run-1", [office.done("s1")])
    cold = Turns(world, observer=notes)
    cold.take("run-1", [office.done("s2")])
    assert [turn.replayed for turn in notes.turns] == [0, 0, 4]
    cold.close()


def test_each_generation_starts_and_ends(world: CrashingWorld, turns: Turns, notes: Notes):
    starting.start(world, "run-1", watched_generations, {"n": 1})
    settle(world, turns)
    assert notes.starts() == ["run-1", "run-1~2"]
    assert notes.ends() == [("run-1", "RunContinued"), ("run-1~2", "RunCompleted")]


def test_what_a_fork_adopts_is_told_from_what_happened_in_it(world: CrashingWorld, turns: Turns, notes: Notes):
    office = Office(world, watched_chain)
    for message in (office.start(), office.done("s1"), office.done("s2")):
        turns.take("run-1", [message])
    starting.fork(world, "run-1", "fork-1", after=3)
    turns.take("fork-1", [Start(run_id="fork-1")])
    commit = notes.commits[-1]
    assert (commit.run_id, commit.starts, commit.ended) == ("fork-1", True, None)
    assert [event.event_type for event in commit.events[: commit.adopted]] == [
        "RunStarted",
        "StepScheduled",
        "StepCompleted",
        "StepScheduled",
    ]


def test_a_history_that_becomes_long_is_reported_once(world: CrashingWorld, notes: Notes):
    @workflow
    async def watched_long_listener() -> None:
        while True:
            await wait_for_signal("a")

    office = Office(world, watched_long_listener)
    turns = Turns(world, observer=notes, history_limit=20)
    turns.take("run-1", [office.start()])
    for n in range(5):
        turns.take("run-1", [office.fact(SignalReceived(signal_id=str(n), name="a", value=n))])
    assert [len(commit.events) for commit in notes.commits] == [1] * 6
    assert [commit.became_long for commit in notes.commits] == [False, False, False, True, False, False]
    turns.close()


def test_a_run_becomes_blocked_once(world: CrashingWorld, turns: Turns, notes: Notes, caplog: pytest.LogCaptureFixture):
    starting.start(world, "run-1", "of_no_module", {})
    caplog.set_level(logging.CRITICAL, "worldflow")
    turns.take("run-1", [Start(run_id="run-1")])
    turns.take("run-1", [Start(run_id="run-1")], redo=True)
    turns.take("run-1", [Poke(run_id="run-1")])
    assert [blocked.turn.run_id for blocked in notes.blocks] == ["run-1"]
    assert "WorkflowNotFoundError" in notes.blocks[0].reason


def test_the_sweep_counts_blocked_runs(world: CrashingWorld, turns: Turns, notes: Notes):
    starting.start(world, "good", watched_listener, {})
    starting.start(world, "bad", "of_no_module", {})
    for run_id in ("good", "bad"):
        turns.take(run_id, [Start(run_id=run_id)])
    sweep(world, observer=notes)
    assert [(report.open_runs, report.blocked_runs) for report in notes.reports] == [(2, 1)]


def test_attempts_of_inline_steps_are_surrounded(world: CrashingWorld, turns: Turns, notes: Notes):
    office = Office(world, watched_inline_chain)
    turns.take("run-1", [office.start()])
    assert notes.said == [
        "turn of run-1",
        "RunStarted StepScheduled",
        "attempt s1/1",
        "end of attempt s1/1: StepCompleted",
        "StepCompleted StepScheduled",
        "attempt s2/1",
        "end of attempt s2/1: StepCompleted",
        "StepCompleted RunCompleted",
        "end of turn of run-1",
    ]
    assert all(attempt.inline and attempt.sent_at is None for attempt in notes.attempts)


def test_a_queued_attempt_says_when_it_was_sent_and_what_came_of_it(world: CrashingWorld, notes: Notes):
    executor = StepExecutor(world, observer=notes)
    task = StepTask(run_id="run-1", step_id="s1", name=sees_its_context.name, input={})
    sent_at = world.now() - timedelta(milliseconds=20)
    asyncio.run(executor.execute(task, sent_at=sent_at))
    (attempt,) = notes.attempts
    assert (attempt.sent_at, attempt.inline, attempt.redelivered) == (sent_at, False, False)
    assert attempt.began_at > sent_at
    assert isinstance(attempt.outcome, StepCompleted)
    executor.close()


def test_an_attempt_that_has_an_outcome_is_not_reported_again(world: CrashingWorld, notes: Notes):
    executor = StepExecutor(world, observer=notes)
    task = StepTask(run_id="run-1", step_id="s1", name=sees_its_context.name, input={})
    for redelivered in (False, True):
        asyncio.run(executor.execute(task, redelivered=redelivered))
    assert len(notes.attempts) == 1
    executor.close()


class SetsContext(Observer):
    @contextmanager
    def attempt(self, attempt: Attempt) -> Iterator[None]:
        token = seen_by_step.set(f"set for {attempt.task.step_id}")
        try:
            yield
        finally:
            seen_by_step.reset(token)


async def test_a_step_sees_the_context_that_an_observer_sets():
    world = LocalWorld()
    async with Worker(world, observer=SetsContext()):
        run = await Orchestrator(world).start_workflow("r", watched_context)
        assert await run.result() == ["set for s1", "set for s2"]
    world.close()


async def test_a_worker_reports_to_its_observer(notes: Notes):
    world = LocalWorld()
    async with Worker(world, observer=notes):
        run = await Orchestrator(world).start_workflow("r", watched_context)
        await run.result()
    assert (notes.starts(), notes.ends()) == (["r"], [("r", "RunCompleted")])
    assert [type(attempt.outcome) for attempt in notes.attempts] == [StepCompleted, StepCompleted]
    assert notes.reports  # it sweeps when it begins
    scheduled = [e for commit in notes.commits for e in commit.events if isinstance(e, StepScheduled)]
    assert len(scheduled) == 2
    world.close()


class Raises(Observer):
    """Fails wherever it is called, in the way that it is told to."""

    def __init__(self, where: str) -> None:
        self.where = where

    @contextmanager
    def _around(self) -> Iterator[None]:
        if self.where == "begin":
            raise ValueError("at its beginning")
        try:
            yield
        finally:
            if self.where == "end":
                raise ValueError("at its end")

    def turn(self, turn: TurnReport):  # type: ignore[no-untyped-def]
        if self.where == "call":
            raise ValueError("when it is called")
        return self._around()

    def attempt(self, attempt: Attempt):  # type: ignore[no-untyped-def]
        return self.turn(None)  # type: ignore[arg-type]

    def committed(self, commit: Commit) -> None:
        raise ValueError("committed")

    def traceparent(self, run_id: str, created_at: datetime) -> str | None:
        raise ValueError("traceparent")


@pytest.mark.parametrize("where", ["call", "begin", "end"])
def test_what_an_observer_raises_is_logged_and_changes_nothing(
    world: CrashingWorld, notes: Notes, where: str, caplog: pytest.LogCaptureFixture
):
    office = Office(world, watched_inline_chain)
    turns = Turns(world, observer=Observers(Raises(where), notes))
    turns.take("run-1", [office.start()])
    assert office.status() == "completed"
    assert notes.ends() == [("run-1", "RunCompleted")]
    assert caplog.messages.count("the observer Raises failed") == 3 + 3 + 1
    # three commits; a turn and two attempts; the run's place in a trace
    turns.close()


def test_an_observer_cannot_suppress_what_a_turn_raises(world: CrashingWorld):
    class Suppresses(Observer):
        @contextmanager
        def turn(self, turn: TurnReport) -> Iterator[None]:
            with suppress(Crash):
                yield

    office = Office(world, watched_chain)
    turns = Turns(world, observer=Suppresses())
    world.crashes = once(len(world.calls), "before")
    with pytest.raises(Crash):
        turns.take("run-1", [office.start()])
    turns.close()


def test_an_observer_that_does_nothing_is_no_trouble(world: CrashingWorld):
    office = Office(world, watched_inline_chain)
    turns = Turns(world, observer=Observer())
    turns.take("run-1", [office.start()])
    assert office.status() == "completed"
    turns.close()
