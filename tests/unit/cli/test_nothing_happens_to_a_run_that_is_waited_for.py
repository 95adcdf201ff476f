"""A command that waits for a run says where to look, when nothing happens to the run."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.unit.cli.conftest import Cli
from worldflow.cli import common, reading, starting
from worldflow.cli.common import Quiet
from worldflow.runtime import sending
from worldflow.worlds.local.world import LocalWorld


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "LOCAL_PATIENCE", 0.0)
    monkeypatch.setattr(common, "AWS_PATIENCE", 0.0)


@pytest.fixture
def end_later(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends the run `one` when a command has waited for it for a while, and no worker was there."""

    def waiting() -> Iterator[float]:
        yield from (0.0, 0.0, 0.0)
        with closing(LocalWorld(cli.file)) as world:
            sending.signal(world, "one", "answer", 42)
        cli.settle()
        while True:
            yield 0.0

    for module in (reading, starting):
        monkeypatch.setattr(module, "pauses", waiting)


@pytest.mark.usefixtures("end_later")
@pytest.mark.parametrize("has_begun", [True, False])
def test_a_history_is_followed_where_no_worker_serves_the_file(cli: Cli, has_begun: bool):
    cli("start", "ask", "--run-id", "one")
    if has_begun:
        cli.settle()
    result = cli.run("events", "one", "--follow")
    hint = f"No worker serves {cli.file}: start one with `python -m worldflow worker --local {cli.file}`.\n"
    assert (result.exit_code, result.stderr) == (0, hint)


@pytest.mark.usefixtures("end_later")
def test_the_end_of_a_run_is_waited_for_where_no_worker_serves_the_file(cli: Cli):
    result = cli.run("start", "ask", "--run-id", "one", "--wait", "--json")
    assert result.exit_code == 0
    assert result.stderr.startswith("No worker serves ")
    assert result.stderr.count("\n") == 1


def test_an_answer_is_waited_for_where_no_worker_serves_the_file(cli: Cli):
    cli("start", "basket", "--run-id", "one")
    result = cli.run("update", "one", "add", "--args", '["hat"]', "--timeout", "0.3s")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("No worker serves ")
    assert result.stderr.splitlines()[1:] == ["Error: one has not answered within 0.3s; the update is still pending"]


@pytest.mark.usefixtures("end_later")
def test_a_worker_that_serves_the_file_is_seen(cli: Cli):
    cli("start", "ask", "--run-id", "one")
    with closing(LocalWorld(cli.file)) as world, world.serving():
        assert cli.run("events", "one", "--follow").stderr == ""


def test_who_looks_for_a_worker_is_not_taken_for_one(cli: Cli):
    with closing(LocalWorld(cli.file)) as world:
        assert not world.is_served()
        with world.serving():
            assert world.is_served()
        assert not world.is_served()


def test_a_worker_begins_while_somebody_looks_for_it(cli: Cli):
    looking = (
        "import fcntl, sys, time; lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX); "
        "print('looking', flush=True); sys.stdin.readline()"
    )
    with closing(LocalWorld(cli.file)) as world:
        other = subprocess.Popen(
            [sys.executable, "-c", looking, f"{cli.file}.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert other.stdout and other.stdin
        other.stdout.readline()
        letting_go = threading.Timer(0.03, other.stdin.close)
        letting_go.start()
        with world.serving():
            assert world.is_served()
        letting_go.join()
        other.wait()
        other.stdout.close()


class Elsewhere:
    """A world that is not a file."""

    def __init__(self, status: str) -> None:
        self.status = status

    def read_run(self, run_id: str) -> Any:
        return self


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        ("running", "No new event for 0 s; `status one` shows what the run is waiting for.\n"),
        (
            "pending",
            "No new event for 0 s; the run has not started: check the log of the orchestrator function, and the run "
            "queue.\n",
        ),
    ],
)
def test_on_aws_it_is_said_once_until_something_happens(
    status: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world: Any = Elsewhere(status)
    quiet = Quiet(world, "one")
    quiet.goes_on()
    quiet.goes_on()
    assert capsys.readouterr().err == hint
    quiet.end()
    quiet.goes_on()
    assert capsys.readouterr().err == hint


def test_a_run_to_which_something_happens_is_not_called_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world: Any = Elsewhere("running")
    monkeypatch.setattr(common, "AWS_PATIENCE", 30.0)
    quiet = Quiet(world, "one")
    quiet.goes_on()
    assert capsys.readouterr().err == ""
