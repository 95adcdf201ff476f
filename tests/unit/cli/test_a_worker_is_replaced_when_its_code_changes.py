"""`python -m worldflow worker --reload`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import clock
from tests.unit.cli.conftest import Cli
from worldflow.cli.reloading import folders_of, seen
from worldflow.worlds import LocalWorld

CODE = """
from worldflow import step, workflow

@step
async def name() -> str:
    return "{version}"

@workflow
async def versions() -> str:
    return await name()
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "reloaded_flows.py"
    path.write_text(CODE.format(version="one"))
    return path


@pytest.fixture
def worker(cli: Cli, code: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "worldflow", "worker", "--reload", "-w", code.stem, "--json"]
    environment = clock.environment(code.parent, WORLDFLOW_LOCAL=str(cli.file), PYTHONDONTWRITEBYTECODE="1")
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=code.parent
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def has_begun(worker: subprocess.Popen[str]) -> None:
    assert worker.stdout
    assert json.loads(worker.stdout.readline())["workflows"] == "reloaded_flows"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_next_run_has_the_new_code(cli: Cli, worker: subprocess.Popen[str], code: Path, number: int) -> None:
    has_begun(worker)
    assert cli.json("start", "versions", "--run-id", "a", "--wait")["result"] == "one"

    code.write_text(CODE.format(version="the second"))
    has_begun(worker)
    assert cli.json("start", "versions", "--run-id", "b", "--wait")["result"] == "the second"

    worker.send_signal(number)
    _, errors = worker.communicate(timeout=20)
    assert (worker.returncode, errors) == (0, "Reloading: reloaded_flows.py\n")
    with closing(LocalWorld(cli.file)) as world, world.serving():
        pass  # nobody serves the file any more


def test_what_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package's folder with all below it, and the folder that a module is in; no environments, nothing hidden."""
    for path in (
        "watched_flow.py",
        "helpers.py",
        "watched_package/__init__.py",
        "watched_package/deep/order.py",
        ".hidden/no.py",
        "venv/pyvenv.cfg",
        "venv/lib/no.py",
        "__pycache__/no.py",
        "notes.txt",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    monkeypatch.syspath_prepend(str(tmp_path))

    package = {"watched_package/__init__.py", "watched_package/deep/order.py"}
    found = {str(path.relative_to(tmp_path)) for path in seen(folders_of(["watched_package"]))}
    assert found == package
    found = {str(path.relative_to(tmp_path)) for path in seen(folders_of(["watched_flow", "nowhere.at_all"]))}
    assert found == {"watched_flow.py", "helpers.py", *package}
    assert "watched_flow" not in sys.modules


def test_a_change_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "flow.py"
    path.write_text("1")
    before = seen([tmp_path])
    path.write_text("12")
    assert seen([tmp_path]) != before
    path.unlink()
    assert seen([tmp_path]) == {}
