"""The examples that are workflows: their pages, their pictures, and the commands that the pages show.

Their own tests are beside them, in `examples/`.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support import clock
from tools.pictures import TERMINAL, picture, terminal
from worldflow.cli import app
from worldflow.engine.history import Event, StepScheduled
from worldflow.worker import BackgroundWorker, Worker
from worldflow.worlds import LocalWorld

pytestmark = pytest.mark.one_python

PROJECT = Path(__file__).parents[2]
EXAMPLES = PROJECT / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/workflow.py"))

demos = [import_module(f"examples.{name}.demo").demo for name in NAMES]


@pytest.fixture(scope="module")
def histories() -> dict[str, list[Event]]:
    """What the demos show, which run side by side."""

    async def run() -> list[list[Event]]:
        return await asyncio.gather(*(demo() for demo in demos))

    return dict(zip(NAMES, asyncio.run(run()), strict=True))


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```\w+\n(.*?)^```$", page.read_text(), re.M | re.S)


def labels(svg: str) -> list[str]:
    return sorted(re.findall(r'<text class="label"[^>]*>([^<]*)<', svg))


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_fits_on_a_page(name: str) -> None:
    assert len((EXAMPLES / name / "workflow.py").read_text().splitlines()) <= 120


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_is_of_this_demo(name: str, histories: dict[str, list[Event]]) -> None:
    """Up to how long each thing took: `make pictures` draws it anew."""
    drawn = picture(histories[name], name)
    assert labels((EXAMPLES / name / "timeline.svg").read_text()) == labels(drawn)


def test_the_picture_of_a_terminal_is_of_this_demo(histories: dict[str, list[Event]]) -> None:
    """By the names of what it shows. It loads nothing, so that the site loads nothing from other hosts."""
    steps = [event.name for event in histories["order_saga"] if isinstance(event, StepScheduled)]
    for svg in (TERMINAL.read_text(), terminal(histories["order_saga"], "python -m examples.order_saga.demo")):
        shown = svg.replace("&#160;", " ")
        assert [name for name in steps if f"step {name} (" not in shown] == []
        assert re.findall(r"url\((?!#)|@font-face|<image", svg) == []


def test_the_first_command_of_each_page_is_its_demo() -> None:
    commands = {name: blocks(EXAMPLES / name / "README.md")[0] for name in NAMES}
    assert commands == {name: f"python -m examples.{name}.demo\n" for name in NAMES}
    command = [sys.executable, *shlex.split(commands["aws_workflow"])[1:]]
    done = subprocess.run(command, cwd=PROJECT, env=clock.environment(), capture_output=True, text=True, check=True)
    assert done.stdout.startswith("['Hello, World!', 'Hello, World, again!']\n\n    1         +0 ms  run of hello")
    assert "timer t1 of 10 s" in done.stdout


def commands(session: str) -> Iterator[list[str]]:
    """The commands of a session, without `python -m worldflow`."""
    assert session.endswith("\nkill %1\n"), "the worker would refuse that of the next session"
    for command in re.split(r"^(?=python|export|kill)", session, flags=re.M)[1:]:
        words = shlex.split(command)
        if words[0] == "python":
            assert words[:3] == ["python", "-m", "worldflow"]
            yield words[3:]


def test_the_sessions_of_the_pages_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLDFLOW_LOCAL", "runs.db")
    shown = {}
    with (
        closing(LocalWorld("runs.db", webhook_url="http://127.0.0.1:8000/webhooks")) as world,
        BackgroundWorker(Worker(world)),
    ):
        for name in NAMES:
            session = blocks(EXAMPLES / name / "README.md")[1]
            module = f"examples.{name}.workflow"
            assert f"export WORLDFLOW_LOCAL=runs.db WORLDFLOW_WORKFLOWS={module}\n" in session
            monkeypatch.setenv("WORLDFLOW_WORKFLOWS", module)
            worker, *others = commands(session)
            assert worker in (["worker", "&"], ["serve", "&"])
            for command in others:
                done = CliRunner().invoke(app, command)
                assert done.exit_code == 0, (command, done.output)
                shown[name] = done.stdout
                while not all(world.read_events(record.run_id) for record in world.list_runs().runs):
                    time.sleep(0.01)  # a shell takes longer
        ends = {record.status for record in world.list_runs(limit=100).runs}
    assert ends & {"failed", "blocked"} == set()
    assert "PARCEL-1" in shown["order_saga"]
    assert shown["media_pipeline"] == "1.0\n"


@pytest.mark.parametrize("page", sorted(EXAMPLES.glob("**/README.md")), ids=lambda page: page.parent.name)
def test_the_links_of_the_pages_lead_somewhere(page: Path) -> None:
    paths = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [path for path in paths if not (page.parent / path).exists()] == []


def test_the_list_of_examples_has_all_of_them() -> None:
    linked = set(re.findall(r"\]\((\w+)/README\.md\)", (EXAMPLES / "README.md").read_text()))
    assert linked == {page.parent.name for page in EXAMPLES.glob("*/README.md")}
