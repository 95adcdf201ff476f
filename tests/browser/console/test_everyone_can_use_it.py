"""Accessibility by the rules of axe-core, in light and dark, on a desk and on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.browser.console.conftest import Runs, Viewer
from worldflow import RetryPolicy, create_hook, open_stream, publish, set_attributes, step, wait_for_signal, workflow
from worldflow.console.server import beside
from worldflow.runtime import schedules
from worldflow.worlds import LocalWorld

pytestmark = pytest.mark.one_python

RUN_PAGES = ["", "/history", "/code", "/streams", "/agents", "/family", "/cost"]
PAGES = [
    "/",
    "/?status=cancelled",
    "/start",
    "/start?workflow=axe_run",
    "/schedules",
    "/health",
    "/compare?a=open&b=failed",
    "/runs/nobody",
    *(f"/runs/{run}{page}" for run in ("open", "failed") for page in RUN_PAGES),
]


@step(retry=RetryPolicy(max_attempts=1))
async def axe_step(fails: bool) -> str:
    async with open_stream("told") as out:
        await out.write("words")
    if fails:
        raise ValueError("it failed")
    return "done"


@workflow(signals={"approval": bool})
async def axe_run(fails: bool = False) -> Any:
    set_attributes(kind="axe")
    publish("state", {"a": 1})
    await axe_step(fails)
    with create_hook():
        return await wait_for_signal("approval")


@pytest.fixture
def some_runs(runs: Runs) -> None:
    runs.start("open", axe_run)
    runs.start("failed", axe_run, fails=True)
    runs.until("failed", "failed")
    schedules.create(runs.world, "daily", "axe_run", {}, schedule="rate(1 day)")


@pytest.mark.usefixtures("some_runs")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_no_page_breaks_a_rule(browser: Browser, world: LocalWorld, scheme: Any, width: int) -> None:
    axe, broken = Axe(), {}
    with beside(world) as url:
        viewer = Viewer(browser, url, color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)
        for path in PAGES:
            page = viewer.open(path)
            if results := axe.run(page).response["violations"]:
                broken[path] = [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in results]
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is too wide"
            page.close()
        viewer.close()
    assert broken == {}
