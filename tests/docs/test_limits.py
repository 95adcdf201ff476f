"""The code of docs/guide/limits.md, run."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from pydantic import BaseModel

from tests.docs.models import Order as AnyOrder
from tests.docs.models import Receipt
from tests.docs.pages import own_page  # noqa: F401  # pyright: ignore[reportUnusedImport]
from worldflow import Limit, step, step_info, workflow
from worldflow.runtime import Orchestrator
from worldflow.testing import WorkflowEnvironment

pytestmark = pytest.mark.usefixtures("own_page")


class Order(AnyOrder):
    customer: str = "ada"
    express: bool = False


class File(BaseModel):
    bucket: str


class Bank:
    """And the mail."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def charge(self, card: str, amount: Decimal, idempotency_key: str) -> Receipt:
        self.calls.append("charge")
        return Receipt(charge_id=idempotency_key, amount=amount)

    async def reserve(self, total: Decimal) -> str:
        self.calls.append(f"reserve {total}")
        return str(total)

    async def send(self, customer: str) -> None:
        self.calls.append(f"mail {customer}")


bank = Bank()
mail = bank


async def test_the_steps_of_the_page() -> None:
    BANK = Limit("bank", concurrency=10, rate="500/1m", burst=50)

    @step(limit=BANK)
    async def charge(order: Order) -> Receipt:
        return await bank.charge(order.card, order.total, idempotency_key=step_info().idempotency_key)

    @step(limit=Limit("mail", concurrency=2, key=lambda order: order.customer))
    async def send_receipt(order: Order) -> None:
        await mail.send(order.customer)

    @step(limit=BANK, priority=lambda order: 0 if order.express else 5, fairness=lambda order: order.customer)
    async def reserve(order: Order) -> str:
        return await bank.reserve(order.total)

    @step(limit=Limit("thumbnails", concurrency=20, approximate=True))
    def make_thumbnail(image: str) -> str:
        return image.replace(".png", ".small.png")

    @step
    def read_lines(file: File) -> int:
        return 3

    @workflow(limit=Limit("import", concurrency=1, key=lambda file: file.bucket, excess="queue"))
    async def import_file(file: File) -> int:
        return await read_lines(file)

    @workflow
    async def sell() -> str:
        urgent = Order(express=True, total=Decimal(1))
        orders = [Order(total=Decimal(2)), Order(total=Decimal(3)), Order(total=Decimal(4), customer="bob"), urgent]
        await charge(orders[0])
        await asyncio.gather(*(reserve.options(priority=1)(order) for order in orders[:1]), *map(reserve, orders[1:]))
        await send_receipt(orders[0])
        return await make_thumbnail("a.png")

    async with WorkflowEnvironment() as env:
        sold = await env.start(sell)
        assert await sold.result() == "a.small.png"
        imported = await env.start(import_file, File(bucket="orders"))
        assert await imported.result() == 3
        orchestrator = Orchestrator(env.world)
        await orchestrator.set_limit("bank", concurrency=4)
        (status,) = await orchestrator.get_limit("bank")
        assert (status.concurrency, status.rate, status.changed) == (4, "500/1m", True)
        assert [one.name for one in await orchestrator.list_limits()] == ["bank", "import", "mail"]
    assert sorted(bank.calls) == ["charge", "mail ada", "reserve 1", "reserve 2", "reserve 3", "reserve 4"]
