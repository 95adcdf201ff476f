"""The console in a browser: over a LocalWorld with a worker, each served from this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from worldflow.console.server import beside
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import starting
from worldflow.serving.background import BackgroundWorker
from worldflow.serving.worker import Worker
from worldflow.worlds import LocalWorld, RunRecord

expect.set_options(timeout=20_000)  # machines are slow where much runs at once


class Viewer:
    """A person's tabs. Whatever the pages ask of another host, and each error of theirs, is a problem."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url
        self.problems: list[str] = []
        self._context = browser.new_context(**options)
        self._context.set_default_timeout(15_000)

    def open(self, path: str = "/") -> Page:
        page = self._context.new_page()
        page.on("console", lambda said: self.problems.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(self.url) else self._foreign(request.url))
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(self.url + path)
        return page

    def _foreign(self, url: str) -> None:
        self.problems.append(f"asked {url}")

    def close(self) -> None:
        self._context.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LocalWorld]:
    world = LocalWorld(tmp_path / "runs.db")
    yield world
    world.close()


class Runs:
    """The runs of a World that is served. Playwright has the event loop of this thread, so nothing here awaits."""

    def __init__(self, world: LocalWorld) -> None:
        self.world = world

    def start(self, run_id: str, workflow: Workflow[..., Any], **arguments: Any) -> None:
        starting.start(self.world, run_id, workflow, arguments)

    def until(self, run_id: str, *statuses: str) -> RunRecord:
        """Waits until a run has one of these statuses."""
        for _ in range(2_000):
            record = self.world.read_run(run_id)
            if record.status in statuses:
                return record
            threading.Event().wait(0.01)
        raise AssertionError(f"{run_id} is {record.status}")


@pytest.fixture
def runs(world: LocalWorld) -> Iterator[Runs]:
    with BackgroundWorker(Worker(world)):
        yield Runs(world)


@pytest.fixture
def viewer(browser: Browser, world: LocalWorld) -> Iterator[Viewer]:
    with beside(world) as url:
        viewer = Viewer(browser, url)
        yield viewer
        viewer.close()
    assert viewer.problems == []
