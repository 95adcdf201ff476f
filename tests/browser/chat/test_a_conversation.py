"""`examples/chat` in a browser: send a message, watch the words, close the tab and open it again, approve."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from examples.chat import conversation
from examples.research_agent.sources import sources
from tests.browser.accessibility import faults
from tests.browser.chat.conftest import Site, Tabs
from worldflow.engine.history import StepCompleted, StepScheduled

pytestmark = pytest.mark.one_python

QUESTION = "Should we open a café in Lisbon?"
FIRST = f"You ask: {QUESTION}\n\nI look into Lisbon from five sides at once."
SECOND = "The figures are here. One report is not free: may I buy it?"
THIRD = "A café in Lisbon would pay "


def say(page: Page, text: str = QUESTION) -> None:
    page.get_by_label("Your message").fill(text)
    page.keyboard.press("Enter")


def paragraphs(page: Page) -> list[str]:
    """What the agent has said: each text as it stands on the page."""
    return [text.inner_text() for text in page.locator(".answer p:not(.again)").all()]


def approve(page: Page) -> None:
    page.get_by_role("button", name="Approve").click()


def finished(page: Page) -> None:
    """Waits for the end of the last answer."""
    expect(page.get_by_role("log")).to_contain_text("figures of sunny days are those that sellers show.")
    expect(page.get_by_role("log")).to_have_attribute("aria-busy", "false")


def test_words_appear_while_the_step_runs(site: Site, tabs: Tabs) -> None:
    page = tabs.open()
    say(page)
    expect(page.locator(".question")).to_have_text(QUESTION)
    site.gate.allow(4)
    expect(page.locator(".answer")).to_have_text("You ask: Should we")
    expect(page.get_by_role("log")).to_have_attribute("aria-busy", "true")
    kinds = [type(event) for event in site.events(page)]
    assert StepScheduled in kinds and StepCompleted not in kinds
    site.gate.allow(2)
    expect(page.locator(".answer")).to_have_text("You ask: Should we open a")


def test_a_tab_that_is_opened_again_has_the_whole_text_once(site: Site, tabs: Tabs) -> None:
    page = tabs.open()
    say(page)
    site.gate.allow(5)
    expect(page.locator(".answer")).to_have_text("You ask: Should we open")
    url = page.url
    page.close()
    site.gate.allow(3)
    again = tabs.open(url)
    expect(again.locator(".answer")).to_have_text("You ask: Should we open a café in")
    site.gate.allow()
    approve(again)
    finished(again)
    said = paragraphs(again)
    assert said[:2] == [FIRST, SECOND]
    assert len(said) == 3 and said[2].startswith(THIRD) and said[2].count("sunny days") == 1
    assert again.locator(".question").all_inner_texts() == [QUESTION]


def test_a_connection_that_breaks_goes_on_where_it_was(site: Site, tabs: Tabs) -> None:
    page = tabs.open()
    say(page)
    site.gate.allow(5)
    expect(page.locator(".answer")).to_have_text("You ask: Should we open")
    site.line.cut()
    expect(page.get_by_role("status")).to_have_text("Connected")
    site.gate.allow()
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    assert paragraphs(page) == [FIRST, SECOND]
    assert site.line.resumed != [] and all(int(offset) > 0 for offset in site.line.resumed)


def test_an_attempt_that_begins_anew_takes_the_place_of_what_it_said_before(site: Site, tabs: Tabs) -> None:
    site.gate.breaks_at = 6
    page = tabs.open()
    say(page)
    site.gate.allow(7)  # five, the one at which it breaks, and the first one of the next attempt
    expect(page.locator(".answer")).to_have_text("You")
    site.gate.allow()
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    assert paragraphs(page) == [FIRST, SECOND]


def test_what_costs_money_waits_for_approval(site: Site, tabs: Tabs) -> None:
    site.gate.allow()
    page = tabs.open()
    say(page)
    card = page.get_by_role("region", name="buy report")
    expect(card.locator("dd")).to_have_text(["Where to eat in Lisbon", "40"])
    assert sources.sold == []
    page.get_by_role("button", name="Approve").focus()
    page.keyboard.press("Enter")
    expect(card).to_contain_text("Approved")
    finished(page)
    assert "two quarters could feed more" in paragraphs(page)[-1]
    assert sources.sold == ["Where to eat in Lisbon"]
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)


def test_what_is_declined_is_not_bought(site: Site, tabs: Tabs) -> None:
    site.gate.allow()
    page = tabs.open()
    say(page)
    page.get_by_role("button", name="Decline").click()
    expect(page.get_by_role("region", name="buy report")).to_contain_text("Declined")
    finished(page)
    assert "There was no report" in paragraphs(page)[-1]
    assert sources.sold == []


def test_a_second_question_is_answered_in_the_same_conversation(site: Site, tabs: Tabs) -> None:
    site.gate.allow()
    page = tabs.open()
    say(page)
    approve(page)
    finished(page)
    say(page, "And what about Turin?")
    approve(page)
    expect(page.get_by_role("log")).to_contain_text("A café in Turin would pay ")
    expect(page.locator(".question")).to_have_text([QUESTION, "And what about Turin?"])
    assert sources.sold == ["Where to eat in Lisbon", "Where to eat in Turin"]


def test_a_conversation_goes_on_with_a_new_history(site: Site, tabs: Tabs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "LONG", 3)
    site.gate.allow()
    page = tabs.open()
    for city in ("Lisbon", "Turin"):
        say(page, f"What about {city}?")
        approve(page)
        expect(page.get_by_role("log")).to_contain_text(f"A café in {city} would pay ")
        finished(page)
    said = [text.splitlines()[0] for text in paragraphs(page)]
    assert [said[0], said[3]] == ["You ask: What about Lisbon?", "You ask: What about Turin?"]
    assert site.events(page, "~2") != []
    again = tabs.open(page.url)
    finished(again)
    assert paragraphs(again) == paragraphs(page)


@pytest.mark.parametrize(
    "text",
    [
        '<img src=x onerror="window.hacked = 1"> in Lisbon',
        "</p><script>window.hacked = 1</script> in Lisbon",
        "<b>bold</b> &amp; <a href='javascript:window.hacked=1'>click</a> in Lisbon",
    ],
)
def test_markup_in_a_message_stays_text(site: Site, tabs: Tabs, text: str) -> None:
    site.gate.allow()
    page = tabs.open()
    say(page, text)
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    assert page.locator(".question").all_inner_texts() == [text]
    assert paragraphs(page)[0].startswith(f"You ask: {text}\n")
    assert page.locator("#log :is(img, script, b, a)").count() == 0
    assert page.evaluate("window.hacked") is None


def test_a_message_that_cannot_be_sent_is_kept(site: Site, tabs: Tabs) -> None:
    page = tabs.open()
    page.route("**/messages/*", lambda route: route.fulfill(status=503, json={"error": "no room"}))
    say(page)
    expect(page.get_by_role("alert")).to_have_text("Not sent: no room")
    expect(page.get_by_label("Your message")).to_have_value(QUESTION)
    assert page.locator(".question").count() == 0
    tabs.problems.clear()  # the browser's own line about the answer


def test_no_rule_of_accessibility_is_broken(site: Site, browser: Browser) -> None:
    """Before a conversation, while a tool waits for approval, and after the answer."""
    site.gate.allow()
    tabs = Tabs(browser, site, bypass_csp=True, reduced_motion="reduce")
    page = tabs.open()
    broken = [faults(page)]
    say(page, "x" * 400 + " in Lisbon?")
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    broken.append(faults(page))
    approve(page)
    finished(page)
    broken.append(faults(page))
    tabs.close()
    assert tabs.problems == []
    assert broken == [[], [], []]


def test_the_page_in_the_dark_is_dark(site: Site, browser: Browser) -> None:
    colours = set()
    for scheme in ("light", "dark"):
        tabs = Tabs(browser, site, color_scheme=scheme)
        colours.add(tabs.open().evaluate("getComputedStyle(document.body).backgroundColor"))
        tabs.close()
    assert len(colours) == 2
