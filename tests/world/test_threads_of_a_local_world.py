"""A LocalWorld's file is read while another thread writes to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from worldflow.worlds import LocalWorld, RunRecord

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
