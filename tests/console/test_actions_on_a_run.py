"""What can be done with a run: each action says what it did, and may be sent twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.console.conftest import Pages
from tests.support.systems import System, finish, start
from worldflow import RetryPolicy, create_hook, on_update, publish, sleep, step, wait_for_signal, workflow

BROKEN = {"broken": True}


@step(retry=RetryPolicy(max_attempts=1))
async def console_breaks() -> str:
    if BROKEN["broken"]:
        raise ValueError("broken <b>bold</b>")
    return "mended"


@workflow
async def console_failing() -> str:
    return await console_breaks()


@workflow
async def console_sleeps() -> None:
    await sleep("10d")


@workflow
async def console_divides(by: int) -> int:
    return 12 // by


def heard_of(heard: list[Any]) -> Callable[[str], int]:
    def count(what: str) -> int:
        return heard.count(what)

    return count


@workflow(signals={"approval": bool, "amount": int})
async def console_acted_on() -> list[Any]:
    heard: list[Any] = []

    @on_update("add")
    def add(what: str, times: int = 1) -> int:
        heard.extend([what] * times)
        return len(heard)

    publish("heard", lambda: list(heard))
    publish("count", heard_of(heard))
    with create_hook(int) as hook:
        heard.append(await wait_for_signal("approval"))
        heard.append(await hook)
    return heard


@pytest.fixture
def run(system: System) -> str:
    start(system, "acted", console_acted_on)
    return "/runs/acted"


def test_a_signal_is_sent_by_the_form_of_its_type(system: System, pages: Pages, run: str) -> None:
    assert "Send signal approval" in pages.text(run)
    done = pages.send(f"{run}/signal", {".name": "approval", "value": "true", ".action_id": "one"}, page=run)
    assert "Sent signal approval." in pages.follow(done)
    system.settle()
    assert "waiting for hook h1" in pages.text(run).casefold()


def test_a_form_that_is_sent_twice_is_done_once(system: System, pages: Pages, run: str) -> None:
    for _ in range(2):
        pages.send(f"{run}/signal", {".name": "approval", "value": "true", ".action_id": "one"}, page=run)
        system.settle()
    received = [event for event in system.world.read_events("acted") if event.event_type == "SignalReceived"]
    assert len(received) == 1


def test_what_is_wrong_stands_beside_the_field(pages: Pages, run: str) -> None:
    answer = pages.send(f"{run}/signal", {".name": "amount", "value": "many"}, page=run)
    assert answer.status == 422
    field = answer.text.partition('id="signal-amount-value"')[2].partition("</div>")[0]
    assert 'value="many"' in field and 'aria-invalid="true"' in field and "must be a number" in field


def test_a_value_of_another_type_is_refused_by_the_workflow(pages: Pages, run: str) -> None:
    answer = pages.send(f"{run}/signal", {".name": "amount", "value": "1.5"}, page=run)
    assert answer.status == 422 and "valid integer" in answer.text


def test_any_signal_can_be_sent_as_json(system: System, pages: Pages, run: str) -> None:
    pages.follow(pages.send(f"{run}/signal", {".name": "other", "value": '{"a": [1]}'}, page=run))
    system.settle()
    (event,) = [event for event in system.world.read_events("acted") if event.event_type == "SignalReceived"]
    assert event.payload["value"] == {"a": [1]}


def test_an_update_has_the_fields_of_its_handler(system: System, pages: Pages, run: str) -> None:
    page = pages.text(run)
    assert "Send update add" in page and 'id="update-add-times"' in page


def test_a_query_has_the_fields_of_its_function(pages: Pages, run: str) -> None:
    page = pages.text(run)
    assert "Send query count" in page and 'id="query-count-what"' in page and "<h3>count</h3>" not in page
    done = pages.send(f"{run}/query", {".name": "count", "what": "tea"}, page=run)
    assert "Query count answered 0." in pages.follow(done)
    assert pages.send(f"{run}/query", {".name": "price"}, page=run).status == 422


def test_a_hook_is_answered(system: System, pages: Pages, run: str) -> None:
    token = pages.text(run).partition('<option value="')[2].partition('"')[0]
    assert "Sent the value to hook h1." in pages.follow(
        pages.send(f"{run}/hook", {"hook": token, "value": "7"}, page=run)
    )
    pages.send(f"{run}/signal", {".name": "approval", "value": "true"}, page=run)
    assert finish(system, "acted").result == [True, 7]


def test_a_hook_is_failed(system: System, pages: Pages, run: str) -> None:
    token = pages.text(run).partition('<option value="')[2].partition('"')[0]
    pages.send(f"{run}/signal", {".name": "approval", "value": "true"}, page=run)
    done = pages.send(f"{run}/fail_hook", {"hook": token, "error": "out of paper"}, page=run)
    assert "Sent the failure to hook h1." in pages.follow(done)
    assert finish(system, "acted").status == "failed"


def test_what_the_workflow_publishes_is_shown(pages: Pages, run: str) -> None:
    assert "<h3>heard</h3>" in pages.text(run)


def test_a_run_is_cancelled_with_a_reason(system: System, pages: Pages, run: str) -> None:
    pages.follow(pages.send(f"{run}/cancel", {"reason": "not needed"}, page=run))
    assert finish(system, "acted").reason == "not needed"
    assert "Cancelled after" in pages.text(run)


def test_a_run_is_terminated(system: System, pages: Pages, run: str) -> None:
    pages.follow(pages.send(f"{run}/terminate", page=run))
    assert finish(system, "acted").status == "cancelled"


def test_an_action_on_a_run_that_has_ended_is_refused(system: System, pages: Pages, run: str) -> None:
    pages.send(f"{run}/terminate", page=run)
    system.settle()
    answer = pages.send(f"{run}/cancel", page=run)
    assert answer.status == 422 and "cancelled" in answer.text


def test_a_failed_run_is_retried(system: System, pages: Pages) -> None:
    BROKEN["broken"] = True
    start(system, "failing", console_failing)
    page = pages.text("/runs/failing")
    assert "Failed after" in page and "broken &lt;b&gt;bold&lt;/b&gt;" in page and "<b>bold" not in page
    BROKEN["broken"] = False
    done = pages.send("/runs/failing/retry", page="/runs/failing")
    assert done.headers["Location"].startswith("/runs/failing~2")
    assert finish(system, "failing~2").result == "mended"
    assert "Retries from the point of failure as failing~2." in pages.follow(done)


def test_a_run_is_forked_at_an_event(system: System, pages: Pages, run: str) -> None:
    done = pages.send(f"{run}/fork", {"after": "1", "new_run_id": "other"}, page=run)
    assert "Forked after event 1 as other." in pages.follow(done)
    system.settle()
    page = pages.text("/runs/other")
    assert 'href="/runs/acted"' in page and "/compare?a=acted&amp;b=other" in page


def test_a_fork_at_no_event_is_refused(pages: Pages, run: str) -> None:
    for after in ("x", "99"):
        assert pages.send(f"{run}/fork", {"after": after}, page=run).status == 422


def test_a_fork_has_another_value_of_an_event(system: System, pages: Pages) -> None:
    BROKEN["broken"] = False
    start(system, "good", console_failing)
    page = pages.text("/runs/good/history")
    assert "Fork with another value of the result of console_breaks (s1)" in page and "&#34;mended&#34;" in page
    done = pages.send("/runs/good/fork", {"after": "3", "edit": '"better"', "new_run_id": "edited"})
    assert "Forked with another value in event 3 as edited." in pages.follow(done)
    assert finish(system, "edited").result == "better"
    wrong = pages.send("/runs/good/fork", {"after": "3", "edit": "not json", "new_run_id": "other"})
    assert wrong.status == 422 and "must be JSON" in wrong.text


def test_a_failed_run_is_retried_with_another_input(system: System, pages: Pages) -> None:
    start(system, "typo", console_divides, by=0)
    page = pages.text("/runs/typo")
    assert "Retry with another input" in page and 'id="rerun-by" name="by" value="0"' in page
    wrong = pages.send("/runs/typo/rerun", {"by": "none"}, page="/runs/typo")
    assert wrong.status == 422 and "must be a number" in wrong.text.partition('id="rerun-by"')[2]
    done = pages.send("/runs/typo/rerun", {"by": "4"}, page="/runs/typo")
    assert "with this input, as typo~2" in pages.follow(done)
    assert finish(system, "typo~2").result == 3


def test_the_run_of_a_hook_is_found_by_its_token(system: System, pages: Pages, run: str) -> None:
    token = pages.text(run).partition('<option value="')[2].partition('"')[0]
    assert "This run holds the token, as hook h1." in pages.follow(pages.get("/hooks", token=token))
    assert pages.get("/hooks", token="nobody").status == 404


def test_an_action_that_does_not_exist_is_refused(pages: Pages, run: str) -> None:
    assert pages.send(f"{run}/destroy", page=run).status == 422


def test_a_run_that_does_not_exist_is_said_so(pages: Pages) -> None:
    assert pages.get("/runs/nobody").status == 404
    assert pages.send("/runs/nobody/cancel", page="/start?workflow=any").status == 404


def test_a_sleep_is_ended(system: System, pages: Pages) -> None:
    start(system, "asleep", console_sleeps)
    assert "t1, sleep until " in pages.text("/runs/asleep")
    done = pages.send("/runs/asleep/wake", {"timer": ""}, page="/runs/asleep")
    assert "Woke 1 timer." in pages.follow(done)
    assert finish(system, "asleep").status == "completed"


def test_a_run_is_paused_and_continues(system: System, pages: Pages, run: str) -> None:
    pages.follow(pages.send(f"{run}/pause", {"reason": "an incident"}, page=run))
    system.settle()
    assert "by the console: an incident" in pages.text(run)
    pages.send(f"{run}/unpause", page=run)
    system.settle()
    assert "by the console" not in pages.text(run)
