"""The code of docs/guide/seeing-in.md, run."""

import logging

import pytest

from tests.docs.models import Item
from worldflow import (
    InvalidInputError,
    QueryNotFoundError,
    SerializationError,
    logger,
    publish,
    set_attributes,
    set_status,
    signal_run,
    sleep,
    step,
    wait_for_signal,
    workflow,
    workflow_info,
)
from worldflow.runtime import Orchestrator
from worldflow.testing import WorkflowEnvironment


async def test_attributes_and_status() -> None:
    @step
    async def pack(sku: str) -> None: ...

    @workflow
    async def ship_all(customer: str, skus: list[str]) -> int:
        set_attributes(customer=customer, parcels=len(skus), late=False)
        for number, sku in enumerate(skus, start=1):
            set_status(f"packing {number} of {len(skus)}")
            await pack(sku)
            await sleep("1h")
        set_attributes(late=None)
        return len(skus)

    async with WorkflowEnvironment() as env:
        run = await env.start(ship_all, "ada", ["a", "b"])
        await env.start(ship_all, "bob", ["a", "b"])
        orchestrator = Orchestrator(env.world)

        page = await orchestrator.list_runs(attributes={"customer": "ada"}, status="running")
        for record in page.runs:
            print(record.run_id, record.status_text, record.attributes)

        assert [(record.run_id, record.status_text) for record in page.runs] == [("test-1", "packing 1 of 2")]
        assert page.runs[0].attributes == {"customer": "ada", "parcels": 2, "late": False}
        await run.result()
        assert (await run.record()).attributes == {"customer": "ada", "parcels": 2}


async def test_an_attribute_is_a_plain_value() -> None:
    @workflow
    async def f() -> str:
        try:
            set_attributes(customer=["ada"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        except SerializationError as error:
            return error.path
        return ""

    async with WorkflowEnvironment() as env:
        assert await (await env.start(f)).result() == "customer"


async def test_queries() -> None:
    @workflow
    async def cart(customer: str) -> int:
        items: list[Item] = []
        publish("items", items)
        publish("count", lambda: sum(item.quantity for item in items))

        def quantity(sku: str) -> int:
            return sum(item.quantity for item in items if item.sku == sku)

        publish("quantity", quantity)
        async for item in wait_for_signal("item", Item):
            items.append(item)
            if len(items) == 3:
                break
        return len(items)

    async with WorkflowEnvironment() as env:
        run = await env.start(cart, "ada")
        await run.signal("item", {"sku": "KEYBOARD", "quantity": 2})
        await run.signal("item", {"sku": "SCREEN"})
        before = len(await run.events())

        count = await run.query("count", int)

        assert count == 3
        count = await run.wait_published("count", int, timeout="30s")

        assert count == 3
        assert await run.query("items") == [{"sku": "KEYBOARD", "quantity": 2}, {"sku": "SCREEN", "quantity": 1}]
        keyboards = await run.query("quantity", int, sku="KEYBOARD")

        assert keyboards == 2
        with pytest.raises(InvalidInputError, match="sku: required, but missing"):
            await run.query("quantity", int)
        assert len(await run.events()) == before
        with pytest.raises(QueryNotFoundError, match="count, items, quantity"):
            await run.query("price")
        await run.signal("item", {"sku": "MOUSE"})
        assert await run.result() == 3
        assert await run.query("count", int) == 4


async def test_another_workflow_waits_for_a_value() -> None:
    @step
    async def count() -> int:
        return 3

    @workflow
    async def count_stock(asked_by: str) -> None:
        await signal_run(asked_by, "counted", await count())

    @workflow
    async def order_stock() -> int:
        count_stock.start_detached(workflow_info().run_id)
        return await wait_for_signal("counted", int)

    async with WorkflowEnvironment() as env:
        assert await (await env.start(order_stock)).result() == 3


async def test_the_log(caplog: pytest.LogCaptureFixture) -> None:
    @workflow
    async def ship(sku: str) -> None:
        logger.info("shipping %s", sku)
        await sleep("1h")
        logger.info("shipped %s", sku)

    caplog.set_level(logging.INFO, "worldflow.workflow")
    async with WorkflowEnvironment() as env:
        await (await env.start(ship, "a")).result()
    assert [record.getMessage() for record in caplog.records if record.name == "worldflow.workflow"] == [
        "shipping a",
        "shipped a",
    ]


async def test_the_history() -> None:
    @workflow
    async def hello() -> str:
        await sleep("1h")
        return "hello"

    shown: list[str] = []

    def print(*words: object) -> None:
        shown.append(str(words[0]))

    async with WorkflowEnvironment() as env:
        run = await env.start(hello)
        await run.result()
        orchestrator = Orchestrator(env.world)

        for event in await orchestrator.run(run.id).events(after=1):
            print(event.event_type, event.at, event.payload)

    assert shown == ["TimerStarted", "TimerFired", "RunCompleted"]
