"""A LocalWorld's file is read while another thread writes to it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from worldflow.worlds import LocalWorld, RunRecord
from worldflow.worlds.messages import Start

AT = datetime(2026, 1, 15, 10, tzinfo=UTC)
RECORD = RunRecord(run_id="r", workflow_name="w", created_at=AT, updated_at=AT)
PATIENCE = 10.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LocalWorld]:
    world = LocalWorld(tmp_path / "runs.db")
    yield world
    world.close()


@pytest.fixture
def other() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


def test_a_read_does_not_wait_for_a_write(world: LocalWorld, other: ThreadPoolExecutor) -> None:
    with world.together():
        world.create_run(RECORD)
        assert other.submit(world.get_run, "r").result(PATIENCE) is None
        assert world.get_run("r") == RECORD  # which this thread has written

    assert other.submit(world.get_run, "r").result(PATIENCE) == RECORD


def test_what_was_taken_back_is_read_by_nobody(world: LocalWorld, other: ThreadPoolExecutor) -> None:
    with pytest.raises(KeyError), world.together():
        world.create_run(RECORD)
        raise KeyError

    assert world.get_run("r") is None
    assert other.submit(world.get_run, "r").result(PATIENCE) is None


class FullDisk:
    """A connection whose commits fail."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *values: Any) -> Any:
        if sql == "commit":
            raise sqlite3.OperationalError("database or disk is full")
        return self._connection.execute(sql, *values)


def test_a_commit_that_fails_leaves_nothing_open(world: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[Collection[str]] = []
    world.on_sent = rung.append
    with monkeypatch.context() as patch:
        patch.setattr(world._database, "_db", FullDisk(world._database._db))
        with pytest.raises(sqlite3.OperationalError):
            world.send([Start(run_id="r")])

    assert not rung
    world.create_run(RECORD)
    assert world.get_run("r") == RECORD
    assert world.receive("runs") == [] and not rung


def test_writes_of_several_threads_wait_for_each_other(world: LocalWorld, other: ThreadPoolExecutor) -> None:
    begun = threading.Event()

    def create() -> RunRecord | None:
        begun.set()
        return world.create_run(RECORD)

    with world.together():
        world.create_run(RECORD)
        later = other.submit(create)
        assert begun.wait(PATIENCE)
        assert not later.done()

    assert later.result(PATIENCE) == RECORD  # the one that was there
