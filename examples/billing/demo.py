"""A card expires in the second month, and is replaced: `python -m examples.billing.demo`."""

from datetime import UTC, date, datetime
from decimal import Decimal

from examples.billing.workflow import Plan, Subscriber, subscription_billing
from examples.showing import show
from worldflow.engine.history import Event
from worldflow.testing import WorkflowEnvironment

ADA = Subscriber(customer="ada", card="visa", plan=Plan(name="basic", price=Decimal(9)), since=date(2026, 1, 31))


async def demo() -> list[Event]:
    async with WorkflowEnvironment(start_time=datetime(2026, 1, 31, 10, tzinfo=UTC)) as env:
        run = await env.start(subscription_billing, ADA)
        await env.advance("10d")
        await run.update("change_card", "expired last week")
        await env.advance("24d")
        await run.update("change_card", "mastercard")
        await env.advance("5d")
        await run.signal("cancel_subscription")
        print(await run.result(), end="\n\n")
        return await env.run(f"{run.id}~2").events()


if __name__ == "__main__":
    show(demo)
