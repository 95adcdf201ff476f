"""An order, from the basket to the parcel.

    reserve stock for every line, in parallel
    a high total waits for approval, at most three days
    charge the card
    let the warehouse pack, and ship

Whatever fails after a reservation or a charge undoes them: the stock is released and the money refunded. So does a
cancellation, unless the parcel is on its way already. The steps here stand for the shop's own services, and pass on the
idempotency key with which those recognise a repeated request. The run's record tells which customer's it is, and what
it is doing.
"""

import asyncio
import logging
from contextlib import suppress
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BaseModel, Field

from worldflow import (
    FatalError,
    RetryPolicy,
    logger,
    set_attributes,
    set_status,
    sleep,
    step,
    step_info,
    wait_for_signal,
    workflow,
)

APPROVAL_LIMIT = Decimal(1_000)
APPROVAL_TIMEOUT = 3 * 86_400
PACKING_TIME = "3s"  # a warehouse takes longer

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Line(BaseModel):
    sku: str
    quantity: int = Field(gt=0)
    unit_price: Decimal = Field(gt=0)


class Order(BaseModel):
    order_id: str
    customer: str
    card: str
    lines: list[Line] = Field(min_length=1)

    @property
    def total(self) -> Decimal:
        return sum((line.quantity * line.unit_price for line in self.lines), Decimal(0))


class Approval(BaseModel):
    approved: bool
    by: str


class Reservation(BaseModel):
    reservation_id: str
    sku: str
    quantity: int


class Receipt(BaseModel):
    charge_id: str
    amount: Decimal


class Shipment(BaseModel):
    order_id: str
    tracking: str
    charged: Decimal


class OutOfStock(FatalError):
    """Trying again will not fill the shelf."""


class CardDeclined(FatalError):
    """The bank's answer is final."""


class ApprovalRefused(Exception):
    """Somebody said no, or nobody said anything in time."""


@step
async def reserve(line: Line) -> Reservation:
    if line.sku.startswith("SOLD-OUT"):
        raise OutOfStock(f"{line.sku} is out of stock")
    return Reservation(reservation_id=step_info().idempotency_key, sku=line.sku, quantity=line.quantity)


@step
async def release(reservation: Reservation) -> None:
    _log.info("released %s", reservation.reservation_id)


@step(retry=RetryPolicy(max_attempts=5, initial_interval="1s", max_interval="30s"), timeout="30s")
async def charge(card: str, amount: Decimal) -> Receipt:
    if card == "declined":
        raise CardDeclined("the card was declined")
    if card == "flaky" and step_info().attempt == 1:
        raise ConnectionError("the bank did not answer")
    return Receipt(charge_id=step_info().idempotency_key, amount=amount)


@step
async def refund(receipt: Receipt) -> None:
    _log.info("refunded %s", receipt.charge_id)


@step(timeout="1m")
async def ship(order: Order, reservations: list[Reservation]) -> str:
    if order.customer == "nowhere":
        raise FatalError("the address does not exist")
    return f"PARCEL-{order.order_id}"


@workflow
async def fulfil_order(order: Order) -> Shipment:
    set_attributes(customer=order.customer)
    reserving = [asyncio.create_task(reserve(line)) for line in order.lines]
    charging: asyncio.Task[Receipt] | None = None
    shipping: asyncio.Task[str] | None = None
    try:
        reservations = await all_of(*reserving)
        if order.total > APPROVAL_LIMIT:
            await approval(order)
        set_status("charging")
        charging = asyncio.create_task(charge(order.card, order.total))
        await all_of(charging)
        set_status("packing")
        await sleep(PACKING_TIME)
        shipping = asyncio.create_task(ship(order, reservations))
        await all_of(shipping)
    except BaseException:
        # A failure, or the run is cancelled. What is under way comes to its end first: a charge that nobody waits for
        # is a charge that nobody refunds.
        await asyncio.wait([task for task in (*reserving, charging, shipping) if task])
        if not (shipping and succeeded(shipping)):
            undoing = asyncio.create_task(undo(reserving, charging))
            while not undoing.done():
                with suppress(asyncio.CancelledError):  # one that comes now changes nothing: what is begun is undone
                    await asyncio.wait([undoing])
            undoing.result()
            raise
    set_status("shipped")
    return Shipment(order_id=order.order_id, tracking=shipping.result(), charged=order.total)


async def all_of(*tasks: asyncio.Task[T]) -> list[T]:
    """The results of tasks, once all have ended. Cancelled, it leaves them be, where `gather` would cancel them."""
    await asyncio.wait(tasks)
    return [task.result() for task in tasks]


def succeeded(task: asyncio.Task[Any]) -> bool:
    return task.exception() is None


async def undo(reserving: list[asyncio.Task[Reservation]], charging: asyncio.Task[Receipt] | None) -> None:
    await asyncio.gather(*(release(task.result()) for task in reserving if succeeded(task)))
    if charging and succeeded(charging):
        await refund(charging.result())


async def approval(order: Order) -> None:
    set_status("waiting for approval")
    try:
        async with asyncio.timeout(APPROVAL_TIMEOUT):
            answer = await wait_for_signal("approval", Approval)
    except TimeoutError:
        raise ApprovalRefused(f"nobody approved order {order.order_id} in time") from None
    if not answer.approved:
        raise ApprovalRefused(f"{answer.by} refused order {order.order_id}")
    logger.info("%s approved order %s", answer.by, order.order_id)
