"""An order as a saga: what was done is undone, in reverse, if a later step fails or the order is cancelled.

    reserve the stock of every line, in parallel
    charge the card
    book a courier

The saga is an `AsyncExitStack`, Python's own stack of things to clean up.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any, TypeVar, TypeVarTuple

from pydantic import BaseModel, Field

from examples.order_saga.services import bank, couriers, warehouse
from worldflow import RetryPolicy, logger, set_attributes, set_status, step, uuid4, workflow

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

PATIENT = RetryPolicy(max_attempts=20, max_interval="5m")
"""For what undoes something: it should not give up because a service is down for an hour."""


class Line(BaseModel):
    sku: str
    quantity: int = Field(gt=0)
    unit_price: Decimal = Field(gt=0)


class Basket(BaseModel):
    customer: str
    card: str
    address: str
    lines: list[Line] = Field(min_length=1)

    @property
    def total(self) -> Decimal:
        return sum((line.quantity * line.unit_price for line in self.lines), Decimal(0))


class Confirmation(BaseModel):
    charged: Decimal
    parcel: str


@step
async def reserve_stock(key: str, line: Line) -> None:
    await warehouse.reserve(line.sku, line.quantity, key)


@step(retry=PATIENT)
async def release_stock(key: str) -> None:
    await warehouse.release(key)


@step(timeout="30s", retry=RetryPolicy(max_attempts=5))
async def take_payment(key: str, card: str, amount: Decimal) -> None:
    await bank.charge(card, amount, key)


@step(retry=PATIENT)
async def return_payment(key: str) -> None:
    await bank.refund(key)


@step(timeout="2m")
async def book_courier(key: str, address: str) -> str:
    return await couriers.book(address, key)


@step(retry=PATIENT)
async def cancel_courier(key: str) -> None:
    await couriers.cancel(key)


class Saga(AsyncExitStack):
    async def do(
        self,
        action: Callable[[str, *Arguments], Coroutine[Any, Any, T]],
        *arguments: *Arguments,
        undo: Callable[[str], Coroutine[Any, Any, None]],
    ) -> T:
        """Awaits `action(key, *arguments)`, and `undo(key)` if the block fails or is cancelled.

        An action that is under way then is awaited first. One that failed is undone too: it may have had its effect,
        and only its answer was lost. So the key is chosen here, and undoing what was not done must do nothing.
        """
        key = str(uuid4())
        doing = asyncio.create_task(action(key, *arguments))

        async def compensate() -> None:
            await asyncio.wait([doing])
            await undo(key)

        self.push_async_callback(compensate)
        return await asyncio.shield(doing)

    def keep(self) -> None:
        """All went well: nothing is undone."""
        self.pop_all()


@workflow
async def place_order(basket: Basket) -> Confirmation:
    set_attributes(customer=basket.customer)
    async with Saga() as saga:
        set_status("reserving")
        await asyncio.gather(*(saga.do(reserve_stock, line, undo=release_stock) for line in basket.lines))
        set_status("charging")
        await saga.do(take_payment, basket.card, basket.total, undo=return_payment)
        set_status("booking a courier")
        parcel = await saga.do(book_courier, basket.address, undo=cancel_courier)
        saga.keep()
    logger.info("%s is on its way", parcel)
    set_status("shipped")
    return Confirmation(charged=basket.total, parcel=parcel)
