"""The example order. Three days pass in a millisecond."""

from __future__ import annotations

from workflows.order import Approval, Line, Order, fulfil_order
from worldflow.testing import WorkflowEnvironment


def order(*, unit_price: int) -> Order:
    line = Line.model_validate({"sku": "KEYBOARD", "quantity": 1, "unit_price": unit_price})
    return Order(order_id="1001", customer="Ada", card="4242", lines=[line])


async def test_a_small_order_is_shipped() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, order(unit_price=20))
        assert (await run.result()).tracking == "PARCEL-1001"


async def test_a_large_order_waits_for_approval() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, order(unit_price=2_000))
        await env.advance("2d")
        await run.signal("approval", Approval(approved=True, by="Grace"))
        assert (await run.result()).tracking == "PARCEL-1001"
