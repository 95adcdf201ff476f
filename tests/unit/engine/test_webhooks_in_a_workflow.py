"""A webhook is a hook whose values are HTTP requests, and which a workflow may answer."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from tests.support.driver import START, Drive, Driver, Webhooks
from tests.support.steps import work
from worldflow import ConfigurationError, WebhookRequest, WorldflowError, create_webhook, workflow
from worldflow.engine.history import HookCreated, RunStarted
from worldflow.engine.workflow.execution import Execution

URL = Webhooks().url("run-1.h1")


def request(method: str = "POST", body: bytes = b"", **fields: Any) -> dict[str, Any]:
    return {"method": method, "body": base64.b64encode(body).decode(), **fields}


@workflow
async def accepting() -> list[Any]:
    webhook = create_webhook(metadata="m")
    asked = await webhook
    return [webhook.url, asked.method, asked.headers, asked.query, asked.json(), asked.text()]


def test_its_url_is_told_by_the_world_and_its_token_ends_it(drive: Drive):
    (created,) = drive(accepting).decisions
    assert isinstance(created, HookCreated)
    assert created.webhook is True
    assert created.answers is None
    assert created.metadata == "m"
    assert URL.endswith(f"/{created.token}")


def test_a_request_is_its_value(drive: Drive):
    run = drive(accepting)
    run.resume_hook("h1", request(body=b'{"a": 1}', headers={"x-a": "b"}, query={"q": "1"}))
    assert run.result() == [URL, "POST", {"x-a": "b"}, {"q": "1"}, {"a": 1}, '{"a": 1}']


def test_a_body_is_bytes(drive: Drive):
    @workflow
    async def binary() -> list[int]:
        return list((await create_webhook()).body)

    run = drive(binary)
    run.resume_hook("h1", request(body=bytes(range(256))))
    assert run.result() == list(range(256))


@workflow
async def answering(body: Any = None, status: int = 200, headers: dict[str, str] | None = None) -> None:
    with create_webhook(respond="workflow") as webhook:
        async for asked in webhook:
            asked.respond(status, body, headers)
            if asked.method == "DELETE":
                return


def answered(run: Driver, **fields: Any) -> tuple[int, dict[str, str], bytes]:
    (reply,) = [decision for decision in run.resume_hook("h1", request(**fields)) if decision.event_type == "Replied"]
    result = run.reply(reply.fact_id)
    return result["status"], result["headers"], base64.b64decode(result["body"])


@pytest.mark.parametrize(
    ("body", "kind", "data"),
    [
        (None, "application/json", b""),
        ("hi é", "text/plain; charset=utf-8", "hi é".encode()),
        ({"a": [1, None]}, "application/json", b'{"a": [1, null]}'),
        (0, "application/json", b"0"),
        ([], "application/json", b"[]"),
    ],
)
def test_what_it_answers(drive: Drive, body: Any, kind: str, data: bytes):
    assert answered(drive(answering, body, 201)) == (201, {"content-type": kind}, data)


def test_bytes_as_they_are(drive: Drive):
    @workflow
    async def binary() -> None:
        (await create_webhook(respond="workflow")).respond(body=b"\xff\x00")

    assert answered(drive(binary)) == (200, {"content-type": "application/octet-stream"}, b"\xff\x00")


def test_headers_of_its_own(drive: Drive):
    status, headers, _ = answered(drive(answering, "<p>", 302, {"Content-Type": "text/html", "Location": "/x"}))
    assert (status, headers) == (302, {"content-type": "text/html", "location": "/x"})


def test_each_request_has_its_own_answer(drive: Drive):
    run = drive(answering, {"n": 1})
    for _ in range(3):
        assert json.loads(answered(run)[2]) == {"n": 1}
    assert answered(run, method="DELETE")[0] == 200
    assert run.ended


def test_an_answer_may_come_after_a_step(drive: Drive):
    @workflow
    async def slow() -> None:
        asked = await create_webhook(respond="workflow")
        asked.respond(body=await work())

    run = drive(slow)
    assert [decision.event_type for decision in run.resume_hook("h1", request())] == ["StepScheduled"]
    run.complete(work, "done")
    assert run.decided == ["Replied hook/h1/resume-1", "RunCompleted"]


def test_a_request_is_answered_once(drive: Drive):
    @workflow
    async def twice() -> None:
        asked = await create_webhook(respond="workflow")
        asked.respond()
        asked.respond()

    run = drive(twice)
    run.resume_hook("h1", request())
    with pytest.raises(WorldflowError, match="already been answered"):
        run.result()


def test_where_requests_are_accepted_at_once_there_is_nothing_to_answer(drive: Drive):
    @workflow
    async def polite() -> None:
        (await create_webhook()).respond()

    run = drive(polite)
    run.resume_hook("h1", request())
    with pytest.raises(WorldflowError, match='respond="workflow"'):
        run.result()


def test_another_way_to_respond_is_refused(drive: Drive):
    @workflow
    async def wrong() -> None:
        create_webhook(respond="later")  # type: ignore[arg-type]

    with pytest.raises(ValueError, match='"accepted" or "workflow"'):
        drive(wrong).result()


def test_a_body_that_is_not_json_is_the_workflows_own_error():
    with pytest.raises(ValueError, match="Expecting value"):
        WebhookRequest(method="POST").json()
    with pytest.raises(UnicodeDecodeError):
        WebhookRequest(method="POST", body=b"\xff").text()


def test_a_world_without_webhooks_is_no_error_of_the_workflow(drive: Drive):
    @workflow
    async def careless() -> str:
        try:
            create_webhook()
        except BaseException:
            return "swallowed"
        return ""

    execution = Execution("run-1", careless)
    with pytest.raises(ConfigurationError, match="webhooks need a World"):
        execution.apply(RunStarted(), drive(accepting).clock)
    execution.dispose()


@workflow
async def makes_webhooks() -> list[str]:
    short, long = create_webhook(expires_in="2d"), create_webhook()
    refused = []
    for life in ("367d", timedelta(days=366, seconds=1)):
        try:
            create_webhook(expires_in=life)
        except ValueError as error:
            refused.append(str(error))
    await short
    await long
    return refused


def test_a_workflow_says_how_long_one_is_good(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Webhooks, "token", lambda self, run_id, hook_id, expires: f"{hook_id}!{expires.isoformat()}")
    run = drive(makes_webhooks)
    tokens = [event.token for event in run.history if isinstance(event, HookCreated)]
    lives = {"h1": timedelta(days=2), "h2": timedelta(days=366)}
    assert tokens == [f"{hook_id}!{(START + life).isoformat()}" for hook_id, life in lives.items()]
