"""The pages of a run: its history, its code, its family, its cost."""

from __future__ import annotations

import pytest

from tests.console.conftest import Pages
from tests.support.systems import System, start
from worldflow import step, wait_for_signal, workflow
from worldflow.console import viewing
from worldflow.runtime import starting


@step
async def console_work(number: int) -> str:
    return f"made {number}"


@workflow
async def console_child(number: int) -> str:
    return await console_work(number)


@workflow
async def console_parent() -> str:
    first = await console_child(1)
    await wait_for_signal("next")
    return first


@pytest.fixture
def parent(system: System) -> str:
    start(system, "parent", console_parent)
    return "/runs/parent"


def test_the_headers_of_a_run(system: System, pages: Pages) -> None:
    starting.start(system.world, "r", console_child, {"number": 1}, headers={"tenant": "<acme>"})
    assert "tenant=&lt;acme&gt;" in pages.text("/runs/r")


def test_the_history_is_told_in_words_with_its_data(pages: Pages, parent: str) -> None:
    page = pages.text(f"{parent}/history")
    assert "run of console_parent started" in page
    assert "child console_child (c1) completed" in page
    assert "made 1" in page


def test_the_history_is_searched(pages: Pages, parent: str) -> None:
    page = pages.text(f"{parent}/history", q="CHILDSTARTED")
    assert page.count('<li id="event-') == 1 and "started as" in page
    assert "No event matches" in pages.text(f"{parent}/history", q="nothing like it")


def test_a_long_history_has_pages(system: System, pages: Pages) -> None:
    @workflow
    async def console_long() -> None:
        for number in range(150):
            await console_work(number)

    start(system, "long", console_long)
    page = pages.text("/runs/long/history")
    assert page.count('<li id="event-') == 200 and 'href="?after=200' in page
    assert pages.text("/runs/long/history", after="200").count('<li id="event-') == 102


def test_the_code_shows_the_line_at_which_a_task_waits(pages: Pages, parent: str) -> None:
    page = pages.text(f"{parent}/code")
    here = page.partition('class="here"')[2].partition("</span>")[0]
    assert "await wait_for_signal(&#34;next&#34;)" in here
    assert "wait_for_signal(&#39;next&#39;)" in page


def test_the_position_moves_from_event_to_event(pages: Pages, parent: str) -> None:
    page = pages.text(f"{parent}/code", at="1")
    here = page.partition('class="here"')[2].partition("</span>")[0]
    assert "await console_child(1)" in here and 'rel="next"' in page


def test_code_that_is_not_here_is_said_so(system: System, pages: Pages, parent: str) -> None:
    from worldflow.engine.workflow import definitions

    definitions._workflows._versions.pop("console_parent")
    assert "Name its module with --workflows" in pages.text(f"{parent}/code")
    assert "Waiting for a signal" in pages.text(parent)


def test_the_family_leads_up_and_down(system: System, pages: Pages, parent: str) -> None:
    (child,) = [span.child_run_id for span in viewing.view(system.world, "parent").spans if span.kind == "child"]
    assert f'href="/runs/{child}"' in pages.text(f"{parent}/family")
    page = pages.text(f"/runs/{child}/family")
    assert 'href="/runs/parent"' in page and 'aria-current="true">' + str(child) in page


def test_what_it_costs(pages: Pages, parent: str) -> None:
    assert "a million like it $" in pages.text(f"{parent}/cost")


def test_the_timeline_can_be_narrowed(system: System, pages: Pages, parent: str) -> None:
    begin = system.world.read_events("parent")[0].at.timestamp()
    page = pages.text(parent, zoom=f"{begin}-{begin + 0.5}")
    assert "Whole run" in page
    assert "Whole run" not in pages.text(parent, zoom="5-3")


def test_a_large_value_is_read_when_it_is_asked_for(
    system: System, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    @workflow
    async def console_large(text: str) -> None:
        await wait_for_signal("go")

    monkeypatch.setattr(viewing, "LARGE", 100_000)
    start(system, "large", console_large, text="x" * 200_000)
    assert "xxxx" not in pages.text("/runs/large")
    page = pages.text("/runs/large/history")
    assert "xxxxx" not in page and 'href="/runs/large/events/1"' in page
    assert pages.get("/runs/large/events/1").body["payload"]["input"] == {"text": "x" * 200_000}
    assert pages.get("/runs/large/values/input").body == {"text": "x" * 200_000}


def test_two_runs_side_by_side(system: System, pages: Pages, parent: str) -> None:
    start(system, "same", console_parent)
    assert "Both went the same way." in pages.text("/compare", a="parent", b="same")
    starting.fork(system.world, "parent", "other", after=1)
    system.settle()
    assert "Both went the same way." in pages.text("/compare", a="parent", b="other")
    start(system, "child", console_child, number=1)
    starting.fork(system.world, "child", "edited", edit={3: "made 9"})
    system.settle()
    page = pages.text("/compare", a="child", b="edited")
    assert "They part at line 3." in page and "made 9" in page
    assert pages.get("/compare", a="parent", b="none").status == 404
