"""A checkout that is paid at a payment provider, which reports by webhooks what happens.

    hold the seats
    open a payment, with the webhook's URL as its callback
    wait for the event that it is captured, for up to half an hour
    print the tickets

If that fails or is cancelled, the payment is closed and the seats are free again. Requests are answered by the
workflow: 401 if the signature is wrong, and 200 for every event, also for one that came before or does not matter here.
"""

import asyncio
from contextlib import AsyncExitStack
from decimal import Decimal

from pydantic import BaseModel

from examples.payment_webhooks.services import box_office, provider
from worldflow import Webhook, create_webhook, set_status, step, step_info, workflow

TIME_TO_PAY = 30 * 60


class Checkout(BaseModel):
    show: str
    seats: list[str]
    amount: Decimal


class PaymentEvent(BaseModel):
    id: str
    payment: str
    kind: str


class NotPaid(Exception):
    """The customer has not paid in time, or could not."""


@step
async def hold_seats(show: str, seats: list[str]) -> None:
    await box_office.hold(show, seats)


@step
async def free_seats(show: str, seats: list[str]) -> None:
    await box_office.free(show, seats)


@step
async def open_payment(amount: Decimal, callback: str) -> str:
    return await provider.open(amount, callback, key=step_info().idempotency_key)


@step
async def close_payment(payment: str) -> None:
    """From now on nobody can pay. What was paid at the last moment is refunded."""
    await provider.close(payment)


@step(inline=True)
def verify_event(body: bytes, signature: str) -> PaymentEvent | None:
    """The event in the body of a request, if the provider has signed it. A step, since workflows read no secrets."""
    return PaymentEvent.model_validate_json(body) if provider.has_signed(body, signature) else None


@step
async def print_tickets(show: str, seats: list[str]) -> list[str]:
    return [f"{show}, seat {seat}" for seat in seats]


@workflow
async def buy_tickets(checkout: Checkout) -> list[str]:
    async with AsyncExitStack() as undo:
        await hold_seats(checkout.show, checkout.seats)
        undo.push_async_callback(free_seats, checkout.show, checkout.seats)
        webhook = undo.enter_context(create_webhook(respond="workflow", expires_in="1h"))
        payment = await open_payment(checkout.amount, webhook.url)
        undo.push_async_callback(close_payment, payment)
        set_status("waiting for the payment")
        try:
            async with asyncio.timeout(TIME_TO_PAY):
                await captured(webhook)
        except TimeoutError:
            raise NotPaid("not paid within half an hour") from None
        undo.pop_all()
    set_status("paid")
    return await print_tickets(checkout.show, checkout.seats)


async def captured(webhook: Webhook) -> None:
    """Returns when the payment is captured. Raises `NotPaid` if it fails."""
    async for request in webhook:
        event = await verify_event(request.body, request.headers.get("x-signature", ""))
        if event is None:
            request.respond(401, {"error": "the signature is wrong"})
            continue
        request.respond(200)
        match event.kind:
            case "captured":
                return
            case "failed":
                raise NotPaid("the payment failed")
            case _:
                continue
