"""Markup in whatever users control is shown as it is written, and runs nothing."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.console.conftest import Runs, Viewer
from worldflow import (
    RetryPolicy,
    create_hook,
    open_stream,
    publish,
    set_attributes,
    set_status,
    step,
    wait_for_signal,
    workflow,
)
from worldflow.runtime import schedules, sending

pytestmark = pytest.mark.one_python

EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>'\"&{{7*7}}"


@step(retry=RetryPolicy(max_attempts=1))
async def evil_step(text: str) -> str:
    async with open_stream("evil") as out:
        await out.write(text)
    return text


@workflow
async def evil_run(text: Any, fails: bool = False) -> Any:
    set_attributes(evil=text)
    set_status(text[:900])
    publish(text, text)
    await evil_step(text)
    if fails:
        raise ValueError(text)
    with create_hook(metadata={"evil": text}):
        return await wait_for_signal("go")


PAGES = ["", "/history", "/code", "/streams", "/agents", "/family", "/cost"]


def test_markup_in_a_run_is_shown_and_runs_nothing(viewer: Viewer, runs: Runs) -> None:
    runs.start("evil", evil_run, text=EVIL)
    runs.start("failed", evil_run, text=EVIL, fails=True)
    runs.until("failed", "failed")
    sending.signal(runs.world, "evil", "other", EVIL)
    schedules.create(runs.world, "evil", "evil_run", {"text": EVIL}, schedule="rate(1 day)", paused=True)
    paths = ["/", *(f"/runs/{run}{tab}" for run in ("evil", "failed") for tab in PAGES)]
    paths += [
        "/compare?a=evil&b=failed",
        "/schedules",
        "/schedules/evil",
        "/health",
        f"/runs/evil/history?q={EVIL}",
        f"/?prefix={EVIL}",
    ]
    page = viewer.open()
    for path in paths:
        page.goto(viewer.url + path)
        page.wait_for_load_state("networkidle") if "evil" not in path else page.wait_for_load_state("load")
        assert page.title() != "owned", path
        assert page.locator("img[src=x]").count() == 0, path
    viewer.problems[:] = [problem for problem in viewer.problems if "404" not in problem and "422" not in problem]


def test_markup_is_shown_as_it_is_written(viewer: Viewer, runs: Runs) -> None:
    runs.start("failed", evil_run, text=EVIL, fails=True)
    runs.until("failed", "failed")
    page = viewer.open("/runs/failed")
    expect(page.locator(".sentence")).to_contain_text(EVIL)
    page.goto(f"{viewer.url}/runs/failed/streams")
    expect(page.get_by_role("log")).to_contain_text(EVIL)
