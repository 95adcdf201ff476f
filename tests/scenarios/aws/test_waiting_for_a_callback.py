"""Something outside is asked, and calls back: a hook, whose token a step hands over."""

import asyncio

import pytest
from pydantic import BaseModel

from tests.support.scenarios import Env
from worldflow import FatalError, HookNotFoundError, RetryPolicy, create_hook, sleep, step, step_info, workflow


class Answer(BaseModel):
    approved: bool
    by: str = "nobody"


class Rejected(Exception):
    pass


async def test_the_answer(env: Env) -> None:
    @step
    async def submit(token: str) -> None:
        tokens.append(token)

    @workflow
    async def asking() -> Answer:
        hook = create_hook(Answer)
        await submit(hook.token)
        return await hook

    tokens: list[str] = []
    run = await env.start(asking)
    await env.restart()
    await env.resume_hook(tokens[0], {"approved": True, "by": "Grace"})

    assert await run.result() == Answer(approved=True, by="Grace")
    assert len(tokens) == 1


async def test_an_answer_that_is_a_failure(env: Env) -> None:
    @workflow
    async def asking() -> str:
        hook = create_hook(Answer, token="callback-failure")
        try:
            if not (answer := await hook).approved:
                raise Rejected(f"not approved by {answer.by}")
        except Rejected as error:
            await sleep("2s")
            return str(error)
        return "approved"

    run = await env.start(asking)
    await env.resume_hook("callback-failure", {"approved": False, "by": "Ada"})

    assert await run.result() == "not approved by Ada"


async def test_no_answer_in_time(env: Env) -> None:
    @workflow
    async def asking() -> None:
        async with asyncio.timeout(60):
            await create_hook(Answer, token="callback-timeout")

    run = await env.start(asking)
    await env.advance("59s")
    assert await run.status() == "running"
    await env.advance("2s")

    assert isinstance(await run.failure(), TimeoutError)
    with pytest.raises(HookNotFoundError):
        await env.resume_hook("callback-timeout", {"approved": True})


async def test_it_may_take_long_as_long_as_it_beats(env: Env) -> None:
    @workflow
    async def asking() -> str:
        with create_hook(str, token="callback-heartbeat") as hook:
            while True:
                async with asyncio.timeout(30):
                    if (word := await hook) != "still working":
                        return word

    run = await env.start(asking)
    for _ in range(3):
        await env.advance("25s")
        await env.resume_hook("callback-heartbeat", "still working")
    await env.advance("25s")
    await env.resume_hook("callback-heartbeat", "done")
    assert await run.result() == "done"

    silent = await env.start(asking)
    await env.advance("25s")
    await env.resume_hook("callback-heartbeat", "still working")
    assert isinstance(await silent.failure(), TimeoutError)


async def test_handing_the_token_over_is_tried_again(env: Env) -> None:
    attempts: list[int] = []

    @step(retry=RetryPolicy(max_attempts=3))
    async def submit(token: str) -> None:
        attempts.append(step_info().attempt)
        if len(attempts) < 3:
            raise ConnectionError("nobody is there")

    @workflow
    async def asking() -> str:
        hook = create_hook(str, token="callback-retry")
        await submit(hook.token)
        return await hook

    run = await env.start(asking)
    await env.advance("1m")
    await env.resume_hook("callback-retry", "hello")

    assert await run.result() == "hello"
    assert attempts == [1, 2, 3]


async def test_a_token_that_nobody_takes(env: Env) -> None:
    @step
    async def submit(token: str) -> None:
        raise FatalError("no such address")

    @workflow
    async def asking() -> str:
        with create_hook(str, token="callback-nobody") as hook:
            await submit(hook.token)
            return await hook

    run = await env.start(asking)

    assert isinstance(await run.failure(), FatalError)


async def test_an_answer_before_anybody_waits(env: Env) -> None:
    @workflow
    async def asking() -> str:
        hook = create_hook(str, token="callback-early")
        await sleep("1h")
        return await hook

    run = await env.start(asking)
    await env.resume_hook("callback-early", "early")
    assert await run.status() == "running"

    assert await run.result() == "early"


async def test_one_callback_after_another(env: Env) -> None:
    @workflow
    async def asking() -> list[str]:
        first = await create_hook(str, token="callback-a")
        return [first, await create_hook(str, token="callback-b")]

    run = await env.start(asking)
    await env.resume_hook("callback-a", "a")
    await env.restart()
    await env.resume_hook("callback-b", "b")

    assert await run.result() == ["a", "b"]


async def test_two_at_once_answered_in_the_other_order(env: Env) -> None:
    @workflow
    async def asking() -> list[str]:
        return await asyncio.gather(*(create_hook(str, token=f"callback-{name}") for name in ("left", "right")))

    run = await env.start(asking)
    await env.resume_hook("callback-right", "R")
    await env.resume_hook("callback-left", "L")

    assert await run.result() == ["L", "R"]
