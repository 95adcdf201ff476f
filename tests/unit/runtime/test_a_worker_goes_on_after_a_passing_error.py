"""A database that refuses something for a while stops no worker, and leaves no message in flight."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.items import name_of_write
from worldflow import RetryPolicy, step, workflow
from worldflow.runtime import Orchestrator
from worldflow.serving import worker as worker_module
from worldflow.serving.worker import Worker
from worldflow.turns.turn import Turn
from worldflow.worlds import LocalWorld

PATIENCE = 20.0
ran: Counter[str] = Counter()


@step(name="passing_once", retry=RetryPolicy(max_attempts=1), guarantee="at_most_once")
async def once(name: str) -> str:
    ran[name] += 1
    return name


@step(name="passing_inline", inline=True)
async def inline(name: str) -> str:
    return name


@workflow(name="passing_run")
async def works(name: str) -> str:
    return await inline(await once(name))


class World(LocalWorld):
    """Refuses the worker what it is told to refuse, so many times."""

    refused: str | None = None
    times = 0
    error: Callable[[], Exception] = OSError

    def refuse(self, what: str) -> None:
        if what == self.refused and self.times and threading.current_thread().name.startswith("worldflow"):
            self.times -= 1
            raise self.error()

    def receive_groups(self, queue: Any, *args: Any, **how: Any) -> Any:
        self.refuse(f"receive {queue}" + (" more" if "handled" in how else ""))
        return super().receive_groups(queue, *args, **how)

    def receive(self, queue: Any, *args: Any) -> Any:
        if queue != "runs":
            self.refuse(f"receive {queue}")
        return super().receive(queue, *args)

    def acknowledge(self, deliveries: Any) -> None:
        self.refuse("acknowledge")
        super().acknowledge(deliveries)

    def reject(self, deliveries: Any) -> None:
        self.refuse("reject")
        super().reject(deliveries)

    def put_back(self, *args: Any) -> None:
        self.refuse("put_back")
        super().put_back(*args)

    def append(self, *args: Any) -> None:
        self.refuse("append")
        super().append(*args)

    def load_history(self, *args: Any, **how: Any) -> Any:
        self.refuse("load_history")
        return super().load_history(*args, **how)

    def put_item(self, key: str, item: Any, expected: Any = None) -> bool:
        self.refuse(name_of_write(key, item))
        return super().put_item(key, item, expected)

    def walk_runs(self, *args: Any) -> Any:
        self.refuse("the sweep")
        return super().walk_runs(*args)


@pytest.fixture(params=["locked", "disk"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    ran.clear()
    monkeypatch.setattr(worker_module, "_FIRST_PAUSE", 0.001)
    world = World(tmp_path / "runs.db", synchronous="NORMAL")
    if request.param == "locked":
        world.error = lambda: sqlite3.OperationalError("database is locked")
    else:
        world.error = lambda: OSError(5, "Input/output error")
    hurry(world)
    yield world
    world.close()


def hurry(world: World) -> None:
    """What comes again comes at once."""
    put_back, reject = world.put_back, world.reject
    world.put_back = lambda deliveries, delay=None: put_back(deliveries, delay * 0)  # type: ignore[method-assign,assignment]

    def reject_at_once(deliveries: Any) -> None:
        reject(deliveries)
        with world._transaction() as db:
            db.execute("update messages set visible_at = 0 where not in_flight and receives > 0")

    world.reject = reject_at_once  # type: ignore[method-assign]


REFUSED = [
    "receive runs",
    "receive runs more",
    "receive steps",
    "receive dead",
    "acknowledge",
    "append",
    "load_history",
    "put_outcome",
    "claim",
    "the sweep",
]


@pytest.mark.parametrize("times", [1, 8])
@pytest.mark.parametrize("refused", REFUSED)
async def test_runs_go_on(world: World, refused: str, times: int) -> None:
    """More often than a message may be rejected, too."""
    world.refused, world.times = refused, times
    async with Worker(world):
        app = Orchestrator(world)
        runs = [await app.start_workflow(name, works, {"name": name}) for name in "abc"]
        assert [await run.result(timeout=PATIENCE) for run in runs] == ["a", "b", "c"]
        await nothing_in_flight(world)
    assert world.times < times
    assert ran == {"a": 1, "b": 1, "c": 1}


async def nothing_in_flight(world: World) -> None:
    async with asyncio.timeout(PATIENCE):
        while world._rows("select 1 from messages where in_flight"):
            await asyncio.sleep(0)


@pytest.mark.parametrize("refused", ["reject", "put_back"])
async def test_what_was_not_put_back_is_put_back_later(
    world: World, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)
    world.refused, world.times = refused, 2
    advance, failures = Turn.advance, ["once"]

    def fail(self: Turn) -> bool:
        if failures:
            failures.clear()
            raise OSError("passing") if refused == "put_back" else RuntimeError("a fault")
        return advance(self)

    monkeypatch.setattr(Turn, "advance", fail)
    async with Worker(world):
        run = await Orchestrator(world).start_workflow("a", works, {"name": "a"})
        assert await run.result(timeout=PATIENCE) == "a"
        await nothing_in_flight(world)
    assert world.times == 0


async def test_it_says_so_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.refused, world.times = "receive runs", 5
    async with Worker(world):
        run = await Orchestrator(world).start_workflow("a", works, {"name": "a"})
        await run.result(timeout=PATIENCE)
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("turns of runs")]
    assert len(told) == 2
    assert told[0].endswith("retrying until it succeeds")
    assert told[1] == "turns of runs: works again"


async def test_it_goes_on_when_another_connection_lets_go_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_module, "_FIRST_PAUSE", 0.001)
    world = LocalWorld(tmp_path / "runs.db", synchronous="NORMAL")
    app = Orchestrator(world)
    await app.start_workflow("a", works, {"name": "a"})
    world._database._db.execute("pragma busy_timeout = 1")  # for thirty seconds, otherwise
    other = sqlite3.connect(world.path, isolation_level=None)
    async with Worker(world), asyncio.timeout(PATIENCE):
        assert await app.run("a").result() == "a"
        await app.start_workflow("b", works, {"name": "b"})
        other.execute("begin immediate")
        while "retrying until" not in caplog.text:
            await asyncio.sleep(0)
            if await app.run("b").status() == "completed":  # it was quicker
                other.execute("rollback")
                await app.start_workflow("b", works, {"name": "b"}, reuse="allow")
                other.execute("begin immediate")
        other.execute("rollback")
        assert await app.run("b").result() == "b"
    other.close()
    world.close()


@pytest.mark.parametrize("error", [sqlite3.DatabaseError("database disk image is malformed"), KeyError("a fault")])
async def test_what_does_not_pass_ends_it(tmp_path: Path, error: Exception) -> None:
    world = World(tmp_path / "runs.db")
    world.refused, world.times, world.error = "receive runs", 1, lambda: error
    with pytest.raises(type(error)):
        async with Worker(world):
            await asyncio.Event().wait()
    world.close()


async def test_a_table_that_is_not_there_ends_it(tmp_path: Path) -> None:
    world = World(tmp_path / "runs.db")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        async with Worker(world):
            with closing(sqlite3.connect(tmp_path / "runs.db")) as other, other:
                other.execute("drop table messages")
            await asyncio.Event().wait()
    world.close()
