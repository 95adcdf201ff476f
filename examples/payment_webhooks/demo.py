"""A customer pays after five minutes, after a forger has tried: `python -m examples.payment_webhooks.demo`."""

from decimal import Decimal

from examples.payment_webhooks.services import provider
from examples.payment_webhooks.workflow import Checkout, buy_tickets
from examples.showing import show
from worldflow.engine.history import Event
from worldflow.testing import WorkflowEnvironment

CHECKOUT = Checkout(show="Turandot", seats=["12A", "12B"], amount=Decimal(180))


async def notify(env: WorkflowEnvironment, payment: str, kind: str) -> int:
    """Lets the provider report what happens to a payment. Returns the status of the response."""
    url, body, headers = provider.report(payment, kind)
    return (await env.request(url, body=body, headers=headers)).status


async def demo() -> list[Event]:
    async with WorkflowEnvironment() as env:
        run = await env.start(buy_tickets, CHECKOUT)
        payment = f"{run.id}/s2"
        await env.advance("2m")
        await env.request(provider.payments[payment].callback, body={"kind": "captured"})
        await env.advance("2m")
        await notify(env, payment, "authorized")
        await env.advance("1m")
        await notify(env, payment, "captured")
        print(await run.result(), end="\n\n")
        return await run.events()


if __name__ == "__main__":
    show(demo)
