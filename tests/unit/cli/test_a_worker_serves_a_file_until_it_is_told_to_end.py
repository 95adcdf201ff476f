import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support import clock
from tests.unit.cli.conftest import FLOWS, Cli
from worldflow.engine.history import StepCompleted
from worldflow.engine.workflow.registry import import_failures
from worldflow.serving.worker import Worker
from worldflow.serving.worker_turns import WorkerTurns
from worldflow.worlds import LocalWorld, ledger

ROOT = Path(__file__).parents[3]


@contextmanager
def started(cli: Cli, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "worldflow", "worker", "--local", str(cli.file), "-w", FLOWS, "--json", *options]
    with subprocess.Popen(
        command, env=clock.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["local"] == str(cli.file)
            yield process
        finally:
            process.kill()


@pytest.fixture
def worker(cli: Cli) -> Iterator[subprocess.Popen[str]]:
    with started(cli) as process:
        yield process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_takes_turns_and_runs_steps_and_ends_in_peace(
    cli: Cli, worker: subprocess.Popen[str], number: signal.Signals
):
    ended = cli.json("start", "tomorrow", "--input", '{"day": "2026-02-28"}', "--wait")
    assert ended["result"] == "2026-03-01"
    worker.send_signal(number)
    _, errors = worker.communicate(timeout=10)
    assert (worker.returncode, errors) == (0, "")


@pytest.fixture
def holding(cli: Cli, worker: subprocess.Popen[str], tmp_path: Path) -> Path:
    """The pipe by which the step that runs is told to end."""
    for name in ("begun", "may-end"):
        os.mkfifo(tmp_path / name)
    cli("start", "holds", "--run-id", "held", "--input", json.dumps({"folder": str(tmp_path)}))
    (tmp_path / "begun").read_text()
    return tmp_path / "may-end"


def test_what_a_step_in_a_thread_returns_then_is_recorded(cli: Cli, worker: subprocess.Popen[str], holding: Path):
    worker.send_signal(signal.SIGTERM)
    holding.write_text("")
    _, errors = worker.communicate(timeout=10)
    assert (worker.returncode, errors) == (0, "")

    with closing(LocalWorld(cli.file)) as world:
        outcome = ledger.get_outcome(world, "held", "s1", 1)
    assert outcome and isinstance(outcome.fact, StepCompleted) and outcome.fact.result == "paid"


def test_told_twice_it_ends_at_once(cli: Cli, worker: subprocess.Popen[str], holding: Path):
    def tell_again() -> None:
        while worker.poll() is None:
            worker.send_signal(signal.SIGTERM)
            time.sleep(0.01)  # asyncio handles none while it reads that more have come

    threading.Thread(target=tell_again).start()
    assert worker.wait(timeout=10) == -signal.SIGTERM
    assert cli.json("status", "held")["status"] == "running"


def test_where_it_cannot_go_on_it_says_so_and_fails(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> bool:
        raise error

    monkeypatch.setattr(WorkerTurns, "take", fail)
    error: BaseException = sqlite3.DatabaseError("database disk image is malformed")
    ended = cli.run("worker", "-w", FLOWS)
    assert (ended.exit_code, ended.stderr) == (
        1,
        f"Error: the LocalWorld file {cli.file} cannot be used: database disk image is malformed\n",
    )
    error = KeyError("a fault")
    ended = cli.run("worker", "-w", FLOWS)
    assert (ended.exit_code, ended.stderr) == (1, "Error: the worker cannot continue: KeyError: 'a fault'\n")


def test_where_it_is_cancelled_by_what_runs_in_it_it_fails(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    async def cancelled(_: Worker) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(Worker, "serve", cancelled)
    ended = cli.run("worker", "-w", FLOWS)
    assert (ended.exit_code, ended.stderr) == (1, "Error: the worker was cancelled by code running in it\n")


def test_a_second_worker_is_refused(cli: Cli, worker: subprocess.Popen[str]):
    assert (
        cli.fails("worker", "-w", FLOWS)
        == f"Error: another worker already serves {cli.file}: a file can have only one worker\n"
    )


def test_a_standby_takes_over_from_a_worker_that_is_killed(cli: Cli, worker: subprocess.Popen[str]):
    with started(cli, "--standby"):
        worker.kill()
        assert cli.json("start", "tomorrow", "--input", '{"day": "2026-02-28"}', "--wait")["status"] == "completed"


def test_where_no_module_can_be_imported_it_takes_nothing(cli: Cli):
    refused = cli.fails("worker", "-w", "nowhere.at_all")
    assert refused.startswith("Error: none of the modules in --workflows can be imported (nowhere.at_all: ")
    assert refused.endswith("; the folder of a module must be on PYTHONPATH, such as PYTHONPATH=layers/workflows\n")


@pytest.mark.parametrize(
    ("modules", "origin"),
    [("nowhere.at_all", "WORLDFLOW_WORKFLOWS"), (None, "the default of WORLDFLOW_WORKFLOWS")],
)
def test_where_the_command_line_names_no_module_it_says_what_does(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, modules: str | None, origin: str
):
    if modules:
        monkeypatch.setenv("WORLDFLOW_WORKFLOWS", modules)
    monkeypatch.setitem(sys.modules, "workflows", None)
    monkeypatch.setitem(import_failures, modules or "workflows", "")  # forgotten afterwards
    assert cli.fails("worker").startswith(f"Error: none of the modules in {origin} can be imported (")
