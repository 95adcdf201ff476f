"""The list: what its address filters, its pages, its order, its counts."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests.console.conftest import Pages
from tests.support.systems import System, start
from worldflow import set_attributes, wait_for_signal, workflow
from worldflow.console import listing
from worldflow.worlds import LocalWorld
from worldflow.worlds.records import RunPage


@workflow
async def console_listed(customer: str, waits: bool = False) -> str:
    set_attributes(customer=customer)
    if waits:
        await wait_for_signal("go")
    return customer


def shown(page: str) -> list[str]:
    return re.findall(r'class="id" href="/runs/([^"]+)"', page)


@pytest.fixture
def runs(system: System) -> None:
    for number in range(6):
        start(system, f"run-{number}", console_listed, customer=f"c{number % 2}", waits=number >= 4)
        system.clock.forward(system.clock.now() + timedelta(minutes=1))


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [5, 4, 3, 2, 1, 0]),
        ({"status": "running"}, [5, 4]),
        ({"workflow": "console_listed", "status": "completed"}, [3, 2, 1, 0]),
        ({"workflow": "other"}, []),
        ({"attributes": "customer=c1"}, [5, 3, 1]),
        ({"attributes": 'customer="c1"', "status": "running"}, [5]),
        ({"prefix": "run-3"}, [3]),
        ({"prefix": "run"}, [5, 4, 3, 2, 1, 0]),
        ({"prefix": "ru-"}, []),
        ({"prefix": "run-3", "status": "running"}, []),
        ({"prefix": "run-3", "workflow": "other"}, []),
        ({"prefix": "run-3", "attributes": "customer=c0"}, []),
        ({"prefix": "run-3", "attributes": "customer=c1"}, [3]),
        ({"where": "attribute.customer=c1 id=run-*", "status": "running"}, [5]),
        ({"where": "started>1w text~nothing"}, []),
        ({"where": "parent=run-3", "prefix": "run-3"}, []),
        ({"sort": "run"}, [0, 1, 2, 3, 4, 5]),
        ({"sort": "-status"}, [5, 4, 3, 2, 1, 0]),
    ],
)
def test_the_address_says_which_runs_are_shown(pages: Pages, query: dict[str, str], expected: list[int]) -> None:
    assert shown(pages.text("/", **query)) == [f"run-{number}" for number in expected]


def test_the_run_whose_id_is_typed_comes_before_those_whose_ids_begin_with_it(system: System, pages: Pages) -> None:
    for run_id in ("order", "order-2", "order-3"):
        start(system, run_id, console_listed, customer="c1")
    assert shown(pages.text("/", prefix="order")) == ["order", "order-3", "order-2"]


def test_runs_are_sorted_by_the_time_that_is_shown(system: System, pages: Pages) -> None:
    start(system, "waits", console_listed, customer="c1", waits=True)
    start(system, "over", console_listed, customer="c1")
    system.clock.forward(system.clock.now() + timedelta(hours=1))
    assert shown(pages.text("/", sort="-took")) == ["waits", "over"]


@pytest.mark.usefixtures("runs")
def test_a_range_of_time(system: System, pages: Pages) -> None:
    begun = [system.world.read_run(f"run-{number}").created_at for number in range(6)]
    between = {"since": begun[1].isoformat(), "until": (begun[4] + timedelta(seconds=1)).isoformat()}
    assert shown(pages.text("/", **between)) == ["run-4", "run-3", "run-2", "run-1"]
    assert shown(pages.text("/", since=begun[5].isoformat())) == ["run-5"]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"status": "done"}, "is not a status"),
        ({"attributes": "customer"}, "NAME=VALUE"),
        ({"since": "yesterday"}, "must be like 2026-"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"where": "status=done"}, "position 1: &#39;done&#39; is not a status"),
        ({"where": "status=failed", "status": "failed"}, "in a field of its own and in the search"),
    ],
)
def test_an_address_that_is_wrong_is_answered_with_why(pages: Pages, query: dict[str, str], problem: str) -> None:
    answer = pages.get("/", **query)
    assert answer.status == 422 and problem in answer.text


@pytest.mark.usefixtures("runs")
def test_pages_follow_each_other(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 4)
    page = pages.text("/")
    assert shown(page) == ["run-5", "run-4", "run-3", "run-2"]
    (cursor,) = re.findall(r'href="\?cursor=([^"]+)" rel="next"', page)
    from urllib.parse import unquote_plus

    assert shown(pages.text("/", cursor=unquote_plus(cursor))) == ["run-1", "run-0"]


@pytest.mark.usefixtures("runs")
def test_a_search_that_goes_too_far_stops_and_can_go_on(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_yet = RunPage([], "2026-01-15T12:00:00.000000+00:00#run-3")
    monkeypatch.setattr(LocalWorld, "list_runs", lambda world, **_: nothing_yet)  # as on AWS, where matches are rare
    page = pages.text("/", prefix="run-0x")
    assert "in the part that was searched" in page and "Search further" in page


@pytest.mark.usefixtures("runs")
def test_how_many_there_are_of_each_status(pages: Pages) -> None:
    counts = re.findall(r'class="status (\w+)">\w+</span> <b>(\d+)<', pages.text("/counts"))
    others = dict.fromkeys(("failed", "cancelled", "continued", "blocked", "paused"), "0")
    assert dict(counts) == {"running": "2", "completed": "4"} | others


def test_an_empty_list_says_what_to_do(pages: Pages) -> None:
    assert "Start one with the form" in pages.text("/")
    assert "No run matches" in pages.text("/", status="failed")
