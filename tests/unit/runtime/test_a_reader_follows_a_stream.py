"""A reader gets values while the step that writes them runs, and ends when nothing more can come."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from worldflow import RunNotFoundError, StreamItem, open_stream, step, wait_for_signal, workflow
from worldflow.runtime import Orchestrator
from worldflow.serving.background import BackgroundWorker
from worldflow.serving.worker import Worker
from worldflow.worlds import LocalWorld
from worldflow.worlds.streams import StreamPage

PATIENCE = 30

seen: list[threading.Event] = []
"""What a reader has seen, which the step waits for."""


@step
async def stream_as_it_is_read(count: int) -> None:
    async with open_stream("answer", int) as out:
        for number in range(count):
            await out.write(number)
            assert await asyncio.to_thread(seen[number].wait, PATIENCE)


@workflow
async def answer_as_it_is_read(count: int, waits: bool = False) -> None:
    await stream_as_it_is_read(count)
    if waits:
        await wait_for_signal("go")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    seen[:] = [threading.Event() for _ in range(3)]
    return tmp_path / "runs.db"


@pytest.fixture
async def served(path: Path) -> AsyncIterator[LocalWorld]:
    world = LocalWorld(path, synchronous="NORMAL")
    worker = BackgroundWorker(Worker(world))
    worker.start()
    yield world
    await asyncio.to_thread(worker.close)
    world.close()


@pytest.mark.parametrize("other_process", [False, True])
async def test_a_value_is_read_while_its_step_runs(served: LocalWorld, path: Path, other_process: bool) -> None:
    run = await Orchestrator(served).start_workflow("r", answer_as_it_is_read, {"count": 3})
    world = LocalWorld(path) if other_process else served  # which nobody tells what others write

    values = []
    async with asyncio.timeout(PATIENCE):
        async for item in Orchestrator(world).run(run.id).stream("answer", int):
            assert isinstance(item, StreamItem)
            values.append(item.value)
            seen[item.value].set()  # only then the step writes the next

    assert values == [0, 1, 2]
    if other_process:
        world.close()


async def test_many_readers_follow_one_stream(served: LocalWorld) -> None:
    run = await Orchestrator(served).start_workflow("r", answer_as_it_is_read, {"count": 2})

    async def read(after: int) -> list[int]:
        items = []
        async for item in run.stream("answer", after=after):
            items.append(item.offset)
            if len(items) == 1 and item.offset == 1:
                seen[0].set()
        return items

    seen[1].set()
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(read(0), read(0), read(1)) == [[1, 2], [1, 2], [2]]


async def test_a_page_waits_for_its_first_item(served: LocalWorld) -> None:
    orchestrator = Orchestrator(served)
    run = await orchestrator.start_workflow("r", answer_as_it_is_read, {"count": 2, "waits": True})

    first = await orchestrator.read_stream(run.id, "answer", wait=PATIENCE)
    assert first == StreamPage([StreamItem(1, 0, "s1", 1)], 1, False)
    assert await orchestrator.read_stream(run.id, "answer", after=1) == StreamPage([], 1, False)
    assert await orchestrator.read_stream(run.id, "answer", after=1, wait=0.05) == StreamPage([], 1, False)
    seen[0].set()
    seen[1].set()
    assert (await orchestrator.read_stream(run.id, "answer", after=1, wait=PATIENCE)).next == 2
    await run.signal("go")
    await run.result(PATIENCE)
    assert await orchestrator.read_stream(run.id, "answer", after=2, wait=PATIENCE) == StreamPage([], 2, True)


async def test_code_without_asyncio_follows_too(served: LocalWorld) -> None:
    run = await Orchestrator(served).start_workflow("r", answer_as_it_is_read, {"count": 2})

    def read() -> list[int]:
        values = []
        for item in Orchestrator(served).sync.run(run.id).stream("answer", int):
            assert isinstance(item, StreamItem)
            values.append(item.value)
            seen[item.value].set()
        return values

    assert await asyncio.wait_for(asyncio.to_thread(read), PATIENCE) == [0, 1]


async def test_a_reader_may_stop(served: LocalWorld) -> None:
    run = await Orchestrator(served).start_workflow("r", answer_as_it_is_read, {"count": 2})
    items = run.stream("answer")
    assert (await anext(items)).offset == 1
    await items.aclose()

    assert served._watchers == {}
    seen[0].set()
    seen[1].set()
    await run.result(PATIENCE)


async def test_there_is_no_stream_of_a_run_that_is_not(served: LocalWorld) -> None:
    with pytest.raises(RunNotFoundError):
        [item async for item in Orchestrator(served).run("other").stream("answer")]
    with pytest.raises(RunNotFoundError):
        await Orchestrator(served).read_stream("other", "answer")


async def test_a_stream_that_nobody_has_written_ends_with_the_run(served: LocalWorld) -> None:
    for one in seen:
        one.set()
    run = await Orchestrator(served).start_workflow("r", answer_as_it_is_read, {"count": 1})

    async with asyncio.timeout(PATIENCE):
        assert [item async for item in run.stream("other")] == []
