"""What a workflow writes to a stream is written once, in order, on every World."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from tests.support.systems import System, finish, skip, start
from worldflow import RetryPolicy, StreamItem, StreamReset, continue_as_new, open_stream, sleep, step, workflow
from worldflow.runtime import Orchestrator, starting
from worldflow.worlds import World, streams


class Phase(BaseModel):
    name: str


@step
async def stream_from_a_step(word: str) -> None:
    async with open_stream("progress") as out:
        await out.write(word)


@workflow
async def progress_of_phases() -> str:
    progress = open_stream("progress", Phase)
    progress.write(Phase(name="began"))
    progress.write(Phase(name="asks"))
    await stream_from_a_step("asked")
    await progress.write(Phase(name="waits"))
    await sleep("1h")
    progress.write(Phase(name="ends"))
    return "done"


def test_a_workflow_writes_a_stream(system: System) -> None:
    start(system, "r", progress_of_phases)
    before = values(system.world, "r", "progress", follow=False)
    assert finish(system, "r").result == "done"

    assert before == [{"name": "began"}, {"name": "asks"}, "asked", {"name": "waits"}]
    assert values(system.world, "r", "progress") == [*before, {"name": "ends"}]
    assert streams.names(system.world, "r") == ["progress"]


def test_writes_between_two_facts_are_one_decision(system: System) -> None:
    start(system, "r", progress_of_phases)
    finish(system, "r")

    written = [event for event in system.world.read_events("r") if event.event_type == "StreamWritten"]
    assert [event.payload["count"] for event in written] == [2, 1, 1]


def test_a_process_that_replays_writes_nothing_again(system: System) -> None:
    start(system, "r", progress_of_phases)
    system.restart()
    finish(system, "r")

    assert len(values(system.world, "r", "progress")) == 5


@workflow
async def progress_of_generations(number: int) -> None:
    open_stream("progress").write(number)
    await sleep("1s")
    if number < 3:
        continue_as_new(number + 1)


def test_generations_share_their_streams(system: System) -> None:
    start(system, "r", progress_of_generations, number=1)
    while skip(system):
        pass

    assert system.world.read_run("r~3").status == "completed"
    assert everything(system.world, "r", "progress") == [StreamItem(n, n) for n in (1, 2, 3)]
    assert everything(system.world, "r~3", "progress") == [StreamItem(n, n) for n in (1, 2, 3)]


@workflow
async def progress_that_is_closed() -> None:
    progress = open_stream("progress", int)
    progress.write(1)
    await sleep("1h")
    progress.write(2)
    progress.close()
    await sleep("1h")


def test_a_stream_ends_when_it_is_closed(system: System) -> None:
    start(system, "r", progress_that_is_closed)
    while len(values(system.world, "r", "progress", follow=False)) < 2:
        assert skip(system)

    assert system.world.read_run("r").status == "running"
    assert values(system.world, "r", "progress") == [1, 2]
    assert streams.read(system.world, "r", "progress", after=1).ended


def test_a_fork_has_what_was_written_before(system: System) -> None:
    start(system, "r", progress_that_is_closed)
    starting.fork(system.world, "r", "other", after=1)
    finish(system, "other")
    finish(system, "r")

    assert values(system.world, "other", "progress") == values(system.world, "r", "progress") == [1, 2]


FAILS = [True]


@step(retry=RetryPolicy(max_attempts=1))
async def fail_when_told() -> None:
    async with open_stream("progress") as out:
        await out.write("tries")
    if FAILS[0]:
        raise ValueError("not yet")


@workflow
async def progress_of_a_failure() -> None:
    progress = open_stream("progress", str)
    progress.write("begins")
    await sleep("1s")
    progress.write("goes on")
    try:
        await fail_when_told()
    except ValueError:
        progress.write("gives up")
        open_stream("regrets").write("sorry")
        raise
    progress.write("ends")


def test_a_retry_makes_void_what_came_after_the_failure(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.FAILS", [True])
    start(system, "r", progress_of_a_failure)
    assert finish(system, "r").status == "failed"
    assert values(system.world, "r", "progress") == ["begins", "goes on", "tries", "gives up"]

    FAILS[0] = False
    starting.retry(system.world, "r")
    assert finish(system, "r~2").status == "completed"

    assert everything(system.world, "r", "progress") == [
        StreamItem(1, "begins"),
        StreamItem(2, "goes on"),
        StreamItem(3, "tries", "s1", 1),
        StreamItem(4, "gives up"),
        StreamReset(5, None, None, since=4),
        StreamReset(6, "s1", 1, since=3),
        StreamItem(7, "tries", "s1", 1),
        StreamItem(8, "ends"),
    ]
    assert everything(system.world, "r", "regrets") == [StreamItem(1, "sorry"), StreamReset(2, None, None, since=1)]


def values(world: World, run_id: str, name: str, *, follow: bool = True) -> list[Any]:
    """The values of a stream, at the end of its run or, without following it, now."""
    items = everything(world, run_id, name) if follow else streams.read(world, run_id, name).items
    return [item.value for item in items]


def everything(world: World, run_id: str, name: str) -> list[Any]:
    async def read() -> list[Any]:
        return [item async for item in Orchestrator(world).run(run_id).stream(name)]

    return asyncio.run(read())
