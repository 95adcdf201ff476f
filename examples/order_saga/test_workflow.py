from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from examples.order_saga.services import CardDeclined, NoCourier, OutOfStock, bank, couriers, warehouse
from examples.order_saga.workflow import Basket, Confirmation, Line, place_order
from worldflow import RunCancelledError, RunFailedError
from worldflow.runtime import Orchestrator
from worldflow.testing import WorkflowEnvironment


@pytest.fixture(autouse=True)
def services() -> Iterator[None]:
    for service in (warehouse, bank, couriers):
        service.latency = 0
    warehouse.stock = {"KEYBOARD": 10, "SCREEN": 10}
    warehouse.reservations.clear()
    bank.charges.clear()
    couriers.parcels.clear()
    bank.requests = 0
    yield


def basket(**changes: Any) -> Basket:
    lines = [
        Line(sku="KEYBOARD", quantity=2, unit_price=Decimal(150)),
        Line(sku="SCREEN", quantity=3, unit_price=Decimal(320)),
    ]
    return Basket.model_validate({"customer": "Ada", "card": "visa", "address": "London", "lines": lines, **changes})


def nothing_is_left() -> bool:
    left = (warehouse.reservations, bank.charges, couriers.parcels)
    return warehouse.stock == {"KEYBOARD": 10, "SCREEN": 10} and not any(left)


async def test_an_order_is_shipped() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(place_order, basket())
        assert await run.result() == Confirmation(charged=Decimal(1260), parcel="PARCEL-1")
    assert warehouse.stock == {"KEYBOARD": 8, "SCREEN": 7}
    assert list(bank.charges.values()) == [Decimal(1260)]


async def test_a_card_is_charged_once_although_the_bank_did_not_answer() -> None:
    async with WorkflowEnvironment() as env:
        await (await env.start(place_order, basket(card="flaky"))).result()
    assert (bank.requests, list(bank.charges.values())) == (2, [Decimal(1260)])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lines": [Line(sku="SCREEN", quantity=n, unit_price=Decimal(320)) for n in (3, 99)]}, OutOfStock),
        ({"card": "declined"}, CardDeclined),
        ({"card": "unlucky"}, ConnectionError),  # charged each time, but the answer is lost
        ({"address": "the moon"}, NoCourier),
    ],
)
async def test_what_was_done_is_undone(changes: dict[str, Any], reason: type[Exception]) -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(place_order, basket(**changes))
        with pytest.raises(RunFailedError) as failed:
            await run.result()
    assert isinstance(failed.value.__cause__, reason)
    assert nothing_is_left()


@pytest.mark.parametrize(("card", "requests"), [("flaky", 2), ("unlucky", 5)])
async def test_a_payment_under_way_is_returned_when_the_order_is_cancelled(card: str, requests: int) -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(place_order, basket(card=card))  # the bank's answer was lost; the step is retried
        assert bank.requests == 1
        await run.cancel("the customer changed her mind")
        with pytest.raises(RunCancelledError, match="changed her mind"):
            await run.result()
    assert bank.requests == requests
    assert nothing_is_left()


async def test_a_booking_under_way_is_undone_when_the_order_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    booked = couriers.book

    async def cancelled_meanwhile(address: str, key: str) -> str:
        await Orchestrator(env.world).cancel("test-1")
        return await booked(address, key)

    monkeypatch.setattr(couriers, "book", cancelled_meanwhile)
    async with WorkflowEnvironment() as env:
        run = await env.start(place_order, basket())
        with pytest.raises(RunCancelledError):
            await run.result()
        assert "cancel_courier" in [event.payload.get("name") for event in await run.events()]
    assert nothing_is_left()
