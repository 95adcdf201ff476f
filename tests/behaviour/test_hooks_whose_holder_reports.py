"""A hook with a `heartbeat_timeout`: whoever is to send its value must report."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.scenarios import Env
from worldflow import HookNotFoundError, HookTimeoutError, create_hook, create_webhook, step, workflow
from worldflow.runtime import webhooks

urls: list[str] = []


@workflow
async def waits_for_reports(count: int = 1) -> list[Any]:
    found: list[Any] = []
    with create_hook(int, token="press", heartbeat_timeout="1m") as hook:
        try:
            for _ in range(count):
                found.append(await hook)
        except HookTimeoutError as error:
            found.append(str(error))
    return found


SILENT = "nobody has reported for 1m to the hook 'press'"


async def test_silence_ends_the_wait(env: Env) -> None:
    run = await env.start(waits_for_reports)
    await env.advance("59s")
    assert await run.status() == "running"
    await env.advance("2s")
    assert await run.result() == [SILENT]


async def test_a_heartbeat_is_no_event_and_prolongs_it(env: Env) -> None:
    run = await env.start(waits_for_reports)
    before = len(await run.events())
    for _ in range(4):
        await env.advance("10s")
        record = await env.drive(env.orchestrator.heartbeat_hook("press"))
        assert record.run_id == run.id
    assert len(await run.events()) == before
    await env.restart()
    await env.advance("58s")  # after the last, at 40 s
    assert await run.status() == "running"
    assert len(await run.steps()) == 1
    await env.restart()
    await env.advance("3s")
    assert await run.result() == [SILENT]
    assert await run.steps() == ["worldflow.hook_heartbeat"] * 2
    with pytest.raises(HookNotFoundError):
        await env.orchestrator.heartbeat_hook("press")


async def test_a_value_is_a_sign_of_life(env: Env) -> None:
    run = await env.start(waits_for_reports, 3)
    for value in (1, 2):
        await env.advance("45s")
        await env.resume_hook("press", value)
    await env.advance("61s")
    assert await run.result() == [1, 2, SILENT]


async def test_a_value_that_comes_while_it_is_asked_for_the_last(env: Env) -> None:
    run = await env.start(waits_for_reports)
    due = await asyncio.to_thread(env.system.next_due)
    assert due is not None
    env.system.clock.forward(due)  # the timer is due, and nobody has looked yet
    await env.resume_hook("press", 7)
    assert await run.result() == [7]


async def test_a_webhook_has_a_url_for_it(env: Env) -> None:
    @step
    async def tell(url: str) -> None:
        urls.append(url)

    @workflow
    async def called_back() -> str:
        webhook = create_webhook(heartbeat_timeout="1m")
        await tell(webhook.heartbeat_url)
        return (await webhook).text()

    run = await env.start(called_back)
    token = urls.pop().rpartition("/")[2]
    await env.advance("40s")
    assert webhooks.receive(env.world, token, method="POST").status == 202
    await env.advance("40s")
    webhook = token.removesuffix(".heartbeat")
    assert webhooks.receive(env.world, webhook, method="POST", body=b"done").status == 202
    await env.settle()
    assert await run.result() == "done"


@pytest.mark.parametrize("timeout", [0, "31d"])
async def test_a_timeout_that_is_none(env: Env, timeout: Any) -> None:
    @workflow
    async def refused() -> None:
        create_hook(heartbeat_timeout=timeout)

    assert "heartbeat_timeout must be more than zero and at most 30 days" in str(
        await (await env.start(refused)).failure()
    )
