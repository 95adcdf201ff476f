"""Events that API Gateway might make of anything: each gets an answer of the API, and never an exception."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.api import Answer, Api
from tests.support.aws import deployed
from tests.support.lambdas import api_module, http_event
from tests.support.outside import fuzz, outside, texts
from tests.support.systems import aws_system
from worldflow.runtime import starting
from worldflow.turns import webhook_tokens

LATER = datetime(2100, 1, 1, tzinfo=UTC)
BODIES: list[Any] = [
    {"workflow": "hello", "input": {"name": "Ada"}, "run_id": "r", "if_running": "fail", "reuse": "reject"},
    {"workflow": "chain", "input": {"length": 1}, "signal": {"name": "go", "value": [1]}},
    {"args": [1, {"a": None}]},
    {"reason": "no stock"},
    {"start": "2026-01-01T00:00:00Z", "end": "0001-01-01T00:00:00+14:00"},
    {"run_id": "s", "after": 1},
    {"schedule_id": "s", "workflow": "chain", "input": {"length": 1}, "schedule": "rate(1 day)", "timezone": "UTC"},
    {"schedule": "cron(0 8 ? * MON-FRI *)", "timezone": "Europe/Berlin", "overlap": "allow", "paused": True},
]
PATHS = [
    ("POST", "/runs"),
    ("POST", "/runs/{}/signals/{}"),
    ("POST", "/runs/{}/updates/{}"),
    ("POST", "/runs/{}/cancel"),
    ("POST", "/runs/{}/fork"),
    ("POST", "/hooks/{}"),
    ("POST", "/schedules"),
    ("PATCH", "/schedules/{}"),
    ("POST", "/schedules/{}/trigger"),
    ("POST", "/schedules/{}/backfill"),
    ("GET", "/runs"),
    ("GET", "/runs/{}"),
    ("GET", "/runs/{}/events"),
    ("GET", "/runs/{}/queries/{}"),
    ("GET", "/schedules"),
    ("GET", "/hooks/{}"),
]
names = st.sampled_from(["r", "s", "go", "r~2", "x" * 300, "x" * 301, "é" * 300]) | texts.filter(
    lambda text: len(text) < 3_000
)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with deployed() as stack, aws_system(stack) as aws, pytest.MonkeyPatch.context() as patch:
        patch.setattr(api_module("updates"), "PAUSES", ())
        starting.start(aws.world, "r", "hello", {})
        yield Api(stack, aws.world)


def is_told(answer: Answer) -> bool:
    """Whether it is an answer, or a refusal that says why."""
    return answer.status < 300 or (400 <= answer.status < 500 and bool(answer.error["message"]))


@fuzz
@given(st.sampled_from(PATHS), st.lists(names, min_size=2, max_size=2), outside(BODIES), st.booleans(), texts)
def test_bodies_and_paths(
    api: Api, route: tuple[str, str], parts: list[str], body: bytes, encoded: bool, key: str
) -> None:
    method, path = route
    try:
        text = body.decode()
    except UnicodeDecodeError:
        encoded, text = True, ""
    event = http_event(method, path.format(*parts), body if encoded else text, headers={"Idempotency-Key": key[:100]})
    assert is_told(api.send(event))


LISTS = ["/runs", "/runs/r/events", "/schedules"]
numbers = st.integers().map(str) | texts


@fuzz
@given(
    st.sampled_from(LISTS),
    st.dictionaries(
        st.sampled_from(["status", "workflow", "limit", "after", "attribute.a", "attribute.", "attribute"]) | texts,
        numbers | st.just("running"),
        max_size=3,
    ),
    st.none() | texts | st.builds("{}#{}".format, st.datetimes() | texts, texts),
)
def test_queries(api: Api, path: str, query: dict[str, str], cursor: str | None) -> None:
    event = http_event("GET", path)
    event["queryStringParameters"] = {**query, **({} if cursor is None else {"cursor": cursor})}
    assert is_told(api.send(event))


@fuzz
@given(st.data())
def test_webhooks(api: Api, data: st.DataObject) -> None:
    genuine = webhook_tokens.WebhooksOf(api.world).token("r", "h1", LATER)
    token = data.draw(texts | st.just(genuine) | texts.map(lambda text: f"{genuine}{text}"), "token")
    event = http_event("POST", "/webhooks/x", data.draw(st.none() | st.binary(), "bytes"))
    if text := data.draw(texts, "text"):
        event |= {"body": text, "isBase64Encoded": False}
    event |= {"routeKey": "ANY /webhooks/{token}", "pathParameters": {"token": token}}
    event["headers"] = data.draw(st.none() | st.dictionaries(texts, texts, max_size=2), "headers")
    event["queryStringParameters"] = data.draw(st.none() | st.dictionaries(texts, texts, max_size=2), "query")
    event["cookies"] = data.draw(st.lists(texts, max_size=2), "cookies")
    for name in ("headers", "queryStringParameters", "cookies"):
        if not event[name]:
            del event[name]
    assert api.send(event).status in (400, 404, 410, 413)


def test_an_event_without_what_may_be_missing(api: Api) -> None:
    event = http_event("POST", "/runs")
    for name in ("headers", "rawQueryString", "isBase64Encoded"):
        del event[name]
    assert api.send(event).status == 422
