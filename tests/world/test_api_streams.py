"""GET /runs/{run_id}/streams, GET /runs/{run_id}/streams/{name}."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support import workflows
from tests.support.api import Answer, Api
from tests.support.event_source import EventSource, Message, Parser, Response, values
from tests.support.lambdas import api_module
from tests.support.streams import tells
from tests.support.systems import AWSSystem, finish, signal, start
from worldflow.runtime import starting

PATH = "/runs/r/streams/told"


def items(answer: Answer) -> list[tuple[int, Any]]:
    return [(item["offset"], item["value"]) for item in answer.body["items"]]


def events(answer: Answer) -> list[Message]:
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "text/event-stream"
    return list(Parser().feed(answer.text))


def read(api: Api, last_id: str | None = None, *query: tuple[str, str]) -> Answer:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id is not None else {})
    return api("GET", PATH, headers=headers, query=query)


def test_the_streams_of_a_run_are_listed(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", tells, values=["a"], waits=True)
    start(aws, "none", workflows.chain, length=1)

    assert api.get("/runs/r/streams").body == {"streams": ["progress", "told"]}
    assert api.get("/runs/none/streams").body == {"streams": []}


def test_a_page_has_the_items_after_an_offset(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", tells, values=["a", {"b": [1]}, None], waits=True)

    answer = api.get(PATH)
    assert answer.body == {
        "items": [
            {"offset": 1, "value": "a", "step_id": "s1", "attempt": 1},
            {"offset": 2, "value": {"b": [1]}, "step_id": "s1", "attempt": 1},
            {"offset": 3, "value": None, "step_id": "s1", "attempt": 1},
        ],
        "next": 3,
        "ended": False,
    }
    assert answer.headers["cache-control"] == "no-store"
    assert items(api.get(PATH, ("after", "2"))) == [(3, None)]
    assert api.get(PATH, ("after", "3")).body == {"items": [], "next": 3, "ended": False}


def test_what_the_workflow_writes_is_of_no_step(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", tells, values=[], waits=True)

    (item,) = api.get("/runs/r/streams/progress").body["items"]
    assert item == {"offset": 1, "value": "begun", "step_id": None, "attempt": None}


def test_the_end_of_the_run_ends_its_streams(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", tells, values=["a"], waits=True)
    signal(aws, "r", "go")
    finish(aws, "r")

    assert items(api.get(PATH)) == [(1, "a")]
    assert api.get(PATH, ("after", "1")).body == {"items": [], "next": 1, "ended": True}


def test_a_later_attempt_begins_with_a_reset(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", tells, values=["a", "b", "c"], fail_after=2)
    finish(aws, "r")

    page = api.get(PATH).body
    assert page["items"][2] == {"offset": 3, "reset": True, "step_id": "s1", "attempt": 2, "since": 1}
    assert [item["attempt"] for item in page["items"]] == [1, 1, 2, 2, 2, 2]
    assert [message.kind for message in events(read(api))] == [*["message"] * 2, "reset", *["message"] * 3]


@pytest.mark.parametrize("path", ["/runs/nobody/streams", "/runs/nobody/streams/told"])
def test_there_may_be_no_such_run(api: Api, path: str) -> None:
    answer = api.get(path)
    assert (answer.status, answer.error["type"], answer.fields) == (404, "RunNotFoundError", ["run_id"])


def test_a_stream_that_nobody_has_written_to_is_empty(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", tells, values=["a"], waits=True)
    assert api.get("/runs/r/streams/other").body == {"items": [], "next": 0, "ended": False}


@pytest.mark.parametrize(
    ("name", "value"), [("after", "-1"), ("after", "x"), ("wait", "2.5"), ("wait", "-1"), ("wait", "nan")]
)
def test_what_is_no_offset_or_time_is_refused(api: Api, aws: AWSSystem, name: str, value: str) -> None:
    start(aws, "r", tells, values=["a"], waits=True)
    answer = api.get(PATH, (name, value))
    assert (answer.status, answer.fields) == (422, [f"query.{name}"])


def test_a_name_that_no_stream_can_have_is_refused(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", tells, values=["a"], waits=True)
    assert api.get("/runs/r/streams/a%20b").status == 422


# --- waiting -------------------------------------------------------------------------------------------------------


def test_a_request_waits_for_the_first_item(api: Api, aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    starting.start(aws.world, "r", tells, {"values": ["a"], "waits": True})
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            aws.settle()

    monkeypatch.setattr(api_module("streams"), "time", SimpleNamespace(sleep=sleep))
    assert items(api.get(PATH)) == []
    assert slept == []
    assert items(api.get(PATH, ("wait", "2"))) == [(1, "a")]
    assert len(slept) == 3


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_it_waits_for_two_seconds_at_most(
    api: Api, aws: AWSSystem, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    start(aws, "r", tells, values=["a"], waits=True)
    slept: list[float] = []
    monkeypatch.setattr(api_module("streams"), "time", SimpleNamespace(sleep=slept.append))
    answer = api("GET", PATH, headers={"Accept": accept}, query=[("after", "1"), ("wait", "2")])
    assert answer.status == 200
    assert sum(slept) == pytest.approx(2)
    assert len(slept) < 12


# --- Server-Sent Events --------------------------------------------------------------------------------------------


def test_events_are_a_short_and_complete_answer(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", tells, values=["a", "two\nlines"], waits=True)

    answer = read(api)
    assert answer.text == (
        "retry: 250\n\n"
        'id: 1\ndata: {"offset":1,"value":"a","step_id":"s1","attempt":1}\n\n'
        'id: 2\ndata: {"offset":2,"value":"two\\nlines","step_id":"s1","attempt":1}\n\n'
    )
    assert answer.headers["cache-control"] == "no-store"


def test_a_browser_that_comes_back_gets_what_it_has_not_seen(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", tells, values=["a", "b", "c"], waits=True)

    assert [message.data["value"] for message in events(read(api, "1"))] == ["b", "c"]
    assert [message.data["value"] for message in events(read(api, "2", ("after", "1")))] == ["c"]
    assert [message.data["value"] for message in events(read(api, None, ("after", "1")))] == ["b", "c"]


def test_a_comment_says_that_nothing_has_come(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", tells, values=["a"], waits=True)

    assert read(api, "1", ("wait", "0")).text == "retry: 250\n\n: nothing new\n\n"


def test_after_the_end_a_browser_does_not_come_back(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", tells, values=["a", "b"])
    finish(aws, "r")

    def fetch(last_id: str) -> Response:
        answer = read(api, last_id)
        return Response(answer.status, answer.text)

    browser = EventSource(fetch)
    seen = list(browser)
    assert (values(seen), browser.responses) == (["a", "b"], 3)
    assert seen[-1] == Message("end", "2-end", {"next": 2, "ended": True})
    assert events(read(api, "2")) == [seen[-1]]


def test_an_id_that_no_event_has_is_refused(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", tells, values=["a"], waits=True)
    answer = read(api, "yesterday")
    assert (answer.status, answer.fields) == (422, ["Last-Event-ID"])


def test_a_page_has_as_much_as_an_answer_carries(api: Api, aws: AWSSystem) -> None:
    written = [letter * 390_000 for letter in "abcdefghijkl"]
    start(aws, "r", tells, values=written, waits=True)

    seen: list[str] = []
    after, pages = 0, 0
    while len(seen) < 12:
        answer = api.get(PATH, ("after", str(after)))
        assert answer.body["items"]
        assert len(answer.data) < 2_000_000
        seen += [value for _, value in items(answer)]
        after, pages = answer.body["next"], pages + 1
    assert (seen, pages > 1) == (written, True)
