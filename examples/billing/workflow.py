"""A subscription that is billed every month, for years.

Each month is a generation of the run: it is charged, waits until the next one is due, and continues as new. So the
history stays short, and the code can be changed from one month to the next.

    updates change_plan, change_card        take effect at once, for the next invoice
    signal  cancel_subscription             ends it when the month that is paid for is over

If the card is declined, the customer has two weeks to give another one, with a reminder after three days and after a
week.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from pydantic import BaseModel, Field

from examples.billing.services import CardDeclined, outbox, provider
from worldflow import (
    continue_as_new,
    on_update,
    set_attributes,
    set_status,
    sleep,
    step,
    wait_for_signal,
    workflow,
)

GRACE = (timedelta(days=3), timedelta(days=4), timedelta(days=7))
"""Between a declined charge and the next attempts."""


class Plan(BaseModel):
    name: str
    price: Decimal = Field(ge=0)


class Subscriber(BaseModel):
    customer: str
    card: str
    plan: Plan
    since: date


@step
async def charge_month(subscriber: Subscriber, month: int) -> None:
    await provider.charge(subscriber.card, subscriber.plan.price, invoice=f"{subscriber.customer}-{month}")


@step
async def mail_customer(customer: str, text: str) -> None:
    await outbox.send(customer, text)


@workflow
async def subscription_billing(subscriber: Subscriber, month: int = 1) -> str:
    set_attributes(customer=subscriber.customer, plan=subscriber.plan.name)
    card_changed = asyncio.Event()

    @on_update("change_plan")
    def change_plan(plan: Plan) -> None:
        subscriber.plan = plan
        set_attributes(plan=plan.name)

    @on_update("change_card")
    def change_card(card: str) -> None:
        subscriber.card = card
        card_changed.set()

    if not await collect(subscriber, month, card_changed):
        await mail_customer(subscriber.customer, "We could not charge your card, and have ended your subscription.")
        return f"ended in month {month}: not paid"
    set_status(f"month {month} is paid")
    cancelling = asyncio.create_task(wait_for_signal("cancel_subscription"))
    await sleep(due(subscriber.since, month))
    if cancelling.done():
        await mail_customer(subscriber.customer, "Your subscription has ended. Goodbye!")
        return f"cancelled in month {month}"
    continue_as_new(subscriber, month + 1)


async def collect(subscriber: Subscriber, month: int, card_changed: asyncio.Event) -> bool:
    """Charges a month. Returns whether it is paid in the end."""
    for patience in (*GRACE, None):
        card_changed.clear()
        with suppress(CardDeclined):
            await charge_month(subscriber, month)
            return True
        if patience is not None:
            set_status("the card was declined")
            await mail_customer(subscriber.customer, "Your card was declined. Please give us another one.")
            with suppress(TimeoutError):
                await asyncio.wait_for(card_changed.wait(), patience.total_seconds())
    return False


def due(since: date, months: int) -> datetime:
    """When the month after so many is due: on the same day, or on the last day of a shorter month."""
    years, month = divmod(since.month - 1 + months, 12)
    first = date(since.year + years, month + 1, 1)
    following = date(first.year + month // 11, (month + 1) % 12 + 1, 1)
    day = min(since.day, (following - first).days)
    return datetime.combine(first.replace(day=day), time(6), UTC)
