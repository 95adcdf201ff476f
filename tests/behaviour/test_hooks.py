"""Hooks: values from anyone who has the token, which one live run holds at a time."""

import asyncio

import pytest
from pydantic import BaseModel

from tests.support.scenarios import Env
from worldflow import (
    HookConflictError,
    create_hook,
    sleep,
    workflow,
)


class Payload(BaseModel):
    message: str
    custom: str
    done: bool = False


@workflow(name="vercel.collecting_hook")
async def collecting(token: str, custom: str) -> list[Payload]:
    with create_hook(Payload, token=token, metadata={"custom": custom}) as hook:
        payloads = []
        async for payload in hook:
            payloads.append(payload)
            if payload.done:
                break
    return payloads


async def test_values_one_after_the_other(env: Env) -> None:
    run = await env.start(collecting, "order-1", "blue")

    for message, done in (("one", False), ("two", False), ("three", True)):
        hook = await env.orchestrator.get_hook("order-1")
        assert (hook.token, hook.run_id, hook.metadata) == ("order-1", run.id, {"custom": "blue"})
        await env.resume_hook("order-1", Payload(message=message, custom=hook.metadata["custom"], done=done))

    assert await run.result() == [
        Payload(message="one", custom="blue"),
        Payload(message="two", custom="blue"),
        Payload(message="three", custom="blue", done=True),
    ]


async def test_a_hook_against_a_timer(env: Env) -> None:
    @workflow
    async def races(rounds: int) -> list[str]:
        outcomes = []
        with create_hook(str, token="race") as hook:
            for _ in range(rounds):
                try:
                    async with asyncio.timeout(600):
                        outcomes.append(await hook)
                except TimeoutError:
                    outcomes.append("timeout")
        return outcomes

    run = await env.start(races, 4)
    await env.resume_hook("race", "first")
    await env.skip()
    await env.resume_hook("race", "third")

    assert await run.result() == ["first", "timeout", "third", "timeout"]


@workflow(name="vercel.one_value")
async def one_value(token: str) -> str:
    with create_hook(str, token=token) as hook:
        return await hook


async def test_two_runs_cannot_have_one_token(env: Env) -> None:
    first = await env.start(one_value, "shared")
    second = await env.start(one_value, "shared")

    failure = await second.failure()
    assert isinstance(failure, HookConflictError)
    assert "shared" in str(failure)
    await env.resume_hook("shared", "for the first")
    assert await first.result() == "for the first"


@pytest.mark.parametrize("end", ["cancelled", "failed"])
async def test_a_token_is_free_however_its_run_ended(env: Env, end: str) -> None:
    @workflow
    async def ends_badly() -> None:
        create_hook(token="freed")
        await sleep("1h")
        raise ValueError

    run = await env.start(ends_badly)
    if end == "cancelled":
        await run.cancel()
    else:
        await run.failure()

    assert await run.status() == end
    later = await env.start(one_value, "freed")
    await env.resume_hook("freed", "later")
    assert await later.result() == "later"
