"""Accessibility by the rules of axe-core, in light and dark, on a desk and on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.accessibility import faults
from tests.browser.console.conftest import Runs, Viewer
from worldflow import (
    Limit,
    RetryPolicy,
    create_hook,
    open_stream,
    publish,
    set_attributes,
    step,
    wait_for_signal,
    workflow,
)
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
    "/schedules/daily",
    "/limits",
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


@workflow(limit=Limit("axe", concurrency=1, key=lambda kind: kind))
async def axe_limited(kind: str) -> None:
    await wait_for_signal("end")


@pytest.fixture
def some_runs(runs: Runs) -> None:
    runs.start("open", axe_run)
    runs.start("failed", axe_run, fails=True)
    runs.until("failed", "failed")
    for number in "12":
        runs.start(f"limited-{number}", axe_limited, kind="a")
    schedules.create(runs.world, "daily", "axe_run", {}, schedule="rate(1 day)")


@pytest.mark.usefixtures("some_runs")
def test_no_page_breaks_a_rule(browser: Browser, world: LocalWorld) -> None:
    broken = {}
    with beside(world) as url:
        viewer = Viewer(browser, url, bypass_csp=True)
        page = viewer.open(PAGES[0])
        for path in PAGES:
            page.goto(url + path)
            if found := faults(page):
                broken[path] = found
        viewer.close()
    assert broken == {}


@pytest.mark.usefixtures("some_runs")
def test_what_breaks_a_rule_in_one_look_is_found(browser: Browser, world: LocalWorld) -> None:
    with beside(world) as url:
        viewer = Viewer(browser, url, bypass_csp=True)
        page = viewer.open("/start")
        page.add_style_tag(content=":root { --text: #222 } @media (max-width: 400px) { h1 { width: 500px } }")
        page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=\"data:,\">')")
        found = {(scheme, rule) for scheme, _, rule, _ in faults(page)}
        viewer.close()
    assert found >= {("light", "image-alt"), ("dark", "image-alt"), ("dark", "color-contrast"), ("dark", "too wide")}
    assert not found & {("light", "color-contrast"), ("light", "too wide")}
