"""What axe-core finds on a page, in light on a desk and in dark on a phone. A page is loaded once for both."""

from __future__ import annotations

from typing import Any, Literal

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

HEIGHT = 800
LOOKS: list[tuple[Literal["light", "dark"], int]] = [("light", 1280), ("dark", 360)]
"""Colours, and the width of the window."""

_RUN = "axe.run({ resultTypes: ['violations'] }).then((found) => found.violations)"
"""All rules. Of what is in order nothing is told: that takes longer than to find it."""


def faults(page: Page) -> list[Any]:
    """What is broken in either look: the rules of axe-core, and that nothing is wider than the window."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: list[Any] = []
    for scheme, width in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": HEIGHT})
        broken = page.evaluate(_RUN)
        found += [(scheme, width, one["id"], [node["html"][:200] for node in one["nodes"]]) for one in broken]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append((scheme, width, "too wide", page.url))
    return found
