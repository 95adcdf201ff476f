"""A hook takes values from anybody who has its token, without knowing the run."""

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from tests.support.scenarios import Env
from worldflow import HookNotFoundError, RetryableError, create_hook, sleep, step, step_info, workflow


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


async def test_nobody_holds_the_token(env: Env) -> None:
    with pytest.raises(HookNotFoundError):
        await env.orchestrator.get_hook("invalid")
    with pytest.raises(HookNotFoundError):
        await env.resume_hook("invalid", 1)


async def test_values_that_come_before_anybody_waits(env: Env) -> None:
    @workflow
    async def busy_first() -> list[Any]:
        hook = create_hook(token="early")
        await sleep("1h")
        return [await hook, await hook]

    run = await env.start(busy_first)
    await env.resume_hook("early", 1)
    await env.resume_hook("early", {"deep": [2]})

    assert await run.result() == [1, {"deep": [2]}]


async def test_a_value_that_is_sent_twice_with_one_id_comes_once(env: Env) -> None:
    @workflow
    async def twice() -> list[Any]:
        hook = create_hook(token="t")
        return [await hook, await hook]

    run = await env.start(twice)
    await env.resume_hook("t", "first", resume_id="a")
    await env.resume_hook("t", "first", resume_id="a")
    assert await run.status() == "running"
    await env.resume_hook("t", "second", resume_id="b")

    assert await run.result() == ["first", "second"]


async def test_several_hooks_of_one_run(env: Env) -> None:
    @workflow
    async def several() -> list[str]:
        hooks = [create_hook(str, token=f"hook-{name}") for name in "abc"]
        tokens = {hook.token for hook in hooks}
        assert tokens == {"hook-a", "hook-b", "hook-c"}

        async def value(hook: Any) -> str:
            received: str = await hook
            return received

        return await asyncio.gather(*map(value, hooks))

    run = await env.start(several)
    for name in "cab":
        await env.resume_hook(f"hook-{name}", name.upper())

    assert await run.result() == ["A", "B", "C"]


async def test_every_value_is_delivered_beside_a_long_sleep(env: Env) -> None:
    @step
    async def process(number: int, slow: bool) -> int:
        if slow and step_info().attempt == 1:
            raise RetryableError("later", retry_after="1m")
        return number

    @workflow
    async def beside_a_sleep() -> list[int]:
        background = asyncio.create_task(sleep("1d"))
        seen = []
        with create_hook(token="beside") as hook:
            async for value in hook:
                seen.append(await process(value["number"], value["number"] % 2 == 1))
                if value["number"] == 4:
                    break
        assert not background.done()
        return seen

    run = await env.start(beside_a_sleep)
    for number in range(5):  # some of them come while a step is under way
        await env.resume_hook("beside", {"number": number})

    assert await run.result() == [0, 1, 2, 3, 4]


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


async def test_a_made_up_token_cannot_be_guessed(env: Env) -> None:
    @workflow
    async def unguessable() -> str:
        hook = create_hook(str)
        other = create_hook(str)
        assert hook.token != other.token
        await told(hook.token)
        return await hook

    tokens: list[str] = []

    @step
    async def told(token: str) -> None:
        tokens.append(token)

    first, second = await env.start(unguessable), await env.start(unguessable)
    assert len(set(tokens)) == 2
    assert all(len(token) >= 20 for token in tokens)
    for token in tokens:
        await env.resume_hook(token, token[:3])

    assert [await first.result(), await second.result()] == [token[:3] for token in tokens]


async def test_steps_go_on_after_the_last_value(env: Env) -> None:
    @step
    async def final(count: int) -> str:
        return f"{count} values"

    @workflow
    async def with_a_final_step() -> str:
        background = asyncio.create_task(sleep("1d"))
        values = []
        with create_hook(token="final") as hook:
            async for value in hook:
                values.append(value)
                if value == "done":
                    break
        background.cancel()
        return await final(len(values))

    run = await env.start(with_a_final_step)
    for value in ("a", "b", "done"):
        await env.resume_hook("final", value)

    assert await run.result() == "3 values"


async def test_a_burst_of_values_meets_a_loop_with_a_heartbeat(env: Env) -> None:
    """A value that is stale takes no step, a fresh one takes one; so what follows depends on each of them."""

    @step
    async def drain(value: int) -> int:
        if step_info().attempt == 1:
            raise RetryableError("later", retry_after=3)
        return value

    @workflow
    async def wake_loop(fresh: int) -> list[int]:
        drained: list[int] = []
        with create_hook(token="wake") as hook:
            while len(drained) < fresh:
                try:
                    async with asyncio.timeout(300):
                        value = await hook
                except TimeoutError:
                    continue
                if value >= 0:
                    drained.append(await drain(value))
        return drained

    run = await env.start(wake_loop, 6)
    for number in range(6):
        for value in (-1, number, -1):
            await env.orchestrator.resume_hook("wake", value)
        if number % 2:
            await env.skip()
        if number == 3:
            await env.restart()

    assert await run.result() == [0, 1, 2, 3, 4, 5]
