"""`retry --where ...`: what would be done is shown first; what is interrupted goes on from its token."""

from __future__ import annotations

import re
import shutil
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support import clock
from tests.unit.cli import flows
from tests.unit.cli.conftest import Cli
from worldflow.cli import bulk
from worldflow.runtime import starting
from worldflow.worlds import LocalWorld


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the command has waited for its rate, by a clock that only waiting moves."""
    waited: list[float] = []
    monkeypatch.setattr(bulk, "monotonic", lambda: sum(waited))
    monkeypatch.setattr(bulk, "sleep", waited.append)
    return waited


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five runs that failed, and two that are open."""
    made = Cli(tmp_path_factory.mktemp("filled") / "runs.db")
    clock.restart(clock.START - timedelta(minutes=30))
    with closing(LocalWorld(made.file)) as world:
        for number in range(5):
            starting.start(world, f"doomed-{number}", "doomed")
        for number in range(2):
            starting.start(world, f"ask-{number}", "ask")
    made.settle()
    return made.file


@pytest.fixture
def five(filled: Path, cli: Cli) -> Cli:
    shutil.copy(filled, cli.file)
    return cli


def statuses(cli: Cli) -> dict[str, str]:
    return {run["run_id"]: run["status"] for run in cli.json("list")["runs"]}


def test_nothing_is_done_without_yes(five: Cli) -> None:
    result = five.run("retry", "--where", "workflow=doomed started>1h")
    told = " ".join(result.stderr.split())
    assert re.match(
        r"Would retry 5 runs: status failed, workflow doomed, started at or after .* UTC, started before", told
    )
    assert "Nothing was done: add --yes to retry them." in told
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == [f"doomed-{n}" for n in (4, 3, 2, 1, 0)]
    shown = five.json("cancel", "--where", "workflow=ask")
    assert (shown["matching"], [run["run_id"] for run in shown["runs"]]) == (2, ["ask-1", "ask-0"])
    assert len(statuses(five)) == 7


def test_each_is_retried_once(five: Cli, monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> None:
    monkeypatch.setattr(flows, "hope", True)
    assert five("retry", "--where", "workflow=doomed", "--yes", "--rate", "2/s") == "Retried 5 runs.\n"
    assert waits == [0.5] * 5
    five.settle()
    again = five.json("retry", "--where", "workflow=doomed", "--yes")
    assert (again["done"], again["failed"], again["continue"]) == ({}, {}, None)
    assert again["skipped"]["doomed-3"] == "is followed by doomed-3~2 already (completed)"
    assert {status for run_id, status in statuses(five).items() if run_id.endswith("~2")} == {"completed"}


def test_open_runs_are_cancelled_terminated_and_resumed(five: Cli) -> None:
    assert five("resume", "--where", "workflow=ask status=running", "--yes") == "Resumed 2 runs.\n"
    assert five("cancel", "--where", "id=ask-0*", "--yes", "--reason", "moved") == "Requested cancellation of 1 run.\n"
    assert five("terminate", "--where", "started<0s", "--yes") == "Requested termination of 2 runs.\n"
    five.settle()
    assert statuses(five)["ask-0"] == statuses(five)["ask-1"] == "cancelled"
    assert five.json("status", "ask-0")["reason"] == "moved"
    assert five("cancel", "--where", "workflow=ask", "--yes") == "Requested cancellation of 0 runs.\n"


def test_forks_have_ids_that_are_the_same_when_it_goes_on(five: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    made = five.json("fork", "--where", "id=doomed-*", "--yes")["done"]
    assert sorted(made) == [f"doomed-{number}" for number in range(5)]
    assert all(fork.startswith(f"{run_id}-fork-") for run_id, fork in made.items())


def interrupt(monkeypatch: pytest.MonkeyPatch, call: int, error: BaseException) -> None:
    """The nth retry is asked for, and then interrupted before anybody hears of it."""
    retry, calls = starting.retry, iter(range(1, 100))

    def interrupted(*args: Any) -> Any:
        record = retry(*args)
        if next(calls) == call:
            raise error
        return record

    monkeypatch.setattr(starting, "retry", interrupted)


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (OSError("AWS is away"), 1)])
def test_what_is_interrupted_goes_on_from_its_token(
    five: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, 3, error)
        result = five.run("retry", "--where", "workflow=doomed", "--yes")
    assert (result.exit_code, result.stdout) == (code, "Retried 2 runs.\n")
    (token,) = re.findall(r"--continue (\S+) --yes --local", result.stderr)

    five("start", "doomed", "--run-id", "doomed-later")
    five.settle()
    assert "Would retry 3 runs" in five.run("retry", "--continue", token).stderr
    rest = five.json("retry", "--continue", token, "--yes")
    assert list(rest["done"]) == ["doomed-1", "doomed-0"]
    assert list(rest["skipped"]) == ["doomed-2"], "which was retried, and nobody heard of it"
    assert "doomed-later" not in rest["done"]
    assert "the token is that of 'retry'" in five.fails("resume", "--continue", token, code=2)


def test_what_fails_is_told_at_the_end_and_by_the_exit_code(five: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(LocalWorld(five.file)) as world:
        record = world.get_run("doomed-2")
        assert record
        world.archive.seal([record.model_copy(update={"archived_at": world.now()})], None)
    result = five.run("retry", "--where", "workflow=doomed", "--yes")
    assert result.exit_code == 1
    assert result.stdout == "Retried 4 runs. 1 failed:\n"
    assert "doomed-2: RunArchivedError: run 'doomed-2' is archived and cannot be retried" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["retry"], "name a run, or choose runs with --where"),
        (["retry", "one", "--where", "status=failed"], "a run is named: leave out --where"),
        (["cancel", "--where", "status=failed"], "have the status running, blocked or paused, not failed"),
        (["retry", "--where", " "], "choose the runs to retry: give at least one condition"),
        (["retry", "--where", "state=failed"], "position 1: there is no condition state="),
        (["retry", "--where", "id=a*", "--input", "{}"], "is for one run"),
        (["fork", "--where", "id=a*", "--edit", "1=2"], "is for one run"),
        (["fork", "one", "--after", "1"], "name the new run"),
        (["resume", "--where", "id=a*", "--rate", "fast"], "'fast' is not a rate, such as 20/s or 100/m"),
        (["resume", "--continue", "e30"], "is not a token"),
    ],
)
def test_a_wrong_command_line(cli: Cli, arguments: list[str], problem: str) -> None:
    LocalWorld(cli.file).close()
    told = cli.fails(*arguments, code=2)
    assert problem in " ".join(re.sub("[│╭╮╰╯─]", " ", told).split())
