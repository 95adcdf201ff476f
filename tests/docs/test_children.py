"""The code of docs/guide/children.md, run."""

import asyncio
from typing import Literal

import pytest

from tests.docs.models import ORDER, CardDeclined, Order
from worldflow import RunCancelledError, RunExistsError, sleep, step, wait_for_signal, workflow, workflow_info
from worldflow.testing import WorkflowEnvironment


async def test_a_child_is_awaited() -> None:
    @step
    async def reserve(sku: str) -> str:
        return f"parcel of {sku}"

    @workflow
    async def pack(sku: str) -> str:
        assert workflow_info().parent_run_id == "test-1"
        return await reserve(sku)

    @workflow
    async def ship_all(skus: list[str]) -> list[str]:
        first = await pack(skus[0])
        others = await asyncio.gather(*(pack(sku) for sku in skus[1:]))
        return [first, *others]

    async with WorkflowEnvironment() as env:
        run = await env.start(ship_all, ["a", "b", "c"])
        assert await run.result() == ["parcel of a", "parcel of b", "parcel of c"]
        assert await env.run("test-1~c1").result() == "parcel of a"


async def test_a_child_that_fails() -> None:
    @workflow
    async def charge(order: Order) -> str:
        raise CardDeclined("no")

    @workflow
    async def fulfil_order(order: Order) -> str:
        try:
            return await charge(order)
        except CardDeclined:
            return "declined"
        except RunCancelledError:
            return "cancelled"

    async with WorkflowEnvironment() as env:
        assert await (await env.start(fulfil_order, ORDER)).result() == "declined"


async def test_a_child_that_somebody_cancels() -> None:
    @workflow
    async def charge(order: Order) -> str:
        return await wait_for_signal("charged", str)

    @workflow
    async def fulfil_order(order: Order) -> str:
        try:
            return await charge(order)
        except RunCancelledError:
            return "cancelled"

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        await env.run("test-1~c1").cancel()
        assert await run.result() == "cancelled"


async def test_options() -> None:
    @workflow
    async def deliver(order: Order) -> str:
        return await wait_for_signal("delivered", str)

    @workflow
    async def fulfil_order(order: Order) -> str:
        delivery = deliver.options(run_id=f"delivery-{order.order_id}", parent_close="abandon")
        async with asyncio.timeout(3_600):
            return await asyncio.shield(delivery(order))

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        with pytest.raises(Exception, match="TimeoutError"):
            await run.result()
        child = env.run("delivery-1001")
        assert await child.status() == "running"
        other = await env.start(fulfil_order, ORDER)
        with pytest.raises(Exception, match="exists") as failed:
            await other.result()
        assert isinstance(failed.value.__cause__, RunExistsError)
        await child.signal("delivered", "P1")
        assert await child.result() == "P1"


@pytest.mark.parametrize(("parent_close", "cleaned"), [("cancel", ["1001"]), ("terminate", [])])
async def test_a_parent_that_ends_first(parent_close: Literal["cancel", "terminate"], cleaned: list[str]) -> None:
    cleaned_up: list[str] = []

    @step
    async def clean_up(order: Order) -> None:
        cleaned_up.append(order.order_id)

    @workflow
    async def watch(order: Order) -> None:
        try:
            await sleep("90d")
        finally:
            await clean_up(order)

    @workflow
    async def fulfil_order(order: Order) -> str:
        asyncio.create_task(watch.options(parent_close=parent_close)(order))  # noqa: RUF006
        await sleep("1h")
        return "done"

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        assert await run.result() == "done"
        await env.settle()
        assert await env.run("test-1~c1").status() == "cancelled"
    assert cleaned_up == cleaned


async def test_a_child_that_nobody_awaits() -> None:
    @workflow
    async def survey(customer: str) -> str:
        await sleep("14d")
        return f"asked {customer}"

    @workflow
    async def fulfil_order(customer: str) -> str:
        survey_id = survey.start_detached(customer)
        return survey_id

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, "Ada")
        assert await env.run(await run.result()).result() == "asked Ada"


async def test_an_await_that_is_cancelled() -> None:
    @workflow
    async def deliver(order: Order) -> str:
        return await wait_for_signal("delivered", str)

    @workflow
    async def fulfil_order(order: Order) -> str:
        try:
            async with asyncio.timeout(3_600):
                return await deliver(order)
        except TimeoutError:
            await sleep(1)
            return "too late"

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        assert await run.result() == "too late"
        assert await env.run("test-1~c1").status() == "cancelled"
