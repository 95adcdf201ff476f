"""`Orchestrator.sync`, for Django, Flask and scripts: the calls wait, in any thread, also after a fork."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from worldflow import RunCancelledError, on_update, publish, step, wait_for_signal, workflow
from worldflow.runtime import Orchestrator, RunHandle, SyncOrchestrator, SyncRunHandle
from worldflow.runtime.callers import asked_by
from worldflow.worker import BackgroundWorker, Worker
from worldflow.worlds import LocalWorld

PATIENCE = "20s"


@step(name="sync_double")
async def double(number: int) -> int:
    return 2 * number


@workflow(name="sync_doubles")
async def doubles(number: int) -> int:
    return await double(number)


@workflow(name="sync_waits")
async def waits() -> Any:
    publish("state", "waits")

    @on_update("add")
    async def add(number: int) -> int:
        if number < 0:
            raise ValueError("below zero")
        return number + 1

    return await wait_for_signal("go")


@pytest.fixture
def orchestrator() -> Iterator[SyncOrchestrator]:
    with closing(LocalWorld()) as world, BackgroundWorker(Worker(world)):
        yield Orchestrator(world).sync


@pytest.mark.parametrize(("sync", "own"), [(SyncOrchestrator, Orchestrator), (SyncRunHandle, RunHandle)])
def test_every_call_has_its_counterpart_with_the_same_parameters(sync: type, own: type) -> None:
    calls = {name for name, value in vars(own).items() if inspect.iscoroutinefunction(value) and name[0] != "_"}
    assert calls <= vars(sync).keys()
    for name in calls:
        mine, others = inspect.signature(getattr(sync, name)), inspect.signature(getattr(own, name))
        assert mine.parameters == others.parameters, name


def test_a_run_from_start_to_end(orchestrator: SyncOrchestrator) -> None:
    run = orchestrator.start_workflow("r1", waits)
    assert run.update("add", 1, timeout=PATIENCE) == 2
    assert run.query("state") == "waits"
    orchestrator.signal("r1", "go", "done")
    assert run.result(timeout=PATIENCE) == "done"
    assert (run.id, run.status(), run.events()[-1].event_type) == ("r1", "completed", "RunCompleted")


def test_errors_and_timeouts_are_those_of_the_calls(orchestrator: SyncOrchestrator) -> None:
    run = orchestrator.start_workflow("r1", waits)
    with pytest.raises(ValueError, match="below zero"):
        run.update("add", -1, timeout=PATIENCE)
    with pytest.raises(TimeoutError, match="run 'r1' has not ended within 50ms"):
        run.result(timeout=0.05)
    run.cancel("enough")
    with pytest.raises(RunCancelledError, match="enough"):
        run.result(timeout=PATIENCE)


def test_many_threads_share_one_loop(orchestrator: SyncOrchestrator) -> None:
    def order(number: int) -> Any:
        return orchestrator.start_workflow(f"r{number}", doubles, {"number": number}).result(timeout=PATIENCE)

    with ThreadPoolExecutor(20) as threads:
        assert list(threads.map(order, range(40))) == [2 * number for number in range(40)]
    assert [thread.name for thread in threading.enumerate()].count("worldflow-sync") == 1


def test_a_run_belongs_to_the_trace_of_the_thread_that_starts_it() -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with closing(LocalWorld()) as world:
        with asked_by(traceparent):
            Orchestrator(world).sync.start_workflow("r1", doubles, {"number": 1})
        assert world.read_run("r1").traceparent == traceparent


async def test_a_thread_that_runs_an_event_loop_is_refused() -> None:
    with closing(LocalWorld()) as world, pytest.raises(RuntimeError, match="await Orchestrator instead"):
        Orchestrator(world).sync.run("r1").status()


FORKS = """
import os, sys
from worldflow.runtime import Orchestrator
from worldflow.worlds import LocalWorld

def use():
    orchestrator = Orchestrator(LocalWorld()).sync
    orchestrator.start_workflow("r1", "any")
    assert orchestrator.run("r1").status() == "pending"

use()  # the parent's loop has started
child = os.fork()
use()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_forked_process_starts_a_loop_of_its_own() -> None:
    forked = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS], timeout=30, capture_output=True, text=True, check=False
    )
    assert (forked.returncode, forked.stderr) == (0, "")


FORKS_TOO_LATE = """
import os, sys
from worldflow.runtime import Orchestrator
from worldflow.worlds import LocalWorld

world = LocalWorld(sys.argv[1])
orchestrator = Orchestrator(world).sync
orchestrator.start_workflow("r1", "any")
child = os.fork()
if not child:
    try:
        orchestrator.start_workflow("r2", "any")
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
    world.close()
    sys.exit()
os.waitpid(child, 0)
assert [run.run_id for run in world.list_runs().runs] == ["r1"]
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_file_that_was_opened_before_a_fork_is_refused_after_it(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKS_TOO_LATE, str(tmp_path / "runs.db")]
    forked = subprocess.run(command, timeout=30, capture_output=True, text=True, check=False)
    advice = "was opened before a fork: open it in the process that uses it"
    expected = f"ConfigurationError: the LocalWorld {tmp_path / 'runs.db'} {advice}\n"
    assert (forked.returncode, forked.stdout, forked.stderr) == (0, expected, "")
