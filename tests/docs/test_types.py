"""The code of docs/guide/types.md, run."""

import asyncio
from decimal import Decimal
from typing import assert_type

from pydantic import BaseModel

from tests.docs.models import ORDER, Approval, Item, Order, Receipt
from worldflow import on_update, publish, set_status, step, wait_for_signal, workflow
from worldflow.runtime import Orchestrator, RunHandle
from worldflow.testing import WorkflowEnvironment


class Refusal(BaseModel):
    reason: str


async def test_calls_and_runs() -> None:
    class bank:
        @staticmethod
        async def charge(card: str, amount: Decimal) -> Receipt:
            return Receipt(charge_id=card, amount=amount)

    class warehouse:
        @staticmethod
        def reserve(sku: str) -> str:
            return f"shelf of {sku}"

    @step
    async def charge(card: str, amount: Decimal) -> Receipt:
        return await bank.charge(card, amount)

    @step
    def reserve(sku: str) -> str:  # a plain function is awaited as well
        return warehouse.reserve(sku)

    @workflow
    async def fulfil_order(order: Order) -> Receipt:
        receipt, place = await asyncio.gather(charge(order.card, order.total), reserve("KEYBOARD"))
        set_status(f"packing {place}")
        return receipt

    async with WorkflowEnvironment() as env:
        orchestrator, order = env.orchestrator, ORDER

        run = await orchestrator.start_workflow("order-1001", fulfil_order, fulfil_order.input(order))
        receipt = await run.result()  # a Receipt

        assert_type(receipt, Receipt)
        assert receipt == Receipt(charge_id="4242", amount=Decimal(30))
        assert (await run.record()).status_text == "packing shelf of KEYBOARD"

        handle = same_run(orchestrator)
        assert_type(await handle.result(), Receipt)


def same_run(orchestrator: Orchestrator) -> RunHandle[Receipt]:
    run: RunHandle[Receipt] = orchestrator.run("order-1001")
    return run


async def test_messages() -> None:
    @workflow
    async def ask() -> str:
        answer = await wait_for_signal("answer", Approval | Refusal)
        match answer:
            case Approval():
                return f"approved by {answer.by}"
            case Refusal():
                return answer.reason

    async with WorkflowEnvironment() as env:
        run = await env.start(ask)
        await run.signal("answer", Refusal(reason="too dear"))
        assert await run.result() == "too dear"


async def test_updates_and_queries() -> None:
    @workflow
    async def cart() -> None:
        items: list[Item] = []
        publish("total", lambda: Decimal("1.50") * len(items))

        @on_update("add_item")
        async def add_item(item: Item) -> int:
            items.append(item)
            return len(items)

        await wait_for_signal("checkout")

    async with WorkflowEnvironment() as env:
        run = await env.start(cart)

        count = await run.update("add_item", Item(sku="KEYBOARD"), type=int)
        total = await run.query("total", Decimal)

        assert_type(count, int)
        assert (count, total) == (1, Decimal("1.50"))
