"""Workflows whose histories release 0.3.0 recorded: what it knows that 0.2.0 did not. Frozen as those before it are."""

from typing import Any

from tests.histories.named import named_step, named_workflow
from worldflow import create_webhook, wait_for_signal

RELEASE = "0.3.0"

step = named_step(RELEASE)
workflow = named_workflow(RELEASE)


@step()
async def twice(value: str) -> str:
    return value * 2


@workflow()
async def takes_one() -> Any:
    return await wait_for_signal("item")


@workflow()
async def expires() -> str:
    hook = create_webhook(expires_in="2h")
    request = await hook
    return request.text()


@workflow()
async def doubles(value: str) -> str:
    return await twice(value)


@workflow()
async def has_a_child_with_large_data(size: int) -> int:
    return len(await doubles("x" * size))
