"""A `resume_id` names a value of one hook: another hook, and that of another generation, have their own."""

import asyncio
from typing import Any

from tests.support.crashes import CrashingWorld, serve, settle
from tests.support.trouble import kinds, result, runs
from worldflow import continue_as_new, create_hook, create_webhook, wait_for_signal, workflow
from worldflow.engine.history import HookCreated
from worldflow.runtime import sending, starting, webhooks


async def value_of(hook: Any) -> Any:
    return await hook


@workflow
async def two_hooks() -> list[Any]:
    return await asyncio.gather(*(value_of(create_hook(token=token)) for token in ("a", "b")))


@workflow
async def a_hook_each_generation(n: int = 1) -> int:
    with create_hook(token="month") as hook:
        await hook
    if n == 3:
        return n
    continue_as_new(n + 1)


@workflow
async def two_webhooks() -> list[str]:
    requests = await asyncio.gather(*(value_of(create_webhook()) for _ in range(2)))
    return [request.text() for request in requests]


@workflow
async def counts_values() -> int:
    hook, values = create_hook(token="values"), 0

    async def count() -> None:
        nonlocal values
        async for _ in hook:
            values += 1

    task = asyncio.create_task(count())
    await wait_for_signal("end")
    task.cancel()
    return values


def test_two_hooks_take_the_same_id(world: CrashingWorld):
    starting.start(world, "r", two_hooks)
    settle(world)
    for token in ("a", "b"):
        webhooks.resume_hook(world, token, token.upper(), resume_id="1")
    settle(world)
    assert result(world, "r") == ["A", "B"]


def test_two_webhooks_take_the_same_id(world: CrashingWorld):
    starting.start(world, "r", two_webhooks)
    settle(world)
    tokens = [event.token for event in world.load_history("r") if isinstance(event, HookCreated)]
    for token in tokens:
        webhooks.receive(world, token, method="POST", body=token[-5:].encode(), request_id="1")
    settle(world)
    assert result(world, "r") == [token[-5:] for token in tokens]


def test_each_generation_takes_the_same_id(world: CrashingWorld):
    starting.start(world, "r", a_hook_each_generation)
    settle(world)
    for _ in range(3):
        webhooks.resume_hook(world, "month", "yes", resume_id="approval")
        settle(world)
    assert runs(world) == {"r": "continued", "r~2": "continued", "r~3": "completed"}


def test_one_hook_takes_it_once(world: CrashingWorld):
    starting.start(world, "r", counts_values)
    settle(world)
    for resume_id in ("1", "1", "2", "1", None, None):
        webhooks.resume_hook(world, "values", "yes", resume_id=resume_id)
        settle(world)
    sending.signal(world, "r", "end")
    serve(world)
    assert result(world, "r") == 4
    assert kinds(world, "r").count("HookResumed") == 4
