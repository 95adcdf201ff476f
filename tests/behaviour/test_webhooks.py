"""A webhook takes HTTP requests from anyone who has its URL."""

import asyncio
from typing import Any

import pytest

from tests.support.scenarios import Env
from worldflow import HookFailedError, create_hook, create_webhook, sleep, step, workflow
from worldflow.runtime import webhooks
from worldflow.runtime.webhooks import Answer

urls: list[str] = []


@step(name="vercel.tell_url")
async def tell(*given: str) -> None:
    urls.extend(given)


@pytest.fixture(autouse=True)
def _no_urls() -> None:
    urls.clear()


async def send(env: Env, url: str, body: str | bytes = b"", *, method: str = "POST", **parts: Any) -> Answer:
    """The answer to a request, while the system goes on."""
    token = url.rpartition("/")[2]
    data = body.encode() if isinstance(body, str) else body

    def request() -> Answer:
        return webhooks.receive(
            env.world, token, method=method, body=data, sleep=lambda _: env.system.settle(), **parts
        )

    answer = await asyncio.to_thread(request)
    await env.settle()
    return answer


async def test_requests_are_accepted_and_delivered(env: Env) -> None:
    @workflow
    async def receives() -> list[Any]:
        webhook = create_webhook()
        await tell(webhook.url)
        request = await webhook
        return [request.method, request.text(), request.json()["message"], request.headers["x-shop"], request.query]

    run = await env.start(receives)
    answer = await send(env, urls[0], '{"message": "one"}', headers={"X-Shop": "7"}, query={"a": "b"})

    assert (answer.status, answer.body) == (202, b"{}")
    assert await run.result() == ["POST", '{"message": "one"}', "one", "7", {"a": "b"}]


REPORTS = {
    b"no stock": "no stock",
    b'{"error": "no stock", "code": 7}': "no stock",
    b'{"reason": "no stock"}': '{"reason": "no stock"}',
    b"": "the sender reported a failure",
    b"\xff" + b"x" * 5_000: "\ufffd" + "x" * 4_095,
}


@pytest.mark.parametrize("body", REPORTS)
def test_what_a_request_reports(body: bytes) -> None:
    assert webhooks._reported(body) == REPORTS[body]


async def test_another_url_fails_it(env: Env) -> None:
    @workflow
    async def is_failed() -> str:
        webhook = create_webhook(respond="workflow")
        await tell(webhook.url, webhook.fail_url)
        try:
            await webhook
        except HookFailedError as error:
            return str(error)
        return "requested"

    run = await env.start(is_failed)
    url, fail_url = urls
    assert (await send(env, f"{url}.fails", "no")).status == 404
    answer = await send(env, fail_url, "no stock")
    assert (answer.status, answer.body) == (202, b"{}")
    assert (await send(env, fail_url, "no stock")).status == 410
    assert await run.result() == "no stock"


async def test_the_workflow_answers_after_a_step(env: Env) -> None:
    @step
    async def look_up(sku: str) -> dict[str, Any]:
        return {"sku": sku, "price": 5}

    @workflow
    async def answers(count: int) -> int:
        webhook = create_webhook(respond="workflow")
        await tell(webhook.url)
        for _ in range(count):
            request = await webhook
            request.respond(body=await look_up(request.text()))
        return count

    run = await env.start(answers, 3)
    for sku in "abc":
        answer = await send(env, urls[0], sku)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert answer.body == b'{"sku": "%s", "price": 5}' % sku.encode()

    assert await run.result() == 3


async def test_a_forged_token_finds_nothing(env: Env) -> None:
    @workflow
    async def waits() -> str:
        webhook = create_webhook()
        await tell(webhook.url)
        return (await webhook).text()

    await env.start(waits)
    token = urls[0].rpartition("/")[2]
    name, _, signature = token.partition(".")

    def forge(text: str) -> str:
        return ("A" if text[0] != "A" else "B") + text[1:]

    for forged in ("invalid", name, f"{name}.", forge(token), f"{name}.{forge(signature)}", f"x{token}"):
        assert (await send(env, forged)).status == 404, forged
    assert (await send(env, urls[0], "genuine")).status == 202


async def test_a_hook_cannot_be_reached_as_a_webhook(env: Env) -> None:
    @workflow
    async def private() -> Any:
        return await create_hook(token="private")

    run = await env.start(private)

    assert (await send(env, "private", "refused")).status == 404
    await env.resume_hook("private", "from within")
    assert await run.result() == "from within"


@pytest.mark.parametrize("gone", ["disposed", "ended"])
async def test_a_webhook_that_is_no_more(env: Env, gone: str) -> None:
    @workflow
    async def closes(ends: bool) -> None:
        with create_webhook() as webhook:
            await tell(webhook.url)
            await webhook
        if not ends:
            await sleep("1d")

    await env.start(closes, gone == "ended")

    assert (await send(env, urls[0], "first")).status == 202
    assert (await send(env, urls[0], "too late")).status == 410


async def test_several_webhooks_of_one_run(env: Env) -> None:
    @workflow
    async def three() -> list[str]:
        hooks = [create_webhook() for _ in range(3)]
        await tell(*(webhook.url for webhook in hooks))
        return [(await webhook).text() for webhook in hooks]

    run = await env.start(three)
    assert len(set(urls)) == 3
    for number in (2, 0, 1):
        assert (await send(env, urls[number], f"request {number}")).status == 202

    assert await run.result() == ["request 0", "request 1", "request 2"]


async def test_a_copy_of_a_request_is_delivered_once(env: Env) -> None:
    @workflow
    async def receives() -> list[str]:
        webhook = create_webhook()
        await tell(webhook.url)
        return [(await webhook).text(), (await webhook).text()]

    run = await env.start(receives)
    for text, request_id in (("a", "1"), ("a", "1"), ("b", "2")):
        assert (await send(env, urls[0], text, request_id=request_id)).status == 202

    assert await run.result() == ["a", "b"]
