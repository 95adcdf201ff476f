"""An order, from the basket to the parcel.

    reserve stock for every line, in parallel
    wait up to three days for approval if the total is high
    charge the card
    let the warehouse pack, and ship

If anything fails after a reservation or a charge, the stock is released and the money refunded. The same happens on
cancellation, unless the parcel has already been shipped. Steps with `cancellation="wait"` come to their end first: what
is under way cannot be undone. A step that failed may have had its effect: the bank charged, but its answer was lost. So
the workflow chooses the id of each reservation and charge, and registers the undo by this id before the step.

The steps stand in for the shop's own services, which recognise a repeated request by its id, and do nothing if asked to
undo what was not done. The run's record shows the customer and the current status.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from decimal import Decimal

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
    uuid4,
    wait_for_signal,
    workflow,
)

APPROVAL_LIMIT = Decimal(1_000)
APPROVAL_TIMEOUT = 3 * 86_400
PACKING_TIME = "3s"  # a warehouse takes longer

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


@step(cancellation="wait")
async def reserve(reservation_id: str, line: Line) -> Reservation:
    if line.sku.startswith("SOLD-OUT"):
        raise OutOfStock(f"{line.sku} is out of stock")
    return Reservation(reservation_id=reservation_id, sku=line.sku, quantity=line.quantity)


@step
async def release(reservation_id: str) -> None:
    _log.info("released %s", reservation_id)


@step(retry=RetryPolicy(max_attempts=5, initial_interval="1s", max_interval="30s"), timeout="30s", cancellation="wait")
async def charge(charge_id: str, card: str, amount: Decimal) -> Receipt:
    if card == "declined":
        raise CardDeclined("the card was declined")
    if card == "flaky" and step_info().attempt == 1:
        raise ConnectionError("the bank did not answer")
    return Receipt(charge_id=charge_id, amount=amount)


@step
async def refund(charge_id: str) -> None:
    _log.info("refunded %s", charge_id)


@step(timeout="1m", cancellation="wait")
async def ship(order: Order, reservations: list[Reservation]) -> str:
    if order.customer == "nowhere":
        raise FatalError("the address does not exist")
    return f"PARCEL-{order.order_id}"


@workflow
async def fulfil_order(order: Order) -> Shipment:
    set_attributes(customer=order.customer)
    async with compensations() as undo:
        reservations = await reserve_all(order, undo)
        if order.total > APPROVAL_LIMIT:
            await approval(order)
        set_status("charging")
        charge_id = str(uuid4())
        undo.push_async_callback(refund, charge_id)  # first: a charge that fails may have been made
        await charge(charge_id, order.card, order.total)
        set_status("packing")
        await sleep(PACKING_TIME)
        tracking = await ship(order, reservations)
    set_status("shipped")
    return Shipment(order_id=order.order_id, tracking=tracking, charged=order.total)


@asynccontextmanager
async def compensations() -> AsyncGenerator[AsyncExitStack]:
    """Undoes what is in the stack, the last first, if the block fails or is cancelled."""
    undo = AsyncExitStack()
    try:
        yield undo
    except BaseException:
        undoing = asyncio.create_task(undo.aclose())
        while not undoing.done():
            with suppress(asyncio.CancelledError):  # a cancellation does not stop it
                await asyncio.wait([undoing])
        undoing.result()
        raise


async def reserve_all(order: Order, undo: AsyncExitStack) -> list[Reservation]:
    async def hold(line: Line) -> Reservation:
        reservation_id = str(uuid4())
        undo.push_async_callback(release, reservation_id)
        return await reserve(reservation_id, line)

    try:
        async with asyncio.TaskGroup() as group:
            holding = [group.create_task(hold(line)) for line in order.lines]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in holding]


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
