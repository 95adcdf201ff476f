"""The streams of a run are archived with it, and are read as before."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.archiving import archive, left
from tests.support.stream_values import all_items
from tests.support.systems import System, finish, skip, start
from worldflow import continue_as_new, open_stream, sleep, step, workflow
from worldflow.runtime import Orchestrator
from worldflow.worlds import World, streams

pytestmark = pytest.mark.parametrize("system", ["memory", "aws"], indirect=True)

LARGE = "x" * 70_000


@step
async def stream_what_is_archived(generation: int) -> None:
    async with open_stream("answer", str) as out:
        await out.write(f"from step {generation}")
        await out.write(LARGE)


@workflow
async def streams_of_generations(number: int, last: int, rest: str) -> int:
    open_stream("progress", int).write(number)
    await stream_what_is_archived(number)
    if number < last:
        continue_as_new(number + 1, last, rest)
    await sleep(rest)
    return number


@workflow
async def streams_nothing() -> None: ...


def test_they_are_read_as_if_nothing_had_happened_and_nothing_is_left(system: System) -> None:
    run(system, last=3)
    before = {name: followed(system.world, "r", name) for name in ("answer", "progress")}
    assert [item.value for item in before["progress"]] == [1, 2, 3]

    report = archive(system)

    assert (report.archived, report.failed) == (3, 0)
    assert {name: followed(system.world, "r", name) for name in before} == before
    assert followed(system.world, "r~3", "answer") == before["answer"]
    assert streams.names(system.world, "r") == ["answer", "progress"]
    assert streams.read(system.world, "r", "progress", after=3).ended
    assert set(left(system)) <= {"archives", "payloads"}


def test_streams_stay_while_a_generation_goes_on(system: System) -> None:
    start(system, "r", streams_of_generations, number=1, last=3, rest="30d")

    assert archive(system).archived == 1
    assert system.world.get_run("r~2") is None
    assert [item.value for item in all_items(system.world, "r", "progress")] == [1, 2, 3]
    assert len(all_items(system.world, "r", "answer")) == 6


def test_a_new_run_of_the_id_has_nothing_of_the_old(system: System) -> None:
    run(system, last=2)
    archive(system)

    start(system, "r", streams_nothing)
    assert finish(system, "r").status == "completed"
    assert followed(system.world, "r", "progress") == []

    archive(system)
    assert followed(system.world, "r", "progress") == []
    assert streams.names(system.world, "r") == []


def test_an_older_archive_of_the_id_is_kept(system: System) -> None:
    run(system, last=2)
    archive(system)
    run(system, last=1)
    archive(system)

    assert [item.value for item in followed(system.world, "r", "progress")] == [1]


def run(system: System, last: int) -> None:
    start(system, "r", streams_of_generations, number=1, last=last, rest="1s")
    while skip(system):
        pass


def followed(world: World, run_id: str, name: str) -> list[Any]:
    async def read() -> list[Any]:
        return [item async for item in Orchestrator(world).run(run_id).stream(name)]

    return asyncio.run(read())
