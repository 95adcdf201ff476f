"""A failed order is found, understood and retried; another is approved; both are watched to their ends."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.console.conftest import Runs, Viewer
from worldflow import RetryPolicy, set_attributes, step, wait_for_signal, workflow
from worldflow.runtime import sending

pytestmark = pytest.mark.one_python

BANK = {"open": False}


@step(retry=RetryPolicy(max_attempts=1))
async def browser_charge(order: str, amount: int) -> str:
    if amount < 0:
        raise ValueError(f"an amount of {amount}")
    if not BANK["open"]:
        raise ConnectionError(f"the bank is closed for {order}")
    return f"charged {amount}"


@workflow(signals={"approval": bool})
async def browser_order(order: str, amount: int) -> str:
    set_attributes(order=order)
    if amount > 100 and not await wait_for_signal("approval"):
        return "refused"
    return await browser_charge(order, amount)


def test_an_operators_morning(viewer: Viewer, runs: Runs) -> None:
    BANK["open"] = False
    runs.start("order-1", browser_order, order="A", amount=5)
    runs.start("order-2", browser_order, order="B", amount=500)
    runs.until("order-1", "failed")

    page = viewer.open()
    page.get_by_label("Status").select_option("failed")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="order-1").click()
    expect(page.locator(".sentence")).to_contain_text("Failed after")
    expect(page.locator(".sentence")).to_contain_text("ConnectionError: the bank is closed for A")
    page.get_by_text("Traceback", exact=True).click()
    expect(page.locator("details pre").first).to_contain_text("browser_charge")

    BANK["open"] = True
    page.get_by_text("Retry", exact=True).first.click()
    page.get_by_role("button", name="Retry").click()
    expect(page).to_have_url(re.compile("/runs/order-1~2"))
    expect(page.locator(".notice")).to_have_text("Retries from the point of failure as order-1~2.")
    expect(page.locator(".sentence")).to_contain_text("Completed after")
    expect(page.get_by_text("charged 5")).to_be_visible()

    runs.start("order-3", browser_order, order="C", amount=-5)
    runs.until("order-3", "failed")
    page.goto(f"{viewer.url}/runs/order-3")
    expect(page.locator(".sentence")).to_contain_text("ValueError: an amount of -5")
    page.get_by_text("Retry with another input").first.click()
    page.locator("#rerun-amount").fill("15")
    page.get_by_role("button", name="Retry with another input").click()
    expect(page.locator(".sentence")).to_contain_text("Completed after")
    expect(page.get_by_text("charged 15")).to_be_visible()

    page.get_by_role("link", name="Runs", exact=True).first.click()
    page.get_by_label("Attributes").fill('order="B"')
    page.keyboard.press("Enter")
    page.get_by_role("link", name="order-2").click()
    expect(page.locator(".sentence")).to_have_text("Waiting for signal 'approval'.")
    other = viewer.open("/runs/order-2")
    expect(other.locator(".status.running").first).to_be_visible()

    page.get_by_text("Send signal approval").first.click()
    page.get_by_role("checkbox", name="value").check()
    page.get_by_role("button", name="Send signal approval").click()
    expect(page.locator(".sentence")).to_contain_text("Completed after")
    expect(other.locator(".sentence")).to_contain_text("Completed after")  # in a tab that nobody has touched
    expect(other.get_by_text("charged 500")).to_be_visible()
    assert runs.until("order-2", "completed").result == "charged 500"


def test_selected_runs_are_cancelled_after_a_look(viewer: Viewer, runs: Runs) -> None:
    for number in range(3):
        runs.start(f"many-{number}", browser_order, order="C", amount=500)
    page = viewer.open()
    page.get_by_label("Select all runs of this page").check()
    expect(page.locator("#selected")).to_have_text("3 selected")
    page.get_by_label("Select many-1").uncheck()
    page.get_by_role("button", name="Cancel…").click()
    expect(page.get_by_text("its workflow is cancelled where it waits")).to_have_count(2)
    page.get_by_label("Reason").fill("a mistake")
    page.get_by_role("button", name="Cancel 2 runs").click()
    expect(page.get_by_text("2 of 2 done.")).to_be_visible()
    assert runs.until("many-0", "cancelled").reason == "a mistake"
    assert runs.until("many-1", "running")


def test_a_view_is_saved_and_found_again(viewer: Viewer) -> None:
    page = viewer.open("/?status=failed")
    page.on("dialog", lambda dialog: None)
    page.evaluate("window.prompt = () => 'Broken'")
    page.get_by_role("button", name="Save view").click()
    page.goto(viewer.url)
    page.get_by_role("link", name="Broken").click()
    expect(page.get_by_label("Status")).to_have_value("failed")
    page.get_by_role("button", name="Delete the view Broken").click()
    expect(page.get_by_role("link", name="Broken")).to_have_count(0)


def test_keys_lead_through_the_pages(viewer: Viewer, runs: Runs) -> None:
    runs.start("keys", browser_order, order="D", amount=500)
    page = viewer.open()
    page.keyboard.press("/")
    expect(page.get_by_label("Run id begins with")).to_be_focused()
    runs.until("keys", "running")
    sending.signal(runs.world, "keys", "approval", False)
    assert runs.until("keys", "completed").result == "refused"
    page.goto(f"{viewer.url}/runs/keys/code")
    page.keyboard.press("j")
    expect(page.locator(".here")).to_contain_text('wait_for_signal("approval")')
    page.wait_for_load_state()  # with the script that knows the keys
    page.keyboard.press("k")
    expect(page.get_by_text("none of its tasks is left")).to_be_visible()


def test_a_part_of_the_timeline_is_looked_at_closely(viewer: Viewer, runs: Runs) -> None:
    BANK["open"] = True
    runs.start("zoom", browser_order, order="E", amount=5)
    runs.until("zoom", "completed")
    page = viewer.open("/runs/zoom")
    box = page.locator(".bars").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 5)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"zoom=\d"))
    page.get_by_role("link", name="Whole run").click()
    expect(page.get_by_role("link", name="Whole run")).to_have_count(0)
