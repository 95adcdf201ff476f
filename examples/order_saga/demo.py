"""An order that is charged but cannot be delivered: `python -m examples.order_saga.demo`."""

from contextlib import suppress
from decimal import Decimal

from examples.order_saga.services import bank, couriers, warehouse
from examples.order_saga.workflow import Basket, Line, place_order
from examples.showing import show
from worldflow import RunFailedError
from worldflow.engine.history import Event
from worldflow.runtime import Orchestrator
from worldflow.worker import Worker
from worldflow.worlds import LocalWorld

BASKET = Basket(
    customer="Ada",
    card="flaky",
    address="the moon",
    lines=[
        Line(sku="KEYBOARD", quantity=2, unit_price=Decimal(150)),
        Line(sku="SCREEN", quantity=3, unit_price=Decimal(320)),
    ],
)


async def demo() -> list[Event]:
    warehouse.latency, bank.latency, couriers.latency = 0.3, 0.5, 0.4
    world = LocalWorld()
    async with Worker(world):
        run = await Orchestrator(world).start_workflow("order-1001", place_order, {"basket": BASKET})
        with suppress(RunFailedError):
            await run.result()
        events = await run.events()
    world.close()
    return events


if __name__ == "__main__":
    show(demo)
