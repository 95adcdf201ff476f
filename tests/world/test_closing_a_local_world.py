"""A LocalWorld is closed while threads use it: SQLite would take the process with it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from worldflow.engine.errors import WorldClosedError
from worldflow.engine.history import StepCompleted
from worldflow.runtime import Orchestrator
from worldflow.worlds import LocalWorld, RunRecord, ledger
from worldflow.worlds.local import database
from worldflow.worlds.messages import Start, StepOutcome
from worldflow.worlds.schedules import list_schedules

AT = datetime(2026, 1, 15, 10, tzinfo=UTC)
RECORD = RunRecord(run_id="r", workflow_name="w", created_at=AT, updated_at=AT)
PATIENCE = 10.0


@pytest.fixture(params=["file", "memory"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalWorld]:
    world = LocalWorld(tmp_path / "runs.db" if request.param == "file" else ":memory:", synchronous="NORMAL")
    yield world
    world.close()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


class Slow:
    """A connection whose statements wait until they may go on, and which knows whether it was closed meanwhile."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.order: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *values: Any) -> Any:
        self.begun.set()
        assert self.may_end.wait(PATIENCE)
        found = self._connection.execute(sql, *values)
        self.order.append("executed")
        return found

    def close(self) -> None:
        self.order.append("closed")
        self._connection.close()


@pytest.mark.parametrize("use", ["read", "write"])
def test_what_is_under_way_is_waited_for(world: LocalWorld, threads: ThreadPoolExecutor, use: str) -> None:
    database = world._database
    name = "_reader" if use == "read" else "_db"
    slow = Slow(getattr(database, name))
    setattr(database, name, slow)
    under_way = threads.submit(world.get_run, "r") if use == "read" else threads.submit(world.create_run, RECORD)
    assert slow.begun.wait(PATIENCE)

    closing = threads.submit(world.close)
    slow.may_end.set()
    closing.result(PATIENCE)

    assert under_way.result(PATIENCE) is None
    assert slow.order[-1] == "closed" and set(slow.order[:-1]) == {"executed"}


def test_what_is_on_its_way_to_the_disk_is_waited_for(
    tmp_path: Path, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = LocalWorld(tmp_path / "runs.db")
    world.create_run(RECORD)  # after which the log can be written out by itself
    begun, may_end, written = threading.Event(), threading.Event(), []

    def write_out(number: int) -> None:
        begun.set()
        assert may_end.wait(PATIENCE)
        assert world._database._log and not world._database._log.closed
        written.append(number)

    monkeypatch.setattr(database, "_write_out", write_out)
    sending = threads.submit(world.send, [Start(run_id="r")])
    assert begun.wait(PATIENCE)
    closing = threads.submit(world.close)
    may_end.set()

    sending.result(PATIENCE)
    closing.result(PATIENCE)
    assert written


OUTCOME = StepOutcome(run_id="r", fact=StepCompleted(step_id="s1", attempt=1, result=1))
USES: list[Callable[[LocalWorld], object]] = [
    lambda world: world.get_run("r"),
    lambda world: world.load_history("r"),
    lambda world: world.create_run(RECORD),
    lambda world: world.send([Start(run_id="r")]),
    lambda world: world.receive("runs"),
    lambda world: world.receive("steps"),
    lambda world: world.receive_groups("runs", 5),
    lambda world: world.acknowledge([]),
    lambda world: world.reject([]),
    lambda world: world.recover(),
    lambda world: ledger.put_outcome(world, OUTCOME),
    lambda world: world.list_runs(),
    lambda world: list(world.walk_runs("running")),
    lambda world: world.next_due(),
    lambda world: world.webhooks.keys(),
    lambda world: list_schedules(world, 10, ""),
    lambda world: world.__class__.together(world).__enter__(),
    lambda world: asyncio.run(Orchestrator(world).start_workflow("r", workflow_name="w", input={})),
]


@pytest.mark.parametrize("use", USES)
def test_whatever_comes_later_says_that_it_is_closed(world: LocalWorld, use: Callable[[LocalWorld], object]) -> None:
    world.close()
    with pytest.raises(WorldClosedError, match=r"^the LocalWorld .* is closed$"):
        use(world)


def test_it_may_be_closed_by_many_and_again(world: LocalWorld, threads: ThreadPoolExecutor) -> None:
    together = threading.Barrier(4)

    def close() -> None:
        together.wait(PATIENCE)
        world.close()

    for closing in [threads.submit(close) for _ in range(4)]:
        closing.result(PATIENCE)
    world.close()


def test_it_is_not_closed_within_its_own_transaction(world: LocalWorld) -> None:
    with pytest.raises(RuntimeError, match="cannot be closed inside one of its own transactions"), world.together():
        world.close()
    assert world.get_run("r") is None  # it is open, and nothing of it is locked


def test_threads_that_go_on_reading_and_writing_are_refused(world: LocalWorld, threads: ThreadPoolExecutor) -> None:
    """As a worker's do, behind which the world is closed."""
    at_work = threading.Barrier(3)

    def go_on(use: Callable[[], object]) -> str:
        use()
        at_work.wait(PATIENCE)
        while True:
            try:
                use()
            except WorldClosedError as error:
                return str(error)

    reading = threads.submit(go_on, lambda: list(world.walk_runs("running")))
    writing = threads.submit(go_on, lambda: world.send([Start(run_id="r")]))
    at_work.wait(PATIENCE)
    world.close()

    assert "is closed" in reading.result(PATIENCE) and "is closed" in writing.result(PATIENCE)
