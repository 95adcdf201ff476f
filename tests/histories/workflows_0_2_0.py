"""Workflows whose histories release 0.2.0 recorded: what it knows that 0.1.0 did not. Frozen as those of 0.1.0 are."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from tests.histories.named import named_step, named_workflow
from worldflow import (
    HookConflictError,
    RetryableError,
    RetryPolicy,
    RunCancelledError,
    StepTimeoutError,
    continue_as_new,
    create_hook,
    create_webhook,
    deprecate_patch,
    now,
    on_update,
    patched,
    random,
    set_attributes,
    set_status,
    sleep,
    step_info,
    wait_for_signal,
    workflow_info,
)

RELEASE = "0.2.0"

step = named_step(RELEASE)
workflow = named_workflow(RELEASE)


@step()
async def echo(value: Any) -> Any:
    return value


# --- hooks ---------------------------------------------------------------------------------------------------------


class Payload(BaseModel):
    message: str
    done: bool = False


@workflow()
async def collects(token: str) -> list[Any]:
    seen: list[Any] = []
    with create_hook(Payload, token=token, metadata={"for": "orders"}) as hook:
        async for payload in hook:
            seen.append(await echo(payload.message))
            if payload.done:
                break
    made_up = create_hook()
    seen.append(len(await echo(made_up.token)))
    return [*seen, await made_up]


@workflow()
async def wants_a_token(token: str) -> Any:
    try:
        return await create_hook(token=token)
    except HookConflictError as error:
        return await echo(f"{error.token} is taken")


@workflow()
async def answers_requests(count: int) -> list[str]:
    webhook = create_webhook(respond="workflow")
    other = create_webhook(metadata={"answers": False})
    seen = []
    for _ in range(count):
        request = await webhook
        request.respond(201, {"said": await echo(request.text())}, {"X-Answer": "yes"})
        seen.append(request.method)
    seen.append((await other).text())
    return seen


# --- updates, attributes -------------------------------------------------------------------------------------------


@workflow()
async def takes_updates() -> list[Any]:
    items: list[str] = []
    await wait_for_signal("ready")

    @on_update("add")
    async def add(item: str, times: int = 1) -> int:
        items.extend([await echo(item)] * times)
        return len(items)

    @on_update("remove")
    def remove(item: str) -> list[str]:
        items.remove(item)
        return items

    await wait_for_signal("done")
    return items


@workflow()
async def tells_of_itself(customer: str) -> None:
    set_attributes(customer=customer, total=3, share=0.5, paid=False, draft="yes")
    set_status("one")
    await sleep(60)
    set_attributes(paid=True, draft=None)
    set_status("two")


# --- children ------------------------------------------------------------------------------------------------------


@workflow()
async def child(number: int) -> int:
    if number < 0:
        raise ValueError(number)
    if number > 100:
        await wait_for_signal("never")
    await sleep(number)
    return await echo(number * 2)


@workflow()
async def family() -> list[Any]:
    results: list[Any] = await asyncio.gather(child(3), child(1), child(-1), return_exceptions=True)
    results[2] = repr(results[2])
    with suppress(TimeoutError):
        async with asyncio.timeout(30):
            await child(101)
    detached = child.start_detached(2)
    chosen = await child.options(run_id="chosen", parent_close="abandon")(4)
    return [*results, detached, chosen]


@workflow()
async def of_a_cancelled_child() -> str:
    try:
        await child(101)
    except RunCancelledError as error:
        return await echo(error.run_id)
    return "not cancelled"


# --- long lives ----------------------------------------------------------------------------------------------------


@workflow()
async def generations(number: int, carried: list[Any] | None = None) -> list[Any]:
    seen = [*(carried or []), await wait_for_signal("next"), random().randint(1, 2) > 0, workflow_info().run_id]
    if number:
        continue_as_new(number - 1, carried=seen)
    return seen


@workflow()
async def changes() -> list[Any]:
    seen = [await echo("new")] if patched("first") else []
    await sleep(5)
    if patched("second") and patched("first"):
        seen.append(await echo("newer"))
    deprecate_patch("third")
    return [*seen, workflow_info().history_length]


@workflow(version=1, timeout="1h")
async def versions() -> str:
    return "the first"


@workflow(version=2, timeout="1h")
async def versions(limit: int = 5) -> None:  # type: ignore[no-redef]  # noqa: F811
    assert workflow_info().version == 2
    try:
        await wait_for_signal("never")
    finally:
        await echo(f"out of time: {limit}")


@workflow()
async def waits() -> list[Any]:
    seen = []
    async for value in wait_for_signal("item", int):
        seen.append(value)
        if value == 0:
            break
    await sleep(now() + timedelta(hours=2))
    await sleep(now() - timedelta(hours=2))
    return seen


# --- steps ---------------------------------------------------------------------------------------------------------


@step(timeout=0.02, retry=RetryPolicy(max_attempts=2, initial_interval="5s", jitter=0))
async def never_ends() -> None:
    await asyncio.Event().wait()


@step(heartbeat_timeout="1m")
async def beats() -> Any:
    step_info().heartbeat({"at": step_info().attempt})
    if step_info().attempt == 1:
        raise ConnectionError
    return step_info().heartbeat_details


@step(at_most_once=True)
async def once(value: Any) -> Any:
    if value is None:
        raise ConnectionError("not tried again")
    return value


@step(retry=RetryPolicy(max_attempts=9, initial_interval="1m", backoff=1, jitter=0, total_time="150s"))
async def busy() -> None:
    raise RetryableError("busy")


@step(retry=RetryPolicy(retry_if=lambda error: "again" in str(error), initial_interval="1s"))
async def chooses() -> None:
    raise ValueError("again" if step_info().attempt < 3 else "enough")


@workflow()
async def options_of_steps() -> list[Any]:
    seen: list[Any] = []
    for call in (never_ends, beats, busy, chooses):
        try:
            seen.append(await call())
        except (StepTimeoutError, RetryableError, ValueError) as error:
            seen.append(type(error).__name__)
    seen.append(await once("once"))
    with suppress(ConnectionError):
        await once(None)
    seen.append(await echo.options(inline=True)("inline"))
    return seen


@workflow(inline_steps=True)
async def all_inline(count: int) -> list[Any]:
    seen = [await echo(number) for number in range(count)]
    seen += await asyncio.gather(*(echo(number) for number in range(count)))
    seen.append(await echo.options(inline=False)("queued"))
    return [*seen, await once("inline once")]


# --- starting again ------------------------------------------------------------------------------------------------


@step(retry=RetryPolicy(max_attempts=2, initial_interval="1s"))
async def fails_in(run_id: str) -> str:
    if step_info().run_id == run_id:
        raise ConnectionError("the first time")
    return step_info().run_id


@workflow()
async def fails_first(name: str) -> list[Any]:
    first = await echo("before")
    return [first, await fails_in(name), await echo(random().random() < 1)]
