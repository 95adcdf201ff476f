"""Limits with who holds a place and who waits, and their actions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.console.conftest import Pages
from tests.support.systems import System, start
from worldflow import Limit, step, wait_for_signal, workflow
from worldflow.runtime import starting
from worldflow.runtime.limits import get_limit, set_limit

QUAY = Limit("quay", concurrency=1, rate="5/1m", burst=2, key=lambda ship: ship)


@step(limit=QUAY, fairness=lambda ship: f"of-{ship}")
async def unload_at_the_quay(ship: str) -> str:
    return ship


@workflow
async def calls_at_the_quay(ship: str) -> str:
    return await unload_at_the_quay.options(priority=3)(ship)


@workflow(limit=Limit("harbour", concurrency=1))
async def stays_in_the_harbour() -> Any:
    return await wait_for_signal("leave")


@workflow(limit=Limit("odd-harbour", concurrency=1, key=lambda ship: ship["name"]))
async def stays_in_the_odd_harbour(ship: Any) -> None: ...


def shown(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def a_busy_quay(system: System) -> None:
    for ship in ("ada", "bea", "cleo"):
        start(system, f"harbour-{ship}", stays_in_the_harbour)
    start(system, "quay-ada", calls_at_the_quay, ship="ada")
    set_limit(system.world, "quay", concurrency=0)
    start(system, "quay-bea", calls_at_the_quay, ship="bea")


def test_a_limit_shows_who_holds_a_place_and_who_waits_in_order(system: System, pages: Pages) -> None:
    assert "No limits." in pages.text("/limits")
    a_busy_quay(system)

    page = pages.text("/limits")

    assert 'href="/runs/harbour-ada"' in page and '<time datetime="' in page
    text = shown(page)
    assert "1 of 1 places held, 2 waiting" in text
    assert re.search("holds harbour-ada .* waits 1 harbour-bea .* waits 2 harbour-cleo", text)
    assert "at most 5/1m, burst 2 set by an operator" in text
    assert re.search("Key bea 0 of 0 places held, 1 waiting.* waits 1 quay-bea s1, attempt 1 .* 3 of-bea", text)
    assert "harbour" not in shown(pages.text("/limits", name="quay"))
    assert pages.get("/limits", name="nowhere").status == 404


def test_a_limit_is_set_and_reset(system: System, pages: Pages) -> None:
    a_busy_quay(system)
    of_bea = {".name": "quay", ".key": "bea"}

    said = pages.follow(pages.send("/limits", {**of_bea, "concurrency": "4", "rate": "9/1h"}, page="/limits"))
    assert "Changed limit quay, key bea." in said
    assert [(one.key, one.concurrency, one.rate) for one in get_limit(system.world, "quay")] == [
        ("ada", 0, "5/1m"),
        ("bea", 4, "9/1h"),
    ]

    assert "Reset limit quay." in pages.follow(
        pages.send("/limits", {".name": "quay", ".reset": "true", "concurrency": "7"}, page="/limits")
    )
    assert [(one.concurrency, one.changed) for one in get_limit(system.world, "quay")] == [(1, False), (1, False)]


def test_a_wrong_number_is_shown_beside_its_field(system: System, pages: Pages) -> None:
    a_busy_quay(system)
    for field, value, problem in [
        ("concurrency", "-1", "must be an integer of at least 0"),
        ("concurrency", "many", "must be a number"),
        ("rate", "fast", "500/1m"),
        ("burst", "2", "together with a rate"),
    ]:
        answer = pages.send("/limits", {".name": "harbour", field: value}, page="/limits")
        assert answer.status == 422
        assert answer.text.count('<details class="act" open>') == 1
        assert re.search(
            f'name="{field}" value="{value}"[^>]*>\\s*<small.*\\s*<strong[^>]*>[^<]*{problem}', answer.text
        )
    assert pages.send("/limits", {".name": "nowhere", "concurrency": "1"}, page="/limits").status == 404


def test_a_read_only_console_changes_no_limit(system: System, open_pages: Callable[..., Pages]) -> None:
    a_busy_quay(system)
    closed = open_pages(read_only=True)

    assert "<form" not in closed.text("/limits")
    assert closed.send("/limits", {".name": "harbour", "concurrency": "9"}, page="/limits").status == 422
    assert get_limit(system.world, "harbour")[0].concurrency == 1


def test_keys_and_fairness_are_data(system: System, open_pages: Callable[..., Pages]) -> None:
    a_busy_quay(system)
    page = open_pages(payloads=False).text("/limits")
    assert "Key not shown" in page and 'href="/runs/quay-bea"' in page
    assert not re.search("Key bea|of-bea|value=.bea['\"]", page)


def test_a_run_that_waits_for_its_limit_says_so(system: System, pages: Pages) -> None:
    a_busy_quay(system)
    assert "Waiting for limit &#39;harbour&#39; (2 of 2) for " in pages.text("/runs/harbour-cleo")
    assert "limit" not in shown(pages.text("/runs/harbour-ada")).replace("Limits", "")


def test_a_run_whose_key_cannot_be_known_waits_for_its_turn(system: System, pages: Pages) -> None:
    starting.start(system.world, "odd-ship", stays_in_the_odd_harbour, {"ship": "no name"})
    assert "Waiting for its first turn" in pages.text("/runs/odd-ship")


def test_a_workflow_is_paused_and_unpaused(system: System, pages: Pages, open_pages: Callable[..., Pages]) -> None:
    asked = {".name": "stays_in_the_harbour", "reason": "a <b>storm</b>"}
    assert "is paused" in pages.follow(pages.send("/workflows/pause", asked, page="/limits"))
    start(system, "harbour-ada", stays_in_the_harbour)
    assert system.world.read_run("harbour-ada").status == "paused"
    text = pages.text("/limits")
    assert "<code>stays_in_the_harbour</code>" in text and "a &lt;b&gt;storm&lt;/b&gt;" in text
    assert "Unpause" not in open_pages(read_only=True).text("/limits")
    said = pages.follow(pages.send("/workflows/unpause", {".name": "stays_in_the_harbour"}, page="/limits"))
    assert "Waiting runs that continue: 1." in said and "<code>stays_in_the_harbour</code>" not in said
    system.settle()
    assert system.world.read_run("harbour-ada").status == "running"
    assert pages.send("/workflows/stop", {".name": "w"}, page="/limits").status == 422
