"""What the application of `examples/chat` answers to requests that its page does not make."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.chat.conftest import Site, Tabs
from worldflow.devtools.stack import request
from worldflow.engine.history import SignalReceived

pytestmark = pytest.mark.one_python

ID = "0" * 32


def status(site: Site, method: str, path: str, body: Any = None) -> int:
    return request(method, f"{site.url}{path}", body, {}, None, "").status


def test_a_message_that_comes_twice_counts_once(site: Site, tabs: Tabs) -> None:
    site.gate.allow()
    path = f"/conversations/{ID}/messages/m1"
    assert [status(site, "PUT", path, {"text": "A café in Lisbon?"}) for _ in range(2)] == [202, 202]
    page = tabs.open(f"{site.url}/c/{ID}")
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    expect(page.locator(".question")).to_have_text(["A café in Lisbon?"])
    assert sum(isinstance(event, SignalReceived) for event in site.events(page)) == 1


def test_bad_requests(site: Site) -> None:
    path = f"/conversations/{ID}/messages/m1"
    assert status(site, "PUT", path, {"text": ""}) == 422
    assert status(site, "PUT", path, {"text": "x" * 4_001}) == 422
    assert status(site, "PUT", path, "no JSON") == 422
    assert status(site, "PUT", "/conversations/a%20b/messages/m1", {"text": "x"}) == 422
    assert status(site, "PUT", "/approvals", {"token": "unknown", "approved": True}) == 404
    assert status(site, "GET", f"/conversations/{ID}/events") == 404


def test_other_sites_cannot_send(site: Site) -> None:
    """Without a question of the browser, which the application does not answer, they can only send simple types."""
    headers = {"Content-Type": "text/plain"}
    path = f"{site.url}/conversations/{ID}/messages/m1"
    answer = request("PUT", path, None, headers, None, "")
    assert (answer.status, answer.body) == (422, {"error": "the body must be application/json"})
    assert request("OPTIONS", path, None, {}, None, "").status == 405
