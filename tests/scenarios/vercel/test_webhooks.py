"""A webhook takes HTTP requests from anybody who has its URL."""

import threading
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.api import Answer, Api
from tests.support.scenarios import Env
from tests.support.systems import AWSSystem
from worldflow import create_hook, create_webhook, sleep, step, workflow

urls: list[str] = []


@step(name="vercel.tell_url")
async def tell(*given: str) -> None:
    urls.extend(given)


@pytest.fixture(autouse=True)
def _no_urls() -> None:
    urls.clear()


@pytest.fixture
def api(aws_env: Env) -> Api:
    system = aws_env.system
    assert isinstance(system, AWSSystem)
    return Api(system.stack, system.world)


def post(api: Api, url: str, body: Any = None, **options: Any) -> Answer:
    return api("POST", urlsplit(url).path, body, **options)


async def test_requests_are_accepted_and_delivered(aws_env: Env, api: Api) -> None:
    @workflow
    async def receives() -> list[Any]:
        webhook = create_webhook()
        await tell(webhook.url)
        request = await webhook
        return [request.method, request.text(), request.json()["message"], request.headers["x-shop"], request.query]

    run = await aws_env.start(receives)
    (url,) = urls
    answer = api("POST", urlsplit(url).path, {"message": "one"}, headers={"X-Shop": "7"}, query=[("a", "b")])
    await aws_env.settle()

    assert (answer.status, answer.text) == (202, "{}")
    method, text, message, shop, query = await run.result()
    assert (method, message, shop, query) == ("POST", "one", "7", {"a": "b"})
    assert '"one"' in text


async def test_the_workflow_answers(aws_env: Env, api: Api) -> None:
    @workflow
    async def answers() -> str:
        webhook = create_webhook(respond="workflow")
        await tell(webhook.url)
        request = await webhook
        request.respond(418, "Hello from the workflow!", headers={"X-Run": "yes"})
        return request.text()

    run = await aws_env.start(answers)
    answer = await waiting(aws_env, api, urls[0], "three")

    assert (answer.status, answer.text) == (418, "Hello from the workflow!")
    assert {name.lower(): value for name, value in answer.headers.items()}["x-run"] == "yes"
    assert "three" in await run.result()


async def test_the_workflow_answers_each_of_several_requests(aws_env: Env, api: Api) -> None:
    @workflow
    async def counts(until: int) -> int:
        webhook = create_webhook(respond="workflow")
        await tell(webhook.url)
        for number in range(until):
            request = await webhook
            request.respond(body={"number": number, "you said": request.text()})
        return until

    run = await aws_env.start(counts, 3)
    for number in range(3):
        answer = await waiting(aws_env, api, urls[0], f"hello {number}")
        assert (answer.status, answer.body) == (200, {"number": number, "you said": f"hello {number}"})

    assert await run.result() == 3


async def waiting(env: Env, api: Api, url: str, body: str) -> Answer:
    """What a request is answered with, while the system goes on."""
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(post(api, url, body)))
    thread.start()
    while thread.is_alive():
        await env.settle()
        thread.join(0.02)
    return answers[0]


async def test_a_forged_token_finds_nothing(aws_env: Env, api: Api) -> None:
    @workflow
    async def waits() -> str:
        webhook = create_webhook()
        await tell(webhook.url)
        return (await webhook).text()

    await aws_env.start(waits)
    token = urlsplit(urls[0]).path.rsplit("/", 1)[1]
    for forged in ("invalid", token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1], token + "x", "x" + token):
        assert post(api, f"/webhooks/{forged}").status == 404, forged
    assert post(api, urls[0], "genuine").status == 202


async def test_a_hook_cannot_be_reached_as_a_webhook(aws_env: Env, api: Api) -> None:
    @workflow
    async def private() -> Any:
        return await create_hook(token="private")

    run = await aws_env.start(private)

    assert post(api, "/webhooks/private", {"message": "refused"}).status == 404
    await aws_env.resume_hook("private", "from within")
    assert await run.result() == "from within"


@pytest.mark.parametrize("gone", ["disposed", "ended"])
async def test_a_webhook_that_is_no_more(aws_env: Env, api: Api, gone: str) -> None:
    @workflow
    async def closes(ends: bool) -> None:
        with create_webhook() as webhook:
            await tell(webhook.url)
            await webhook
        if not ends:
            await sleep("1d")

    await aws_env.start(closes, gone == "ended")
    assert post(api, urls[0], "first").status == 202
    await aws_env.settle()

    assert post(api, urls[0], "too late").status == 410


async def test_several_webhooks_of_one_run(aws_env: Env, api: Api) -> None:
    @workflow
    async def three() -> list[str]:
        webhooks = [create_webhook() for _ in range(3)]
        await tell(*(webhook.url for webhook in webhooks))
        return [(await webhook).text() for webhook in webhooks]

    run = await aws_env.start(three)
    assert len(set(urls)) == 3
    for number in (2, 0, 1):
        assert post(api, urls[number], f"request {number}").status == 202
    await aws_env.settle()

    assert await run.result() == ["request 0", "request 1", "request 2"]


async def test_a_request_that_is_too_large(aws_env: Env, api: Api) -> None:
    @workflow
    async def large() -> int:
        webhook = create_webhook()
        await tell(webhook.url)
        return len((await webhook).body)

    run = await aws_env.start(large)
    assert post(api, urls[0], "x" * 300_000).status == 413
    assert post(api, urls[0], "x" * 200_000).status == 202
    await aws_env.settle()

    assert await run.result() == 200_000


async def test_bytes_arrive_as_they_are(aws_env: Env, api: Api) -> None:
    @workflow
    async def binary() -> list[int]:
        webhook = create_webhook()
        await tell(webhook.url)
        return list((await webhook).body)

    run = await aws_env.start(binary)
    assert post(api, urls[0], "\u00ff\u0000", encoded=True).status == 202
    await aws_env.settle()

    assert await run.result() == list("\u00ff\u0000".encode())
