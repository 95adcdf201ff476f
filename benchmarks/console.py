"""The console over many runs and a long one: `python -m benchmarks console`.

A file with 10,000 runs, and one run of 50,000 events, shown by `python -m worldflow ui` to a headless Chromium. First
paint is the browser's own figure, from the click to the first text.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.results import Section
from tools import chromium
from worldflow.engine.history import Event, RunStarted, StepCompleted, StepScheduled
from worldflow.worlds import LocalWorld, RunRecord

RUNS, EVENTS, COMMIT = 10_000, 50_000, 100
COMMAND = "python -m benchmarks console"
WHAT = (
    f"A file with {RUNS:,} runs and one of {EVENTS:,} events, shown by `python -m worldflow ui` to a headless "
    "Chromium. First paint is the browser's figure; whole is when the page has all that it shows; memory is the most "
    "that the console's process had until then."
)
PAGES = {
    "runs": "/",
    "runs of a status": "/?status=failed",
    "a long run": "/runs/long",
    "its history": "/runs/long/history",
    "a search in it": "/runs/long/history?q=s24999",
}


def sections() -> list[Section]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "runs.db"
        fill(file)
        rows = list(_measured(file))
    columns = ["page", "first paint, ms", "whole, ms", "size, KB", "memory, MB"]
    return [Section(title="The console", how=WHAT, command=COMMAND, columns=columns, rows=rows)]


def fill(file: Path) -> None:
    """Makes a file with many runs and a long one, as their records and histories would be."""
    with closing(LocalWorld(file)) as world:
        now = world.now()
        statuses = ("running", "completed", "completed", "failed")
        with world.together():
            for number in range(RUNS):
                at = now - timedelta(seconds=RUNS - number)
                status = statuses[number % len(statuses)]
                ended = None if status == "running" else at + timedelta(seconds=1)
                world.create_run(
                    RunRecord(
                        run_id=f"run-{number}",
                        workflow_name=f"workflow_{number % 7}",
                        status=status,  # type: ignore[arg-type]
                        created_at=at,
                        updated_at=at,
                        ended_at=ended,
                        seq=1,
                        attributes={"customer": f"c{number % 100}"},
                    )
                )
        world.create_run(
            RunRecord(run_id="long", workflow_name="workflow_long", created_at=now, updated_at=now, seq=EVENTS)
        )
        started = RunStarted(run_id="long", workflow_name="workflow_long", version=1, created_at=now, input={})
        events: list[Event] = [started]
        for number in range((EVENTS - 1) // 2):
            events += [
                StepScheduled(step_id=f"s{number}", name="charge", input={"order": f"order-{number}"}),
                StepCompleted(step_id=f"s{number}", attempt=1, result={"charged": number}),
            ]
        placed = [event.recorded(seq, now + timedelta(milliseconds=seq)) for seq, event in enumerate(events, 1)]
        with world.together():
            for begin in range(0, len(placed), COMMIT):
                world.append("long", placed[begin : begin + COMMIT])


def _measured(file: Path) -> Iterator[tuple[str, ...]]:
    path = chromium.executable()
    if path is None:
        raise SystemExit(chromium.ADVICE)
    with _console(file) as (url, pid), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[] if os.geteuid() else ["--no-sandbox"])
        page = browser.new_page()
        page.goto(url)  # the first page of a process also loads the templates
        for name, place in PAGES.items():
            size = len(page.request.get(url + place, headers={"HX-Request": "true"}).body())
            page.goto(url + place)
            paint = _first_paint(page)
            page.wait_for_selector("table, #body", state="attached")
            whole = page.evaluate("performance.now()")
            yield name, f"{paint:.0f}", f"{whole:.0f}", f"{size / 1024:.0f}", f"{_peak(pid):.0f}"
        browser.close()


@contextmanager
def _console(file: Path) -> Iterator[tuple[str, int]]:
    command = [sys.executable, "-m", "worldflow", "ui", "--local", str(file), "--port", "0", "--json", "-w", ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield json.loads(process.stdout.readline())["url"], process.pid
        process.terminate()


def _first_paint(page: Page) -> float:
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
    return float(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))


def _peak(pid: int) -> float:
    """The most memory that a process had, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024
