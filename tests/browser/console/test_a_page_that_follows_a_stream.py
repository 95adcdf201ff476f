"""A page that follows a stream shows its newest rows, however many there are."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.console.conftest import Runs, Viewer
from worldflow import open_stream, step, wait_for_signal, workflow
from worldflow.console import following
from worldflow.runtime import sending

pytestmark = pytest.mark.one_python


@step
async def browser_counts(first: int, last: int) -> None:
    async with open_stream("counted", int) as out:
        for number in range(first, last):
            await out.write(number)


@workflow
async def browser_counting() -> None:
    await browser_counts(0, 15)
    await wait_for_signal("more")
    await browser_counts(15, 45)


def test_the_oldest_rows_leave_the_page_and_a_link_leads_to_them(
    viewer: Viewer, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "ROWS", 20)
    runs.start("counting", browser_counting)
    page = viewer.open("/runs/counting/streams")
    rows = page.locator(".stream [data-offset]")
    expect(rows).to_have_text([str(number) for number in range(15)])
    expect(page.get_by_text("Earlier rows")).to_be_hidden()
    sending.signal(runs.world, "counting", "more", None)
    expect(page.get_by_text("The stream has ended.")).to_be_visible()
    expect(rows).to_have_text([str(number) for number in range(25, 45)])
    page.get_by_text("Earlier rows").click()
    expect(rows.last).to_have_text("24")
    page.get_by_text("Later rows").click()
    expect(rows.first).to_have_text("25")
    page.get_by_text("Newest rows").click()
    expect(rows.last).to_have_text("44")
