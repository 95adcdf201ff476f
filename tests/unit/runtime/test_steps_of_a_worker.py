"""A worker's steps: what has ended is recorded together, and where that fails one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from worldflow import step, workflow
from worldflow.runtime import starting
from worldflow.serving.worker import Worker
from worldflow.serving.worker_steps import WorkerSteps
from worldflow.serving.worker_turns import WorkerTurns
from worldflow.turns.steps import StepExecutor
from worldflow.turns.turns import Turns
from worldflow.worlds import LocalWorld, ledger
from worldflow.worlds.items import Expected, Item
from worldflow.worlds.messages import StepOutcome

ran: list[int] = []


@step(name="worker_steps_note")
async def note(number: int) -> int:
    ran.append(number)
    return number


@workflow(name="worker_steps_fan_out")
async def fan_out(count: int) -> int:
    return sum(await asyncio.gather(*(note(number) for number in range(count))))


class World(LocalWorld):
    """Counts its durable transactions, and refuses an outcome so many times."""

    commits = 0
    refuses: str | None = None
    times = 0

    def together(self, **how: Any) -> Any:
        self.commits += 1
        return super().together(**how)

    def put_item(self, key: str, item: Item | None, expected: Expected | None = None) -> bool:
        if self.times and key == ledger.step_key("r", str(self.refuses), 1):
            self.times -= 1
            raise OSError("the disk is full")
        return super().put_item(key, item, expected)


@pytest.fixture
def world() -> Iterator[World]:
    ran.clear()
    world = World()
    yield world
    world.close()


@pytest.fixture
def executor(world: World) -> Iterator[StepExecutor]:
    executor = StepExecutor(world)
    yield executor
    executor.close()


def scheduled(world: World, executor: StepExecutor, count: int) -> None:
    """A run whose steps are in the queue."""
    starting.start(world, "r", fan_out, {"count": count})
    turns = Turns(world)
    WorkerTurns(world, turns, executor).take(1)
    turns.close()
    world.commits = 0


async def run_all(steps: WorkerSteps) -> None:
    steps.begin(steps.receive())
    while steps.running:
        await asyncio.wait(steps.running)


def outcomes(world: World, count: int) -> list[bool]:
    return [ledger.get_outcome(world, "r", f"s{number + 1}", 1) is not None for number in range(count)]


def test_what_ends_together_is_recorded_together(world: World, executor: StepExecutor) -> None:
    scheduled(world, executor, 8)
    steps = WorkerSteps(world, executor, concurrency=10)
    asyncio.run(run_all(steps))
    assert steps.busy
    assert outcomes(world, 8) == [False] * 8

    assert steps.record()

    assert outcomes(world, 8) == [True] * 8
    assert world.commits == 1
    assert not steps.busy
    assert not steps.record()


def test_no_more_are_received_than_there_is_room_for(world: World, executor: StepExecutor) -> None:
    scheduled(world, executor, 8)
    steps = WorkerSteps(world, executor, concurrency=3)
    asyncio.run(run_all(steps))
    assert sorted(ran) == [0, 1, 2]
    assert steps.receive() == []  # until those are recorded

    steps.record()
    asyncio.run(run_all(steps))
    assert sorted(ran) == [0, 1, 2, 3, 4, 5]


def test_one_that_cannot_be_recorded_is_kept_alone(world: World, executor: StepExecutor) -> None:
    scheduled(world, executor, 3)
    world.refuses, world.times = "s2", 3  # with the others, by itself, and once more
    steps = WorkerSteps(world, executor, concurrency=3)
    asyncio.run(run_all(steps))
    with pytest.raises(OSError, match="the disk is full"):
        steps.record()
    assert outcomes(world, 3) == [True, False, True]
    assert steps.busy
    assert steps.receive() == []  # its message is in flight

    steps.record()
    assert outcomes(world, 3) == [True, True, True]
    assert sorted(ran) == [0, 1, 2]
    assert not steps.busy
    assert _later(world) == []


def test_one_that_cannot_be_recorded_ever_comes_again_alone(
    world: World, executor: StepExecutor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scheduled(world, executor, 3)
    put_outcome = ledger.put_outcome

    def refuse(world: World, outcome: StepOutcome) -> StepOutcome:
        if outcome.fact.step_id == "s2":
            raise ValueError("it cannot be written")
        return put_outcome(world, outcome)

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "put_outcome", refuse)
        steps = WorkerSteps(world, executor, concurrency=10)
        asyncio.run(run_all(steps))
        steps.record()

    assert outcomes(world, 3) == [True, False, True]
    assert "step worker_steps_note could not be run and will be retried" in caplog.text
    assert [delivery.receives for delivery in _later(world)] == [2]


def test_one_that_cannot_be_run_comes_again(
    world: World, executor: StepExecutor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise OSError("no threads left")

    monkeypatch.setattr(StepExecutor, "attempt", fail)
    scheduled(world, executor, 1)
    steps = WorkerSteps(world, executor, concurrency=1)
    asyncio.run(run_all(steps))
    steps.record()

    assert "step worker_steps_note could not be run and will be retried" in caplog.text
    assert [delivery.receives for delivery in _later(world)] == [2]


def test_none_begins_when_the_worker_has_stopped(world: World, executor: StepExecutor) -> None:
    scheduled(world, executor, 2)
    steps = WorkerSteps(world, executor, concurrency=10)
    deliveries = steps.receive()
    steps.stopped = True

    async def begin() -> None:
        steps.begin(deliveries)

    asyncio.run(begin())
    assert ran == [] and not steps.busy

    world.recover()  # as the next worker does
    assert len(world.receive("steps")) == 2


def test_a_worker_whose_steps_thread_fails_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Any:
        raise KeyError("a table")

    monkeypatch.setattr(WorkerSteps, "receive", fail)
    with pytest.raises(KeyError, match="a table"):
        asyncio.run(Worker(world).serve())


def _later(world: World) -> list[Any]:
    """What is received when the delay of what was rejected is over."""
    later = world.now() + timedelta(hours=1)
    world._clock = lambda: later
    return world.receive("steps")
