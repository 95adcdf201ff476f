"""The example order, where a service does what it is asked to and every answer is lost: it is undone all the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from workflows.order import Line, Order, fulfil_order
from worldflow import Interceptor, Proceed, RunCancelledError, RunFailedError, StepCall, intercept
from worldflow.testing import WorkflowEnvironment

LINE = Line(sku="KEYBOARD", quantity=1, unit_price=Decimal(20))
ORDER = Order(order_id="1001", customer="Ada", card="4242", lines=[LINE, LINE])


class Service(Interceptor):
    """The bank, or the warehouse: what it holds, by the ids that it was given. It loses each answer of `step`."""

    def __init__(self, step: str, undo: str, key: str) -> None:
        self.step, self.undo, self.key = step, undo, key
        self.held: set[str] = set()
        self.requests: list[str] = []

    async def run_step(self, call: StepCall, proceed: Proceed) -> Any:
        result = await proceed()
        if call.name == self.step:
            self.requests.append(call.arguments[self.key])
            self.held.add(call.arguments[self.key])
            raise ConnectionError("the answer was lost")
        if call.name == self.undo:
            self.held.remove(call.arguments[self.key])
        return result


@pytest.fixture(
    params=[("charge", "refund", "charge_id"), ("reserve", "release", "reservation_id")], ids=lambda p: p[0]
)
def service(request: pytest.FixtureRequest) -> Service:
    service = Service(*request.param)
    intercept(service)
    return service


async def test_an_order_that_fails_leaves_nothing_held(service: Service) -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        with pytest.raises(RunFailedError, match="the answer was lost"):
            await run.result()
    assert service.held == set()
    assert len(service.requests) > len(set(service.requests)), "each attempt asks by the same id"


async def test_an_order_that_is_cancelled_between_two_attempts_leaves_nothing_held(service: Service) -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        assert service.held == set(service.requests) != set()
        await run.cancel("the customer changed her mind")
        with pytest.raises(RunCancelledError):
            await run.result()
    assert service.held == set()
