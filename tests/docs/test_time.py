"""The code of docs/guide/time.md, run."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.docs.models import ORDER, Approval, Order
from worldflow import now, sleep, step, wait_for_signal, workflow
from worldflow.testing import WorkflowEnvironment

pytestmark = pytest.mark.time_of_day

START = datetime(2026, 11, 22, 8, tzinfo=UTC)


async def test_sleeping() -> None:
    @workflow
    async def remind(customer: str) -> list[datetime]:
        times: list[datetime] = []
        await sleep("30d")
        times.append(now())
        await sleep(timedelta(hours=1))
        times.append(now())
        await sleep(datetime(2027, 1, 1, 8, tzinfo=UTC))
        times.append(now())
        return times

    async with WorkflowEnvironment(start_time=START) as env:
        run = await env.start(remind, "Ada")
        days = [time.isoformat()[:13] for time in await run.result()]
        assert days == ["2026-12-22T08", "2026-12-22T09", "2027-01-01T08"]


async def test_a_time_needs_a_timezone() -> None:
    @workflow
    async def remind(customer: str) -> str:
        try:
            await sleep(datetime(2027, 1, 1, 8))
        except ValueError:
            await sleep(datetime(2020, 1, 1, 8, tzinfo=UTC))
        return now().isoformat()[:13]

    async with WorkflowEnvironment(start_time=START) as env:
        run = await env.start(remind, "Ada")
        assert await run.result() == "2026-11-22T08"


async def test_a_timeout() -> None:
    @workflow
    async def approve(order: Order) -> str:
        try:
            async with asyncio.timeout(3 * 86_400):
                approval = await wait_for_signal("approval", Approval)
        except TimeoutError:
            return "nobody answered"
        return approval.by

    async with WorkflowEnvironment() as env:
        run = await env.start(approve, ORDER)
        assert await run.result() == "nobody answered"
        run = await env.start(approve, ORDER)
        await env.advance("2d")
        await run.signal("approval", {"approved": True, "by": "Grace"})
        assert await run.result() == "Grace"
        assert [e.event_type for e in await run.events()][-2:] == ["TimerCancelled", "RunCompleted"]


async def test_side_by_side() -> None:
    @step
    async def reserve(sku: str) -> str:
        return f"reserved {sku}"

    @workflow
    async def reserve_all(skus: list[str]) -> list[str]:
        return await asyncio.gather(*(reserve(sku) for sku in skus))

    @workflow
    async def reserve_some(skus: list[str]) -> list[str]:
        at_once = asyncio.Semaphore(10)

        async def reserve_one(sku: str) -> str:
            async with at_once:
                return await reserve(sku)

        return await asyncio.gather(*(reserve_one(sku) for sku in skus))

    async with WorkflowEnvironment() as env:
        assert await (await env.start(reserve_all, ["a", "b"])).result() == ["reserved a", "reserved b"]
        run = await env.start(reserve_some, [str(n) for n in range(12)])
        assert len(await run.result()) == 12
        first = [event.event_type for event in await run.events()][:12]
        assert first == ["RunStarted", *["StepScheduled"] * 10, "StepCompleted"]


async def test_a_race() -> None:
    @step
    async def ask(supplier: str) -> str:
        await asyncio.sleep(0 if supplier == "quick" else 0.1)
        return f"offer of {supplier}"

    @workflow
    async def first_offer(suppliers: list[str]) -> str:
        asked = [asyncio.create_task(ask(supplier)) for supplier in suppliers]
        done, others = await asyncio.wait(asked, timeout=3_600, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        return done.pop().result() if done else "no offer"

    async with WorkflowEnvironment() as env:
        run = await env.start(first_offer, ["slow", "quick"])
        assert await run.result() == "offer of quick"
        assert "TimerCancelled" in [event.event_type for event in await run.events()]


async def test_a_race_of_a_signal_and_a_timer() -> None:
    @workflow
    async def reminders(customer: str) -> int:
        answered = asyncio.create_task(wait_for_signal("answer"))
        sent = 0
        while not answered.done() and sent < 3:
            sent += 1
            await asyncio.wait([answered], timeout=86_400)
        return sent

    async with WorkflowEnvironment() as env:
        run = await env.start(reminders, "Ada")
        await env.advance("30h")
        await run.signal("answer")
        assert await run.result() == 2
        assert await (await env.start(reminders, "Bob")).result() == 3


async def test_a_workflow_that_takes_too_long() -> None:
    released: list[str] = []

    @step
    async def release(order: Order) -> None:
        released.append(order.order_id)

    @workflow(timeout="30d")
    async def fulfil_order(order: Order) -> str:
        try:
            return await wait_for_signal("approval", str)
        finally:
            await release(order)

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        with pytest.raises(Exception, match="TimeoutError: the workflow took longer than") as failed:
            await run.result()
        assert isinstance(failed.value.__cause__, TimeoutError)
    assert released == ["1001"]


async def test_ending_a_sleep() -> None:
    @workflow
    async def wait_for_spring(customer: str) -> datetime:
        await sleep("120d")
        return now()

    async with WorkflowEnvironment(start_time=START) as env:
        run = await env.start(wait_for_spring, "Ada")
        woken = await run.wake()
        assert woken == 1 and await run.result() == START
