"""The console in a browser, over the deployed stack: a run is approved, and watched to its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.console.conftest import Viewer
from tests.e2e.conftest import PROJECT
from tools import chromium
from worldflow.devtools.stack import Stack

ORDER = {
    "order_id": "console-1",
    "customer": "Ada",
    "card": "good",
    "lines": [{"sku": "SCREEN", "quantity": 4, "unit_price": "320.50"}],
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium.executable()
    if path is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(chromium.ADVICE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[] if os.geteuid() else ["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def address(stack: Stack) -> Iterator[str]:
    """Of `python -m worldflow ui --stack ...`, with the workflows of the project."""
    command = [sys.executable, "-m", "worldflow", "ui", "--stack", "worldflow-local", "--port", "0", "--json"]
    workflows = str(PROJECT / "layers/workflows")
    env = {**os.environ, **stack.aws.env, "PYTHONPATH": f"{workflows}:{os.environ.get('PYTHONPATH', '')}"}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()


def test_an_order_is_approved_and_watched(
    browser: Browser, address: str, stack: Stack, ended: Callable[..., dict[str, Any]]
) -> None:
    started = stack.call(
        "POST", "/runs", {"workflow": "fulfil_order", "run_id": "console-1", "input": {"order": ORDER}}
    )
    assert started.status == 201, started
    viewer = Viewer(browser, address)
    page = viewer.open("/?prefix=console-1")
    page.get_by_role("link", name="console-1").click()
    expect(page.locator(".sentence")).to_contain_text("aiting for signal 'approval'", timeout=60_000)
    page.get_by_text("Send a signal").first.click()
    page.locator("#signal-name").fill("approval")
    page.locator("#signal-value").fill(json.dumps({"approved": True, "by": "Grace"}))
    page.get_by_role("button", name="Send a signal").click()
    expect(page.locator(".notice")).to_have_text("Sent signal approval.")
    ended("console-1")
    expect(page.locator(".sentence")).to_contain_text("Completed after", timeout=60_000)
    page.get_by_role("link", name="History").click()
    expect(page.get_by_text("signal approval received")).to_be_visible()
    viewer.close()
    assert viewer.problems == []
