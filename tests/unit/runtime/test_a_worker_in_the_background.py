"""A worker in a thread: of an application without asyncio, perhaps in several processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from worldflow import step, step_info, workflow
from worldflow.engine.errors import ConfigurationError, WorldClosedError
from worldflow.runtime import Orchestrator
from worldflow.serving import worker as worker_module
from worldflow.worker import BackgroundWorker, Worker
from worldflow.worlds import LocalWorld

greeted: list[str] = []


@step(name="background_greet")
async def greet() -> str:
    greeted.append(step_info().run_id)
    return "hello"


@workflow(name="background_run")
async def greets() -> str:
    return await greet()


def test_another_worker_is_refused_by_start(tmp_path: Path) -> None:
    with closing(LocalWorld(tmp_path / "runs.db")) as world, BackgroundWorker(Worker(world)):
        other = BackgroundWorker(Worker(world))
        with pytest.raises(ConfigurationError, match="another worker already serves"):
            other.start()
        other.close()


def test_a_standby_takes_over_when_the_worker_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_LOOK_EVERY", 0.01)
    with closing(LocalWorld(tmp_path / "runs.db")) as world, closing(LocalWorld(tmp_path / "runs.db")) as other:
        first = BackgroundWorker(Worker(world))
        first.start()
        with BackgroundWorker(Worker(other, standby=True)):
            first.close()
            assert Orchestrator(world).sync.start_workflow("r1", greets).result(timeout="20s") == "hello"


def test_of_several_with_one_file_one_runs_each_step(tmp_path: Path) -> None:
    greeted.clear()
    file = tmp_path / "runs.db"
    with (
        closing(LocalWorld(file)) as world,
        closing(LocalWorld(file)) as other,
        BackgroundWorker(Worker(world, standby=True)),
        BackgroundWorker(Worker(other, standby=True)),
    ):
        worlds = [world, other] * 10
        runs = [Orchestrator(each).sync.start_workflow(f"r{n}", greets) for n, each in enumerate(worlds)]
        assert [run.result(timeout="20s") for run in runs] == ["hello"] * 20
    assert sorted(greeted) == sorted(run.id for run in runs)


def test_a_standby_can_be_closed(tmp_path: Path) -> None:
    with closing(LocalWorld(tmp_path / "runs.db")) as world, BackgroundWorker(Worker(world)):
        standby = BackgroundWorker(Worker(world, standby=True))
        standby.start()
        standby.close()
        standby.close()


@pytest.mark.parametrize("is_closed", [True, False])
def test_it_starts_once(is_closed: bool) -> None:
    with closing(LocalWorld()) as world:
        worker = BackgroundWorker(Worker(world))
        worker.start()
        if is_closed:
            worker.close()
        with pytest.raises(RuntimeError, match="a BackgroundWorker starts once: create another"):
            worker.start()
        worker.close()


def test_what_ends_a_worker_is_logged_and_raised_by_close(caplog: pytest.LogCaptureFixture) -> None:
    world = LocalWorld()
    worker = BackgroundWorker(Worker(world))
    worker.start()
    world.close()
    (thread,) = (each for each in threading.enumerate() if each.name == "worldflow-background")
    thread.join(20)
    assert caplog.messages == ["the worker cannot continue"]
    with pytest.raises(WorldClosedError):
        worker.close()


PROGRAM = """
import sys
from tests.unit.runtime.test_a_worker_in_the_background import greets
from worldflow.runtime import Orchestrator
from worldflow.worker import BackgroundWorker, Worker
from worldflow.worlds import LocalWorld

world = LocalWorld(sys.argv[1])
BackgroundWorker(Worker(world)).start()
print(Orchestrator(world).sync.start_workflow("r1", greets).result(timeout="20s"))
"""


def test_it_ends_with_the_process(tmp_path: Path) -> None:
    program = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "runs.db")],
        timeout=30, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert (program.returncode, program.stdout, program.stderr) == (0, "hello\n", "")
