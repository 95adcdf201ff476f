"""The browser of all these tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tools import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of the module: while it is there, its loop is that of this thread, and no test may have one of its own."""
    path = chromium.executable()
    if path is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(chromium.ADVICE)
    with sync_playwright() as playwright:
        # Chromium does not sandbox what root runs.
        arguments = [] if os.geteuid() else ["--no-sandbox"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()
