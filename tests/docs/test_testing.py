"""The code of docs/guide/testing.md, run."""

from decimal import Decimal

from workflows.order import Approval, Line, Order, fulfil_order
from worldflow import create_webhook, workflow
from worldflow.testing import WorkflowEnvironment


async def test_a_large_order_waits_for_approval() -> None:
    order = Order(order_id="1", customer="Ada", card="4242", lines=[Line(sku="A", quantity=2, unit_price=Decimal(900))])
    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, order)
        await env.advance("2d")
        await run.signal("approval", Approval(approved=True, by="Grace"))
        assert (await run.result()).tracking == "PARCEL-1"


@workflow
async def await_payment(order_id: str) -> str:
    with create_webhook(respond="workflow") as webhook:
        request = await webhook
        request.respond(200, {"confirmed": order_id})
    return request.query["payment"]


async def test_the_bank_confirms_a_payment() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(await_payment, "order-1")
        (webhook,) = await run.hooks()
        response = await env.request(f"{webhook.url}?payment=7", body={"paid": True})
        assert response.body == b'{"confirmed": "order-1"}'
        assert await run.result() == "7"
