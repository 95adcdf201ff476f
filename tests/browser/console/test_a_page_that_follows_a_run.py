"""A page that follows a run changes under nobody's hands."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.console.conftest import Runs, Viewer
from worldflow import step, wait_for_signal, workflow
from worldflow.runtime import sending

pytestmark = pytest.mark.one_python


@step
async def browser_first() -> str:
    return "first"


@workflow
async def browser_followed() -> None:
    await browser_first()
    await wait_for_signal("go")
    await wait_for_signal("end")


def test_what_is_open_stays_open_and_keeps_the_focus(viewer: Viewer, runs: Runs) -> None:
    page = _history(viewer, runs)
    event = page.locator("#event-1")
    event.locator("summary").first.click()
    expect(event.locator("pre")).to_be_visible()
    sending.signal(runs.world, "followed", "go", None)
    expect(page.get_by_text("4 events")).to_be_visible()
    expect(event.locator("pre")).to_be_visible()
    expect(event.locator("summary").first).to_be_focused()
    page.get_by_role("link", name="History").focus()
    sending.signal(runs.world, "followed", "end", None)
    expect(page.locator(".sentence")).to_contain_text("Completed after")
    expect(page.get_by_role("link", name="History")).to_be_focused()
    assert viewer.problems == []


def test_a_form_is_left_alone_while_it_is_filled_in(viewer: Viewer, runs: Runs) -> None:
    page = _history(viewer, runs)
    event = page.locator("#event-3")
    event.locator("summary").first.click()
    event.get_by_text("Fork with another value").click()
    event.get_by_label("Value").fill('"another"')
    page.evaluate("document.activeElement.blur()")
    heard = "document.body.addEventListener('sse:ended', () => document.body.dataset.heard = 'yes', true)"
    page.evaluate(heard)
    sending.signal(runs.world, "followed", "go", None)
    sending.signal(runs.world, "followed", "end", None)
    page.wait_for_selector("body[data-heard]")
    for _ in range(3):  # what the page asks for when it hears that is answered before these
        page.evaluate("fetch(location.href).then((answer) => answer.text())")
    expect(event.get_by_label("Value")).to_have_value('"another"')


def test_a_tab_that_is_not_looked_at_gives_up_its_connection(viewer: Viewer, runs: Runs) -> None:
    page = _history(viewer, runs)
    for event in ("htmx:sseClose", "htmx:sseOpen"):
        page.evaluate(f"document.addEventListener('{event}', () => document.body.classList.add('{event[4:]}'), true)")
    page.evaluate(f"({_SHOW})(true)")
    page.wait_for_selector("body[class*=seClose]")
    sending.signal(runs.world, "followed", "go", None)
    page.evaluate(f"({_SHOW})(false)")
    page.wait_for_selector("body[class*=seOpen]")
    expect(page.get_by_text("4 events")).to_be_visible()
    page.evaluate("document.addEventListener('sse:ended', () => document.body.classList.add('ended'), true)")
    sending.signal(runs.world, "followed", "end", None)
    page.wait_for_selector("body.ended")
    expect(page.locator(".sentence")).to_contain_text("Completed after")
    assert viewer.problems == []


_SHOW = """(hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def _history(viewer: Viewer, runs: Runs) -> Page:
    runs.start("followed", browser_followed)
    runs.until("followed", "running")
    page = viewer.open("/runs/followed/history")
    expect(page.locator("#event-3")).to_be_visible()
    return page
