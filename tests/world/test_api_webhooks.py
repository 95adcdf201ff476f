"""ANY /webhooks/{token}: requests of any kind from all the world, for the run that made the webhook."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support import clock
from tests.support.api import Api
from tests.support.lambdas import http_event
from tests.support.systems import AWSSystem, finish, start, story
from tests.support.threads import replace_sleep
from worldflow import create_webhook, publish, wait_for_signal, workflow
from worldflow.runtime.webhooks import REQUEST_LIMIT
from worldflow.turns import webhook_tokens
from worldflow.worlds import items

BYTES = bytes(range(256))


@pytest.fixture
def url(api: Api, aws: AWSSystem) -> str:
    """The webhook of a run `r` that returns the one request that comes."""

    @workflow
    async def listens() -> dict[str, Any]:
        webhook = create_webhook()
        publish("url", webhook.url)
        request = await webhook
        return {
            "method": request.method,
            "headers": request.headers,
            "query": request.query,
            "body": request.body.hex(),
        }

    start(aws, "r", listens)
    return webhook_url(api, "r")


@pytest.fixture
def answering(api: Api, aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> str:
    """The webhook of a run `a` that answers. While the API waits, all else goes on."""

    @workflow
    async def answers() -> None:
        webhook = create_webhook(respond="workflow")
        publish("url", webhook.url)
        async for request in webhook:
            match request.text():
                case "bytes":
                    request.respond(200, BYTES, {"Content-Type": "image/png", "X-Kind": "picture"})
                case "large":
                    request.respond(201, "x" * 100_000)
                case "wait":
                    await wait_for_signal("go-on")
                    request.respond(202, "late")
                case "end":
                    return
                case text:
                    request.respond(418, {"echo": text})

    replace_sleep(monkeypatch, lambda _: aws.settle())
    start(aws, "a", answers)
    return webhook_url(api, "a")


def webhook_url(api: Api, run_id: str) -> str:
    url: str = api.get(f"/runs/{run_id}/queries/url").body["result"]
    return url


def requests_of(aws: AWSSystem, run_id: str) -> list[str]:
    return [kind for kind, _ in story(aws, run_id) if kind == "HookResumed"]


def test_the_workflow_gets_the_request_as_it_came(api: Api, aws: AWSSystem, url: str) -> None:
    answer = api.webhook(
        url,
        "PUT",
        BYTES,
        headers={"Content-Type": "image/png", "X-Signature": "abc"},
        query=[("from", "bank"), ("n", "1")],
        cookies=["a=1", "b=2"],
    )

    assert (answer.status, answer.text) == (202, "{}")
    assert answer.headers["content-type"] == "application/json"
    result = finish(aws, "r").result
    assert (result["method"], result["query"]) == ("PUT", {"from": "bank", "n": "1"})
    assert bytes.fromhex(result["body"]) == BYTES
    assert (
        result["headers"].items() >= {"content-type": "image/png", "x-signature": "abc", "cookie": "a=1; b=2"}.items()
    )


@pytest.mark.parametrize(
    "body",
    [None, "", "a=1&b=2", "{", '{"a": 1}', "[" * 300, "9" * 5_000, b"", b"\xff\xfe", "één 🙂"],
    ids=["none", "empty", "a form", "half a JSON", "JSON", "too deep", "a number", "no bytes", "no text", "letters"],
)
def test_any_body_will_do(api: Api, aws: AWSSystem, url: str, body: str | bytes | None) -> None:
    assert api.webhook(url, "POST", body).status == 202

    data = body if isinstance(body, bytes) else (body or "").encode()
    assert finish(aws, "r").result["body"] == data.hex()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
def test_any_method_will_do(api: Api, aws: AWSSystem, url: str, method: str) -> None:
    assert api.webhook(url, method).status == 202

    result = finish(aws, "r").result
    assert result["method"] == method
    assert "content-type" not in result["headers"]


def test_a_request_that_is_repeated_under_its_key_comes_once(api: Api, aws: AWSSystem, answering: str) -> None:
    first, second, other = (
        api.webhook(answering, "POST", "hi", headers={"Idempotency-Key": key}) for key in ("k1", "k1", "k2")
    )

    assert first.body == second.body == other.body == {"echo": "hi"}
    assert len(requests_of(aws, "a")) == 2


# --- answers -------------------------------------------------------------------------------------------------------


def test_the_workflow_answers(api: Api, answering: str) -> None:
    answer = api.webhook(answering, "POST", "hello")

    assert (answer.status, answer.body) == (418, {"echo": "hello"})
    assert answer.headers == {"content-type": "application/json"}


def test_an_answer_may_be_of_any_bytes(api: Api, answering: str) -> None:
    answer = api.webhook(answering, "POST", "bytes")

    assert (answer.status, answer.data) == (200, BYTES)
    assert answer.headers == {"content-type": "image/png", "x-kind": "picture"}


def test_an_answer_may_be_large(api: Api, answering: str) -> None:
    answer = api.webhook(answering, "POST", "large")

    assert (answer.status, answer.text) == (201, "x" * 100_000)


@pytest.mark.parametrize("body", ["wait", "end"])
def test_who_is_not_answered_is_told_that_the_request_is_there(api: Api, answering: str, body: str) -> None:
    answer = api.webhook(answering, "POST", body)

    assert (answer.status, answer.text) == (202, "{}")


# --- refusals ------------------------------------------------------------------------------------------------------


def forged(url: str) -> list[str]:
    base, _, token = url.rpartition("/")
    name, _, signature = token.partition(".")
    swapped = "B" if signature[0] == "A" else "A"
    return [
        f"{base}/{other}" for other in ("x", name, f"{name}.", f"{name}.{swapped}{signature[1:]}", f"eA.{signature}")
    ]


def test_a_forged_token_is_refused_without_a_look_up(api: Api, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    look_ups: list[str] = []
    monkeypatch.setattr(items, "get_hook", lambda _, token: look_ups.append(token))
    answers = [api.webhook(other, "POST", "x") for other in forged(url)]

    assert look_ups == []
    assert [(answer.status, answer.body["error"]["type"]) for answer in answers] == [(404, "WebhookError")] * 5
    assert api.stack.messages("runs") == []


@pytest.mark.time_of_day
def test_a_token_that_another_stack_has_signed_is_forged_here(api: Api, url: str) -> None:
    token = webhook_tokens.sign(b"another key", "r", "h1", clock.now() + timedelta(days=1))

    assert api.webhook(f"{url.rpartition('/')[0]}/{token}").status == 404


def test_a_webhook_is_gone_with_its_run(api: Api, aws: AWSSystem, url: str) -> None:
    api.webhook(url)
    finish(aws, "r")
    answer = api.webhook(url)

    assert (answer.status, answer.body["error"]["type"]) == (410, "WebhookError")


def test_a_body_may_have_256_kilobytes(api: Api, aws: AWSSystem, url: str) -> None:
    assert api.webhook(url, "POST", bytes(REQUEST_LIMIT + 1)).status == 413
    assert api.stack.messages("runs") == []

    assert api.webhook(url, "POST", bytes(REQUEST_LIMIT)).status == 202
    assert len(finish(aws, "r").result["body"]) == 2 * REQUEST_LIMIT


def test_nothing_else_can_be_reached_without_a_signature(api: Api, url: str) -> None:
    # As if a path were taken for that of another route.
    for path in ("/runs", "/webhooks/../runs"):
        event = _public_event(path)
        assert api.send(event).status == 404
    assert len(api.world.list_runs().runs) == 1


def _public_event(path: str) -> dict[str, Any]:
    event = http_event("POST", path, {"workflow": "hello"})
    return event | {"routeKey": "ANY /webhooks/{token}", "pathParameters": {"token": path}}
