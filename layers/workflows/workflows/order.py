"""An order, from the basket to the parcel.

    reserve stock for every line, in parallel
    wait up to three days for approval if the total is high
    charge the card
    let the warehouse pack, and ship

If anything fails after a reservation or a charge, the stock is released and the money refunded. The same happens on
cancellation, unless the parcel has already been shipped. The steps stand in for the shop's own services, and pass them
the idempotency key by which a service recognises a repeated request. The run's record shows the customer and the
current status.
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
    """Not retried: a retry does not restock the shelf."""


class CardDeclined(FatalError):
    """Not retried: the bank's answer is final."""


class ApprovalRefused(Exception):
    """The approver refused, or did not answer in time."""


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
        # A step failed, or the run is cancelled. Let open steps finish first: a charge whose outcome is unknown cannot
        # be refunded.
        await asyncio.wait([task for task in (*reserving, charging, shipping) if task])
        if not (shipping and succeeded(shipping)):
            undoing = asyncio.create_task(undo(reserving, charging))
            while not undoing.done():
                with suppress(asyncio.CancelledError):  # a cancellation does not stop the cleanup
                    await asyncio.wait([undoing])
            undoing.result()
            raise
    set_status("shipped")
    return Shipment(order_id=order.order_id, tracking=shipping.result(), charged=order.total)


async def all_of(*tasks: asyncio.Task[T]) -> list[T]:
    """Waits for all tasks and returns their results. Unlike `gather`, it does not cancel them when it is cancelled."""
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
