"""When a commit of a LocalWorld is on the disk: what was promised survives a power failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support import clock
from worldflow.engine.history import StepCompleted
from worldflow.worlds import LocalWorld, RunRecord, ledger
from worldflow.worlds.local import database as module
from worldflow.worlds.local.database import Synchronous
from worldflow.worlds.messages import Start, StepOutcome

AT = datetime(2026, 1, 15, 10, tzinfo=UTC)
RECORD = RunRecord(run_id="r", workflow_name="w", created_at=AT, updated_at=AT)
NORMAL, FULL = 1, 2
"""SQLite's numbers for `synchronous`."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def world(path: Path) -> Iterator[LocalWorld]:
    with closing(LocalWorld(path)) as world:
        world.create_run(RECORD)
        yield world


class Disk:
    """What a power failure would leave: the files, as they were when the log was last written out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept = path.parent / "kept"
        self.noted: list[str] = []

    def write_out(self, file: int) -> None:
        self.noted.append("written out")
        assert os.path.samestat(os.fstat(file), os.stat(f"{self.path}-wal"))
        shutil.rmtree(self.kept, ignore_errors=True)
        self.kept.mkdir()
        for end in ("", "-wal"):
            shutil.copy(f"{self.path}{end}", self.kept)

    def after_a_power_failure(self) -> LocalWorld:
        return LocalWorld(self.kept / self.path.name)


@pytest.fixture
def disk(world: LocalWorld, path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(path)
    monkeypatch.setattr(module, "_write_out", disk.write_out)
    world.on_sent = lambda queues: disk.noted.append(f"told of {', '.join(queues)}")
    return disk


def synchronous(world: LocalWorld) -> int:
    number: int = world._database._db.execute("pragma synchronous").fetchone()[0]
    return number


def test_a_message_is_on_the_disk_when_its_sender_goes_on_and_the_worker_began_before(
    world: LocalWorld, disk: Disk
) -> None:
    world.send([Start(run_id="r")])

    assert disk.noted == ["told of runs", "written out"]
    with closing(disk.after_a_power_failure()) as found:
        assert [delivery.message for delivery in found.receive("runs")] == [Start(run_id="r")]


def test_so_is_what_a_worker_records_of_its_steps(world: LocalWorld, disk: Disk) -> None:
    outcome = StepOutcome(run_id="r", fact=StepCompleted(step_id="s1", result=1))
    with world.together(durable="next"):
        ledger.put_outcome(world, outcome)
        world.send([Start(run_id="r")])
        assert synchronous(world) == NORMAL

    assert disk.noted == ["told of runs", "written out"]
    with closing(disk.after_a_power_failure()) as found:
        assert ledger.get_outcome(found, "r", "s1", 1) == outcome
        assert [delivery.message for delivery in found.receive("runs")] == [Start(run_id="r")]


def test_what_others_read_is_on_the_disk_before_they_can(world: LocalWorld, disk: Disk) -> None:
    world.send([Start(run_id="r")])
    with world.together():
        assert synchronous(world) == FULL
        world.update_run(RECORD.model_copy(update={"status": "completed"}))

    assert disk.noted == ["told of runs", "written out"]  # SQLite itself has written out the second commit


def test_a_log_that_is_new_is_made_durable_by_sqlite_which_knows_its_folder(path: Path) -> None:
    with closing(LocalWorld(path)):
        pass
    with closing(LocalWorld(path)) as world:
        with world.together():
            pass  # which has nothing to write out
        with world.together(durable="next"):
            assert synchronous(world) == FULL
            world.send([Start(run_id="r")])
        with world.together(durable="next"):
            assert synchronous(world) == NORMAL
            world.send([Start(run_id="r")])


def test_another_process_that_closes_the_file_leaves_the_log_where_it_is(world: LocalWorld, disk: Disk) -> None:
    code = (
        "import sys\n"
        "from worldflow.worlds import LocalWorld\n"
        "from worldflow.worlds.messages import Start\n"
        "world = LocalWorld(sys.argv[1])\n"
        "world.send([Start(run_id='r')])\n"
        "world.close()\n"
    )
    subprocess.run([sys.executable, "-c", code, disk.path], check=True, env=clock.environment())
    world.send([Start(run_id="r")])

    assert disk.noted == ["told of runs", "written out"]  # of the file that is there
    with closing(disk.after_a_power_failure()) as found:
        assert len(found.receive("runs")) == 2


def test_receiving_waits_for_no_disk(world: LocalWorld, disk: Disk) -> None:
    world.send([Start(run_id="r")])
    disk.noted.clear()
    world.acknowledge(world.receive("runs"))

    assert (disk.noted, synchronous(world)) == ([], NORMAL)


@pytest.mark.parametrize(("name", "how"), [(":memory:", "FULL"), ("runs.db", "NORMAL")])
def test_nobody_waits_where_nothing_is_to_be_durable(
    name: str, how: Synchronous, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: int) -> None:
        raise AssertionError("written out")

    monkeypatch.setattr(module, "_write_out", refuse)
    monkeypatch.chdir(tmp_path)
    with closing(LocalWorld(name, synchronous=how)) as world:
        world.create_run(RECORD)
        world.send([Start(run_id="r")])

        assert [delivery.message for delivery in world.receive("runs")] == [Start(run_id="r")]


def test_a_disk_that_fails_is_told_to_the_sender_and_the_message_is_not_lost(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(file: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module, "_write_out", fail)
    with pytest.raises(OSError, match="Input/output"):
        world.send([Start(run_id="r")])

    assert [delivery.message for delivery in world.receive("runs")] == [Start(run_id="r")]
