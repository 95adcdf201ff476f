"""The code of docs/guide/starting.md, run."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.docs.models import ORDER, Order
from worldflow import Batch, Debounce, RetryPolicy, RunFailedError, Throttle, now, step, workflow
from worldflow.testing import WorkflowEnvironment

pytestmark = pytest.mark.time_of_day

NEW_YEAR = datetime(2027, 1, 1, 8, tzinfo=UTC)


async def test_starting_later() -> None:
    @workflow
    async def remind(customer: str) -> str:
        return now().isoformat()[:13]

    async with WorkflowEnvironment(start_time=NEW_YEAR - timedelta(days=1)) as env:
        orchestrator = env.orchestrator
        run = await orchestrator.start_workflow("reminder-17", remind, {"customer": "Ada"}, delay="1h")

        later = run
        run = await orchestrator.start_workflow(
            "greeting-2027", remind, {"customer": "Ada"}, start_at=datetime(2027, 1, 1, 8, tzinfo=UTC)
        )

        assert await run.status() == "pending"
        assert await later.result() == "2026-12-31T09"
        assert await run.result() == "2027-01-01T08"


class InvalidOrder(Exception):
    pass


async def test_starting_again() -> None:
    tried = 0

    @step(retry=RetryPolicy(max_attempts=1))
    async def fetch_orders(day: str) -> list[str]:
        nonlocal tried
        tried += 1
        if tried < 3:
            raise ConnectionError("the shop is away")
        return ["1", "2"]

    @step
    async def store_orders(orders: list[str]) -> int:
        return len(orders)

    @workflow(retry=RetryPolicy(max_attempts=5, initial_interval="1m", non_retryable=(InvalidOrder,)))
    async def import_orders(day: str) -> int:
        orders = await fetch_orders(day)
        return await store_orders(orders)

    async with WorkflowEnvironment() as env:
        run = await env.start(import_orders, "2027-01-01")
        assert await run.result() == 2
        record = await run.record()
        assert (record.attempt, record.max_attempts) == (3, 5)


async def test_a_timeout_for_all_of_it() -> None:
    @step(retry=RetryPolicy(max_attempts=1))
    async def compare(account: str) -> str:
        raise ConnectionError("the bank is away")

    @workflow(timeout="1h", execution_timeout="1d", retry=RetryPolicy(max_attempts=10))
    async def reconcile(account: str) -> str:
        return await compare(account)

    async with WorkflowEnvironment() as env:
        run = await env.start(reconcile, "1")
        with pytest.raises(RunFailedError, match="the bank is away"):
            await run.result()


async def test_no_faster_than_a_rate() -> None:
    @step
    async def sync(tenant: str, day: str) -> str:
        return f"{tenant} {day}"

    @workflow(throttle=Throttle("10/1m", key=lambda tenant, day: tenant))
    async def sync_tenant(tenant: str, day: str) -> str:
        return await sync(tenant, day)

    async with WorkflowEnvironment() as env:
        runs = [await env.orchestrator.start_workflow(day, sync_tenant, {"tenant": "a", "day": day}) for day in "12"]
        assert [await run.result() for run in runs] == ["a 1", "a 2"]
        records = [await run.record() for run in runs]
        assert records[1].start_at and records[1].start_at - records[0].created_at > timedelta(seconds=5)


async def test_once_for_starts_that_follow_each_other() -> None:
    @step
    async def index(order: Order) -> str:
        return f"{order.order_id} for {order.total}"

    @workflow(debounce=Debounce("30s", max_wait="5m", key=lambda order: order.order_id))
    async def index_order(order: Order) -> str:
        return await index(order)

    async with WorkflowEnvironment() as env:
        orders = [Order(total=Decimal(total)) for total in (1, 2)]
        runs = [await env.orchestrator.start_workflow(f"{o.total}", index_order, {"order": o}) for o in orders]
        assert [run.id for run in runs] == ["1", "1"]
        assert await runs[0].result() == f"{ORDER.order_id} for 2"


async def test_once_for_many_starts() -> None:
    @step
    async def insert(rows: list[str]) -> int:
        return len(rows)

    @workflow(batch=Batch(100, wait="10s"))
    async def import_rows(rows: list[str]) -> int:
        return await insert(rows)

    async with WorkflowEnvironment() as env:
        orchestrator = env.orchestrator
        await orchestrator.start_workflow("row-1", import_rows, {"rows": ["a"]})
        await orchestrator.start_workflow("row-2", import_rows, {"rows": ["b", "c"]})
        run = env.orchestrator.run("row-1")
        assert await run.result() == 3
        assert (await run.record()).gathered == 2
