from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from examples.billing.services import outbox, provider
from examples.billing.workflow import Plan, Subscriber, due, subscription_billing
from worldflow.testing import WorkflowEnvironment

START = datetime(2026, 1, 31, 10, tzinfo=UTC)
BASIC, TEAM = Plan(name="basic", price=Decimal(9)), Plan(name="team", price=Decimal(29))


@pytest.fixture(autouse=True)
def services() -> Iterator[None]:
    provider.charges.clear()
    outbox.sent.clear()
    yield


def subscriber(card: str = "visa") -> Subscriber:
    return Subscriber(customer="ada", card=card, plan=BASIC, since=date(2026, 1, 31))


async def test_each_month_is_charged_once_until_it_is_cancelled() -> None:
    async with WorkflowEnvironment(start_time=START) as env:
        run = await env.start(subscription_billing, subscriber())
        await env.advance("60d")
        assert provider.charges == {"ada-1": 9, "ada-2": 9, "ada-3": 9}
        await run.update("change_plan", TEAM)
        await env.advance("30d")
        await run.signal("cancel_subscription")
        assert await run.result() == "cancelled in month 4"
        assert env.now() == datetime(2026, 5, 31, 6, tzinfo=UTC)
    assert provider.charges == {"ada-1": 9, "ada-2": 9, "ada-3": 9, "ada-4": 29}


async def test_another_card_is_charged_at_once() -> None:
    async with WorkflowEnvironment(start_time=START) as env:
        run = await env.start(subscription_billing, subscriber("expired"))
        await env.advance("4d")
        assert len(outbox.sent) == 2
        await run.update("change_card", "mastercard")
        assert provider.charges == {"ada-1": 9}
        await run.signal("cancel_subscription")
        assert await run.result() == "cancelled in month 1"


async def test_who_does_not_pay_is_ended_after_two_weeks() -> None:
    async with WorkflowEnvironment(start_time=START) as env:
        run = await env.start(subscription_billing, subscriber("expired"))
        assert await run.result() == "ended in month 1: not paid"
        assert (env.now() - START).days == 14
    assert [text.partition(".")[0] for _, text in outbox.sent] == [
        *["Your card was declined"] * 3,
        "We could not charge your card, and have ended your subscription",
    ]


def test_months_of_every_length() -> None:
    days = [due(date(2027, 10, 31), months).date().isoformat() for months in range(1, 6)]
    assert days == ["2027-11-30", "2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31"]
