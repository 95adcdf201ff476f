"""Whatever is in an address, a form or a run, there is a page that says what is wrong."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from urllib.parse import quote

import pytest

from tests.console.conftest import HOST, Pages
from tests.support.systems import System, start
from worldflow import RetryPolicy, open_stream, step, wait_for_signal, workflow
from worldflow.console.base import in_thread


@step(retry=RetryPolicy(max_attempts=1))
async def console_odd_step(messages: Any) -> Any:
    async with open_stream("odd") as out:
        await out.write({"event_kind": "part_start", "part": "no object"})
        await out.write({"event_kind": "part_delta", "delta": [1]})
    return messages


@workflow
async def console_odd(messages: Any) -> None:
    await console_odd_step(messages)
    await wait_for_signal("go")


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/?since=0001-01-01T00:00%2B23:00", 422),
        ("/?until=9999-12-31T23:59-23:00", 422),
        ("/?attributes=a%3D" + "[" * 3_000, 200),
        ("/?sort=-nothing", 200),
        ("/runs/odd/events/99999999999999999999999999", 404),
        ("/runs/odd/events/0", 404),
        ("/runs/odd?zoom=nan-inf", 200),
        ("/runs/" + "x" * 9_000, 404),
    ],
)
def test_an_odd_address_is_answered(system: System, pages: Pages, address: str, status: int) -> None:
    start(system, "odd", console_odd, messages=[])
    assert pages.get(address).status == status


@pytest.mark.parametrize(
    "messages",
    [
        [{"kind": "request", "parts": ["text"]}],
        [{"kind": "request", "parts": 5}],
        [{"kind": "request", "parts": [{"part_kind": ["user-prompt"], "content": 1}]}],
        [{"kind": ["request"], "parts": []}],
    ],
)
def test_data_that_only_looks_like_an_agents_is_shown(system: System, pages: Pages, messages: Any) -> None:
    start(system, "odd", console_odd, messages=messages)
    pages.text("/runs/odd/agents")
    assert "no object" in pages.text("/runs/odd/streams")


def test_the_number_of_an_event_may_not_be_endless(system: System, pages: Pages) -> None:
    start(system, "odd", console_odd, messages=[])
    answer = pages.send("/runs/odd/fork", {"after": "9" * 5_000}, page="/runs/odd")
    assert answer.status == 422 and "must be the number of an event" in answer.text


def test_a_token_of_other_letters_is_refused(pages: Pages) -> None:
    form = f".token={quote('é')}"
    assert pages.request("POST", "/runs/odd/cancel", form, headers={"Origin": f"http://{HOST}"}).status == 422


def test_the_head_of_a_stream_of_changes_ends(system: System, pages: Pages) -> None:
    start(system, "odd", console_odd, messages=[])
    assert pages.request("HEAD", "/runs/odd/live").status == 200


def test_a_stream_of_changes_ends_now_and_then(system: System, pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worldflow.console.run_pages._LONGEST", -1.0)
    start(system, "odd", console_odd, messages=[])
    first = pages.get("/runs/odd/live").text
    known = first.partition("id: ")[2].partition("\n")[0]
    assert known and "event:" not in first
    again = pages.request("GET", "/runs/odd/live", headers={"Last-Event-ID": known}).text
    assert "event:" not in again
    other = pages.request("GET", "/runs/odd/live", headers={"Last-Event-ID": "1 running then"}).text
    assert f"id: {known}\nevent: changed\n" in other


def test_a_run_that_is_gone_is_left_out_of_what_is_planned(system: System, pages: Pages) -> None:
    start(system, "odd", console_odd, messages=[])
    page = pages.send("/bulk", {"action": "cancel", "run": ["odd", "gone"]}).text
    assert "Cancel 1 runs" in page


def test_runs_whose_ids_begin_alike_are_forked_each(system: System, pages: Pages) -> None:
    ids = ["x" * 90 + "a", "x" * 90 + "b"]
    for run_id in ids:
        start(system, run_id, console_odd, messages=[])
    forks = {
        pages.send(f"/runs/{run_id}/fork", {"after": "1", ".action_id": "same"}).headers["Location"] for run_id in ids
    }
    assert len({location.partition("?")[0] for location in forks}) == 2


def test_an_action_that_is_sent_again_later_is_not_done_again(system: System, pages: Pages) -> None:
    start(system, "odd", console_odd, messages=[])
    for _ in range(2):
        done = pages.send("/runs/odd/cancel", {".action_id": "one"}, page="/runs/odd")
        assert "Requested cancellation" in pages.follow(done)
        system.settle()
    assert system.world.read_run("odd").status == "cancelled"


def test_an_action_that_failed_can_be_sent_again(system: System, pages: Pages) -> None:
    answer = pages.send("/runs/odd/cancel", {".action_id": "one"})
    assert answer.status == 404
    start(system, "odd", console_odd, messages=[])
    assert pages.send("/runs/odd/cancel", {".action_id": "one"}).status == 303


def test_an_action_that_is_sent_twice_at_once_is_done_once(system: System, pages: Pages) -> None:
    start(system, "odd", console_odd, messages=[])
    token = pages.get("/").text.partition('name=".token" value="')[2].partition('"')[0]
    headers = {"Host": HOST, "Origin": f"http://{HOST}"}
    body = f".token={token}&.action_id=one&after=1".encode()

    async def both() -> list[str]:
        sent = [pages.request._send("POST", "/runs/odd/fork", body, headers, "", False) for _ in range(2)]
        return [answer.headers["Location"].partition("?")[0] for answer in await asyncio.gather(*sent)]

    one, other = asyncio.run(both())
    assert one == other


def test_actions_that_wait_do_not_hold_up_the_pages() -> None:
    together = threading.Barrier(40)

    async def wait() -> None:
        await asyncio.gather(*(in_thread(together.wait, 20) for _ in range(40)))

    asyncio.run(wait())


def test_data_is_read_beside_the_event_loop(system: System, pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    start(system, "odd", console_odd, messages=["x" * 200_000])
    reads: list[str] = []
    get_payload = system.world.get_payload

    def noted(key: str) -> bytes:
        reads.append(threading.current_thread().name)
        return get_payload(key)

    monkeypatch.setattr(system.world, "get_payload", noted)
    for path in ("", "/history", "/agents", "/events/1", "/values/input", "/family", "/cost"):
        pages.text(f"/runs/odd{path}")
    assert reads and all(name.startswith("console") for name in reads)
