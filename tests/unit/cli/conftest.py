import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.unit.cli import flows  # noqa: F401  the workers here know the workflows
from worldflow.cli import app
from worldflow.serving.worker import Worker
from worldflow.worlds.local.world import LocalWorld

FLOWS = "tests.unit.cli.flows"
ON_EVERY_PYTHON = {
    "test_a_worker_serves_a_file_until_it_is_told_to_end.py",
    "test_checking_workflows.py",
    "test_lambda_does_not_import_the_command_line.py",
    "test_starting_a_run.py",
}
"""Signals, syntax trees and imports differ. What typer makes of our functions is seen in one command as in another."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.name not in ON_EVERY_PYTHON:
            item.add_marker("one_python")


class Cli:
    """`python -m worldflow`, on a LocalWorld file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def run(self, *args: str, stdin: str | None = None) -> Result:
        """A command, whatever comes of it."""
        return CliRunner().invoke(app, args, input=stdin, env={"WORLDFLOW_LOCAL": str(self.file)})

    def __call__(self, *args: str, stdin: str | None = None) -> str:
        """What a command prints that must do what it is asked for."""
        result = self.run(*args, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *args: str, stdin: str | None = None) -> Any:
        return json.loads(self(*args, "--json", stdin=stdin))

    def fails(self, *args: str, code: int = 1) -> str:
        """What a command says that must fail with this exit code."""
        result = self.run(*args)
        assert result.exit_code == code, result.output
        assert result.stdout == ""
        return result.stderr

    def settle(self) -> None:
        """Lets all runs go as far as they can."""

        async def work() -> None:
            worker = Worker(world)
            busy = True
            while await worker.work() or busy:
                busy = worker.busy
                await worker.pause(0.001)

        with closing(LocalWorld(self.file)) as world:
            asyncio.run(work())


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLDFLOW_LOCAL", "WORLDFLOW_WORKFLOWS", "WORLDFLOW_EVENTS_TABLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "runs.db")


Worked = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def worked(cli: Cli) -> Worked:
    """A context in which a worker serves the file."""

    @contextmanager
    def serving() -> Iterator[None]:
        told = threading.Event()

        async def serve() -> None:
            async with Worker(world):
                await asyncio.to_thread(told.wait)

        with closing(LocalWorld(cli.file)) as world:
            thread = threading.Thread(target=asyncio.run, args=(serve(),))
            thread.start()
            try:
                yield
            finally:
                told.set()
                thread.join()

    return serving
