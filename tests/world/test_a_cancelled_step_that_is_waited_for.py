"""`cancellation="wait"` on every World: what a step returns while its run is being cancelled is not lost."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.support.systems import System, finish, start
from worldflow import step, step_info, workflow
from worldflow.runtime import sending
from worldflow.worlds import World

worlds: list[World] = []
refunded: list[str] = []


@step(cancellation="wait")
async def charge_until_known(order: str) -> str:
    sending.cancel(worlds[0], step_info().run_id)  # by somebody, while this runs
    return f"receipt of {order}"


@step
async def refund_what_is_known(receipt: str) -> None:
    refunded.append(receipt)


@workflow
async def buys_or_refunds(order: str, inline: bool) -> str:
    async with AsyncExitStack() as undo:
        receipt = await charge_until_known.options(inline=inline)(order)
        undo.push_async_callback(refund_what_is_known, receipt)
        await asyncio.sleep(3_600)
        undo.pop_all()
    return receipt


@pytest.mark.parametrize("inline", [False, True], ids=["queued", "inline"])
def test_a_result_is_undone(system: System, inline: bool) -> None:
    refunded.clear()
    worlds[:] = [system.world]
    start(system, "r", buys_or_refunds, order="tea", inline=inline)

    assert finish(system, "r").status == "cancelled"
    assert refunded == ["receipt of tea"]
