"""GET /streams/{token}: what a signed URL lets its holder read, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.aws import WEBHOOK_URL
from tests.support.streams import tells
from tests.support.systems import AWSSystem, start
from worldflow import clock
from worldflow.runtime.stream_urls import sign_reader, stream_url
from worldflow.turns.webhook_tokens import WebhooksOf


@pytest.fixture
def url(aws: AWSSystem) -> str:
    """Of the stream `told` of the run `r`, which waits."""
    start(aws, "r", tells, values=["a", "b"], waits=True)
    return stream_url(aws.world, "r", "told", "1h")


def test_it_reads_the_stream(api: Api, url: str) -> None:
    answer = api.signed_stream(url, query=[("after", "1")])
    assert answer.status == 200
    assert answer.body == {
        "items": [{"offset": 2, "value": "b", "step_id": "s1", "attempt": 1}],
        "next": 2,
        "ended": False,
    }


def test_a_browser_reads_events(api: Api, url: str) -> None:
    answer = api.signed_stream(url, headers={"Accept": "text/event-stream", "Last-Event-ID": "1"})
    assert answer.text == 'retry: 250\n\nid: 2\ndata: {"offset":2,"value":"b","step_id":"s1","attempt":1}\n\n'
    assert answer.headers["Content-Type"] == "text/event-stream"


@pytest.mark.parametrize("headers", [{}, {"Accept": "text/event-stream", "Last-Event-ID": "1"}])
def test_a_page_of_any_origin_may_read_it(api: Api, url: str, headers: dict[str, str]) -> None:
    for asked in (url, f"{url}x"):
        answer = api.signed_stream(asked, headers=headers)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


def test_a_script_that_sends_headers_of_its_own_asks_before(api: Api, url: str) -> None:
    answer = api.signed_stream(url, "OPTIONS", headers={"Access-Control-Request-Headers": "last-event-id"})
    assert (answer.status, answer.data) == (204, b"")
    assert answer.headers["access-control-allow-methods"] == "GET"
    assert answer.headers["access-control-allow-headers"] == "*"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD"])
def test_it_only_reads(api: Api, url: str, method: str) -> None:
    answer = api.signed_stream(url, method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, OPTIONS")


@pytest.mark.parametrize("change", [lambda token: f"{token}x", lambda token: token.upper(), lambda token: "x"])
def test_a_forged_one_is_refused(api: Api, url: str, change: Any) -> None:
    base, _, token = url.rpartition("/")
    answer = api.signed_stream(f"{base}/{change(token)}")
    assert (answer.status, answer.error["type"]) == (404, "StreamUrlError")


def test_the_token_of_a_webhook_is_none(api: Api, aws: AWSSystem, url: str) -> None:
    token = WebhooksOf(aws.world).token("r", "told", aws.world.now() + timedelta(hours=1))
    assert api.signed_stream(f"{url.rpartition('/')[0]}/{token}").status == 404


def test_nor_is_its_own_a_webhook(api: Api, url: str) -> None:
    assert api.webhook(f"{WEBHOOK_URL}/{url.rpartition('/')[2]}").status == 404


def test_it_expires(api: Api, aws: AWSSystem, url: str) -> None:
    (key, *_), now = aws.world.webhooks.keys(), clock.now()
    soon, past = (sign_reader(key, "r", "told", now + timedelta(minutes=minutes)) for minutes in (1, -1))
    base = url.rpartition("/")[0]
    assert api.signed_stream(f"{base}/{soon}").status == 200
    answer = api.signed_stream(f"{base}/{past}")
    assert (answer.status, answer.error["type"]) == (410, "StreamUrlError")
    assert "expired" in answer.error["message"]


def test_a_forged_one_is_refused_without_a_look_up(api: Api, aws: AWSSystem, url: str) -> None:
    api.signed_stream(f"{url}x")  # which has the key read
    aws.stack.requests.clear()
    api.signed_stream(f"{url}x")
    assert not [request for request in aws.stack.requests if request.startswith("dynamodb")]


def test_its_run_may_be_gone(api: Api, aws: AWSSystem) -> None:
    answer = api.signed_stream(stream_url(aws.world, "nobody", "told"))
    assert (answer.status, answer.error["type"]) == (404, "RunNotFoundError")


def test_what_it_reads_is_not_for_the_request_to_say(api: Api, aws: AWSSystem, url: str) -> None:
    answer = api.signed_stream(url, query=[("run_id", "other"), ("name", "progress"), ("after", "1")])
    assert [item["value"] for item in answer.body["items"]] == ["b"]
