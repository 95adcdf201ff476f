"""More workflows of release 0.1.0, frozen: those that are cancelled, and one whose code is missing for a while."""

import asyncio
from contextlib import suppress
from typing import Any

from tests.histories.named import named_workflow
from tests.histories.workflows_0_1_0 import RELEASE, echo, fail, late, refuse, succeeds_at
from worldflow import sleep, wait_for_signal

workflow = named_workflow(RELEASE)


# --- cancellation --------------------------------------------------------------------------------------------------


@workflow()
async def tidies_up() -> str:
    tidied = []
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(late(10_000, "abandoned"))
            group.create_task(sleep("1d"))
            await wait_for_signal("never")
    except asyncio.CancelledError:
        tidied.append(await late(5, "released"))
        raise
    finally:
        await sleep(3)
        await echo([*tidied, "tidied"])
    return "not cancelled"


@workflow()
async def shrugs() -> str:
    """Is cancelled, and completes."""
    try:
        await sleep("1d")
    except asyncio.CancelledError:
        return await echo("shrugged")
    return "slept"


@workflow()
async def shields() -> str:
    charging = asyncio.create_task(late(30, "charged"))
    try:
        await asyncio.shield(charging)
    except asyncio.CancelledError:
        await echo(await charging)
        raise
    return "charged"


@workflow()
async def fails_to_tidy_up() -> None:
    try:
        await wait_for_signal("never")
    finally:
        await refuse("cannot be released")


# --- waiting for its code ------------------------------------------------------------------------------------------


@workflow()
async def learns_late() -> list[Any]:
    """Its code is missing while things happen to it."""
    nap = asyncio.create_task(sleep(60))
    value = await late(5, "a")
    told = [await wait_for_signal("go"), await wait_for_signal("go")]
    await nap
    with suppress(ValueError):
        await fail("held")
    return [value, *told, await echo("z"), await succeeds_at(2)]
