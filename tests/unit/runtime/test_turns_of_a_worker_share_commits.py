"""A worker takes the turns of several runs side by side: they commit together, and fail alone."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from worldflow import step, workflow
from worldflow.engine.errors import ConflictError
from worldflow.runtime import starting
from worldflow.serving.worker_turns import WorkerTurns
from worldflow.turns.steps import StepExecutor
from worldflow.turns.turn import Turn
from worldflow.turns.turns import Turns
from worldflow.worlds import LocalWorld

ran: Counter[str] = Counter()
begun: list[str] = []


@step(inline=True, name="shared_step")
async def note(name: str) -> None:
    ran[name] += 1
    begun.append(name)


@workflow(name="shared_notes")
async def notes(name: str, count: int) -> int:
    for _ in range(count):
        await note(name)
    return count


class World(LocalWorld):
    """Counts transactions that several writes share, and may refuse a commit."""

    commits = 0
    refused: str | None = None

    @contextlib.contextmanager
    def together(self) -> Iterator[Any]:
        self.commits += 1
        with super().together() as transaction:
            yield transaction

    def append(self, run_id: str, events: Any) -> None:
        if run_id == self.refused and ran[run_id] == 2:
            self.refused = None
            raise ConflictError("somebody else was here")
        super().append(run_id, events)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    ran.clear()
    begun.clear()
    world = World(tmp_path / "world.db")
    yield world
    world.close()


@pytest.fixture
def turns(world: World) -> Iterator[WorkerTurns]:
    live, executor = Turns(world), StepExecutor(world)
    yield WorkerTurns(world, live, executor)
    live.close()
    executor.close()


def start(world: World, *names: str, count: int = 4) -> None:
    for name in names:
        starting.start(world, name, notes, {"name": name, "count": count})


def test_as_many_commits_as_one_run_needs(world: World, turns: WorkerTurns) -> None:
    names = [f"r{number}" for number in range(20)]
    start(world, *names)
    world.commits = 0

    assert turns.take(50)

    assert {world.read_run(name).status for name in names} == {"completed"}
    assert ran == dict.fromkeys(names, 4)
    assert world.commits <= 7  # of twenty runs: the start with the first step, four steps, the end


def test_no_more_than_asked_for_are_under_way(world: World, turns: WorkerTurns) -> None:
    start(world, "a", "b", "c")
    turns.take(1)

    assert [world.read_run(name).status for name in "abc"] == ["completed", "pending", "pending"]


def test_one_that_fails_fails_alone(world: World, turns: WorkerTurns, monkeypatch: pytest.MonkeyPatch) -> None:
    start(world, "a", "bad", "c")
    advance = Turn.advance

    def failing(self: Turn) -> bool:
        if self._run_id == "bad":
            raise RuntimeError("its turn fails")
        return advance(self)

    with monkeypatch.context() as patched:
        patched.setattr(Turn, "advance", failing)
        turns.take(50)
    assert [world.read_run(name).status for name in ("a", "bad", "c")] == ["completed", "pending", "completed"]

    assert not turns.take(50), "what failed comes again, and not at once"


def test_a_commit_that_is_refused_is_made_without_the_others(world: World, turns: WorkerTurns) -> None:
    start(world, "a", "b", "c")
    world.refused = "b"
    turns.take(50)

    for name in "abc":
        assert world.read_run(name).result == 4
        kinds = [event.event_type for event in world.load_history(name)]
        assert kinds == ["RunStarted", *["StepScheduled", "StepCompleted"] * 4, "RunCompleted"]
    assert world.refused is None


def test_what_came_before_is_taken_by_itself(world: World, turns: WorkerTurns) -> None:
    start(world, "a", "b")
    world.receive_groups("runs", 5)
    world.recover()  # as a worker does that follows one that died
    turns.take(50)

    assert begun == ["a"] * 4 + ["b"] * 4
    assert {world.read_run(name).status for name in "ab"} == {"completed"}


def test_a_run_that_comes_meanwhile_joins_in(world: World, turns: WorkerTurns, monkeypatch: pytest.MonkeyPatch) -> None:
    start(world, "long", count=30)
    run_inline = StepExecutor.run_inline

    def more(self: StepExecutor, tasks: Any, began: Any) -> Any:
        if ran["long"] == 3 and not ran["short"] and world.get_run("short") is None:
            start(world, "short", count=2)
        return run_inline(self, tasks, began)

    monkeypatch.setattr(StepExecutor, "run_inline", more)
    turns.take(50)

    assert begun.index("short") < 10
    assert {world.read_run(name).status for name in ("long", "short")} == {"completed"}


def test_a_worker_that_stops_leaves_the_rest_to_the_next(world: World, turns: WorkerTurns) -> None:
    start(world, "a", count=30)
    turns.stopped = True
    turns.take(50)

    assert 0 < ran["a"] < 3
    turns.stopped = False
    while turns.take(50):
        pass
    assert world.read_run("a").result == 30
    assert ran["a"] == 30
