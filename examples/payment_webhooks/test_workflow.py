from collections.abc import Iterator
from decimal import Decimal

import pytest

from examples.payment_webhooks.demo import notify
from examples.payment_webhooks.services import box_office, provider
from examples.payment_webhooks.workflow import Checkout, NotPaid, buy_tickets
from worldflow import RunCancelledError, RunFailedError
from worldflow.testing import TestRun, WorkflowEnvironment

CHECKOUT = Checkout(show="Turandot", seats=["12A"], amount=Decimal(90))
PAYMENT = "test-1/s2"


@pytest.fixture(autouse=True)
def services() -> Iterator[None]:
    provider.payments.clear()
    box_office.held.clear()
    yield
    provider.payments.clear()  # the demo, which other tests run, pays under the same id


async def refused(run: TestRun[list[str]]) -> str:
    with pytest.raises(RunFailedError) as failed:
        await run.result()
    assert isinstance(failed.value.__cause__, NotPaid)
    assert box_office.held == set()
    return str(failed.value.__cause__)


async def test_tickets_are_printed_when_the_payment_is_captured() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(buy_tickets, CHECKOUT)
        statuses = [await notify(env, PAYMENT, kind) for kind in ("authorized",) * 2 + ("captured",)]
        assert statuses == [200, 200, 200]
        assert await run.result() == ["Turandot, seat 12A"]
    assert box_office.held == {("Turandot", "12A")}
    assert provider.payments[PAYMENT].state == "captured"


async def test_a_forged_event_is_refused() -> None:
    async with WorkflowEnvironment() as env:
        await env.start(buy_tickets, CHECKOUT)
        url = provider.payments[PAYMENT].callback
        assert (await env.request(url, body={"kind": "captured"})).status == 401
        assert await env.run("test-1").status() == "running"


async def test_who_does_not_pay_in_time_loses_the_seats() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(buy_tickets, CHECKOUT)
        assert await refused(run) == "not paid within half an hour"
        assert await notify(env, PAYMENT, "captured") == 410


async def test_a_payment_that_fails() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(buy_tickets, CHECKOUT)
        await notify(env, PAYMENT, "failed")
        assert await refused(run) == "the payment failed"
    assert provider.payments[PAYMENT].state == "closed"


async def test_a_checkout_that_is_cancelled_closes_its_payment() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(buy_tickets, CHECKOUT)
        await run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result()
    assert (provider.payments[PAYMENT].state, box_office.held) == ("closed", set())
