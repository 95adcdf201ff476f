"""The URL of a webhook is one and the same for the workflow, for who queries it, and for who posts to it."""

from typing import Any

from tests.support.crashes import CrashingWorld, serve, settle
from tests.support.steps import NO_RETRY
from tests.support.trouble import result, runs, shaky
from worldflow import create_webhook, publish, step, wait_for_signal, workflow
from worldflow.engine.history import HookCreated
from worldflow.runtime import queries, sending, starting, webhooks

mailed: list[str] = []


@step(retry=NO_RETRY)
async def mail_url(url: str) -> None:
    mailed.append(url)


@workflow
async def mails_after_trouble() -> str:
    hook = create_webhook()
    await shaky()
    await mail_url(hook.url)
    return (await hook).text()


@workflow
async def mails_at_once() -> str:
    hook = create_webhook()
    publish("url", hook.url)
    await wait_for_signal("mail")
    await mail_url(hook.url)
    return (await hook).text()


def post(world: CrashingWorld, url: str, body: bytes) -> int:
    status = webhooks.receive(world, url.rpartition("/")[2], method="POST", body=body).status
    serve(world)
    return status


def test_a_retried_run_keeps_it(world: CrashingWorld, trouble: list[str]):
    mailed.clear()
    starting.start(world, "r", mails_after_trouble)
    serve(world)
    trouble.clear()
    starting.retry(world, "r")
    serve(world)
    (url,) = mailed
    assert post(world, url, b"hello") == 202
    assert result(world, "r~2") == "hello"


def test_one_that_was_handed_out_before_the_failure_works_after_it(world: CrashingWorld, trouble: list[str]):
    starting.start(world, "r", mails_after_trouble)
    serve(world)
    (token,) = (event.token for event in world.load_history("r") if isinstance(event, HookCreated))
    assert webhooks.receive(world, token, method="POST").status == 410
    trouble.clear()
    starting.retry(world, "r")
    serve(world)
    assert post(world, f"/{token}", b"hello") == 202
    assert result(world, "r~2") == "hello"


def test_a_fork_has_its_own(world: CrashingWorld):
    mailed.clear()
    starting.start(world, "r", mails_at_once)
    settle(world)
    starting.fork(world, "r", "f", after=2)
    settle(world)
    assert runs(world) == {"r": "running", "f": "running"}
    for run_id in ("r", "f"):
        sending.signal(world, run_id, "mail")
        settle(world)
    of_r, of_f = mailed
    assert of_r != of_f
    assert post(world, of_f, b"to f") == 202
    assert runs(world) == {"r": "running", "f": "completed"}
    assert post(world, of_r, b"to r") == 202
    assert [result(world, run_id) for run_id in ("r", "f")] == ["to r", "to f"]


def test_a_query_tells_it(world: CrashingWorld):
    starting.start(world, "r", mails_at_once)
    settle(world)
    starting.fork(world, "r", "f", after=2)
    settle(world)
    urls: list[Any] = [queries.query(world, run_id, "url") for run_id in ("r", "f")]
    assert all(url.startswith("https://example.test/webhooks/") for url in urls)
    for run_id, url in zip(("r", "f"), urls, strict=True):
        hook = webhooks.get_hook(world, url.rpartition("/")[2])
        assert hook.run_id == run_id
