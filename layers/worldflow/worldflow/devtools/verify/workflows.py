"""The workflows of `make verify-aws`. It deploys them in the module `verification` beside the application's workflows,
from a copy of the project.
"""

from __future__ import annotations

import asyncio

from worldflow import (
    Debounce,
    FatalError,
    Limit,
    RetryableError,
    RetryPolicy,
    continue_as_new,
    create_hook,
    create_webhook,
    on_update,
    open_stream,
    publish,
    set_attributes,
    sleep,
    step,
    step_info,
    wait_for_signal,
    workflow,
)


@step
async def verify_pass_on(value: str) -> str:
    return value


@step(limit=Limit("verify", concurrency=1))
async def verify_limited_step() -> str:
    return "had a place"


@workflow
async def verify_limited() -> str:
    return await verify_limited_step()


@workflow(debounce=Debounce("2s"))
async def verify_debounced(value: str) -> str:
    return value


@step
async def verify_tell(words: list[str]) -> None:
    async with open_stream("verify", str) as out:
        for word in words:
            await out.write(word)


@workflow
async def verify_stream(words: list[str]) -> None:
    """Writes half of the words in the step executor, and half in the orchestrator."""
    await verify_tell(words[:1])
    await verify_tell.options(inline=True)(words[1:])


@step(heartbeat_timeout="1m")
async def verify_second_attempt() -> str:
    """Fails once, and returns the first attempt's heartbeat at the second."""
    info = step_info()
    if info.attempt == 1:
        info.heartbeat("half done")
        raise RetryableError("the first attempt fails", retry_after=1)
    return str(info.heartbeat_details)


@step(heartbeat_timeout="1m", retry=RetryPolicy(max_attempts=1))
async def verify_slow_step() -> None:
    """Works for 20 seconds, unless its run no longer wants it."""
    for beat in range(40):
        step_info().heartbeat(beat)
        await asyncio.sleep(0.5)


@workflow
async def verify_slow() -> None:
    await verify_slow_step()


@step
async def verify_second_generation() -> str:
    """Succeeds in a run that is a retry."""
    if not step_info().run_id.endswith("~2"):
        raise FatalError("the first run fails")
    return "retried"


@workflow
async def verify_retry() -> str:
    return await verify_second_generation()


@workflow
async def verify_steps() -> str:
    return await verify_second_attempt()


@workflow
async def verify_pass(value: str) -> str:
    return await verify_pass_on(value)


@workflow
async def verify_parent(value: str) -> str:
    return await verify_pass(value)


@workflow
async def verify_generations(number: int) -> int:
    if number == 1:
        continue_as_new(2)
    return number


@workflow
async def verify_signal() -> str:
    return await wait_for_signal("verify", str)


@workflow
async def verify_nap(duration: str) -> str:
    await sleep(duration)
    return duration


@workflow
async def verify_hook(token: str) -> str:
    return await create_hook(str, token=token)


@workflow
async def verify_webhook() -> str:
    webhook = create_webhook(respond="workflow")
    set_attributes(webhook=webhook.url)
    request = await webhook
    request.respond(201, {"received": request.text()})
    return request.text()


@workflow
async def verify_questions() -> int:
    """Adds the numbers of its updates until it is signalled."""
    total = 0
    publish("total", lambda: total)

    @on_update("add")
    async def add(number: int) -> int:
        nonlocal total
        total += number
        return total

    await wait_for_signal("verify", str)
    return total
