"""Who the console answers, and which actions it takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.console.conftest import HOST, Pages
from tests.support.systems import System, start
from worldflow import create_hook, wait_for_signal, workflow

SECRET = "-".join("secret")  # which the source of the workflow does not contain


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", "192.0.2.1"])
def test_a_page_under_another_name_is_refused(pages: Pages, host: str) -> None:
    assert pages.request("GET", "/", headers={"Host": host}).status == 403


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_names_of_this_machine_are_answered(pages: Pages, host: str) -> None:
    assert pages.request("GET", "/", headers={"Host": host}).status == 200


def test_within_another_application_any_name_is_answered(open_pages: Callable[..., Pages]) -> None:
    assert open_pages(any_host=True).request("GET", "/", headers={"Host": "ops.example"}).status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9000", ""])
def test_an_action_from_another_origin_is_refused(system: System, pages: Pages, origin: str) -> None:
    _waiting(system)
    answer = pages.send("/runs/open/terminate", page="/runs/open", Origin=origin)
    assert answer.status == 403
    assert system.world.read_run("open").status == "running"


def test_an_action_without_an_origin_is_refused(system: System, pages: Pages) -> None:
    _waiting(system)
    assert pages.request("POST", "/runs/open/terminate", "").status == 403


def test_an_action_without_the_pages_token_is_refused(system: System, pages: Pages) -> None:
    _waiting(system)
    for token in ("", ".token=", ".token=guessed"):
        answer = pages.request("POST", "/runs/open/terminate", token, headers={"Origin": f"http://{HOST}"})
        assert answer.status == 422 and "another console" in answer.text
    system.settle()
    assert system.world.read_run("open").status == "running"


def test_a_form_that_is_too_large_is_refused(system: System, pages: Pages) -> None:
    _waiting(system)
    answer = pages.send("/runs/open/signal", {".name": "x", "value": "1" * 1_100_000}, page="/runs/open")
    assert answer.status == 422


def test_every_page_says_what_browsers_may_do_with_it(pages: Pages) -> None:
    for path in ("/", "/start", "/runs/none"):
        headers = pages.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_read_only_console_shows_and_takes_no_action(system: System, open_pages: Callable[..., Pages]) -> None:
    _waiting(system)
    closed, other = open_pages(read_only=True), open_pages()
    for path in ("/", "/runs/open", "/start", "/schedules", "/health"):
        assert 'method="post"' not in closed.text(path)
    token = other.get("/").text.partition('name=".token" value="')[2].partition('"')[0]
    answer = closed.request("POST", "/runs/open/cancel", f".token={token}", headers={"Origin": f"http://{HOST}"})
    assert answer.status == 422
    system.settle()
    assert system.world.read_run("open").status == "running"


def test_an_action_with_the_token_of_a_read_only_console_is_refused(
    system: System, open_pages: Callable[..., Pages], monkeypatch: pytest.MonkeyPatch
) -> None:
    _waiting(system)
    monkeypatch.setattr("worldflow.console.security.secrets.token_urlsafe", lambda _: "known")
    closed = open_pages(read_only=True)
    answer = closed.request("POST", "/runs/open/cancel", ".token=known", headers={"Origin": f"http://{HOST}"})
    assert answer.status == 422 and "read-only" in answer.text


def test_a_read_only_console_has_no_token_of_a_hook(system: System, open_pages: Callable[..., Pages]) -> None:
    @workflow
    async def console_hooked() -> None:
        with create_hook(token=SECRET) as hook:
            await hook

    start(system, "hooked", console_hooked)
    _waiting(system)
    closed = open_pages(read_only=True)
    (seq,) = [event.seq for event in system.world.read_events("hooked") if event.event_type == "HookCreated"]
    paths = ["/history", "/code", "", f"/events/{seq}"]
    for path in [*(f"/runs/hooked{path}" for path in paths), "/compare?a=hooked&b=open"]:
        assert SECRET not in closed.text(path), path
    assert "No event matches" in closed.text("/runs/hooked/history", q=SECRET)
    assert SECRET in open_pages().text("/runs/hooked/history")


def test_without_payloads_no_page_has_data_of_runs(system: System, open_pages: Callable[..., Pages]) -> None:
    @workflow
    async def console_private(secret: str) -> str:
        await wait_for_signal("go")
        raise ValueError(f"about {secret}")

    start(system, "private", console_private, secret=SECRET)
    blind = open_pages(payloads=False)
    paths = ("/", *(f"/runs/private{tab}" for tab in ("", "/history", "/code", "/family", "/cost")))
    for path in paths:
        assert SECRET not in blind.text(path)
    assert SECRET in open_pages().text("/runs/private")
    assert "As JSON" not in blind.text("/runs/private")
    assert blind.get("/runs/private/values/input").status == 404
    assert blind.get("/runs/private/events/1").status == 404
    blind.send("/runs/private/signal", {".name": "go", "value": "1"}, page="/runs/private")
    system.settle()
    assert system.world.read_run("private").status == "failed"
    for path in paths:
        assert SECRET not in blind.text(path)


def _waiting(system: System) -> None:
    @workflow
    async def console_open() -> None:
        await wait_for_signal("go")

    start(system, "open", console_open)
