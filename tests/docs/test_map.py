"""The code of docs/guide/map.md, run."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from worldflow import FatalError, MapFailedError, RunFailedError, logger, map_steps, step, wait_for_signal, workflow
from worldflow.runtime import Orchestrator
from worldflow.sources import steps, stores
from worldflow.testing import WorkflowEnvironment


async def test_some_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    @step
    async def send_invoice(order_id: str) -> str:
        if order_id == "1002":
            raise FatalError("no address")
        return f"invoice of {order_id}"

    @workflow
    async def send_invoices(order_ids: list[str]) -> list[str]:
        sent = await map_steps(send_invoice, order_ids, concurrency=20, tolerated_failures=5)
        for failure in sent.failures:
            logger.warning("no invoice for %s: %s", failure.item, failure.error)
        return sent.succeeded

    async with WorkflowEnvironment() as env:
        run = await env.start(send_invoices, ["1001", "1002", "1003"])
        assert await run.result() == ["invoice of 1001", "invoice of 1003"]
    assert "no invoice for 1002: no address" in caplog.text


async def test_enough_successes() -> None:
    reports: list[str] = []

    @step
    async def ask_for_quote(supplier: int) -> int:
        if supplier < 0:
            raise FatalError("no answer")
        return supplier

    @step
    async def report(line: str) -> None:
        reports.append(line)

    @workflow
    async def cheapest(suppliers: list[int]) -> int:
        try:
            quotes = await map_steps(ask_for_quote, suppliers, min_successful=3)
        except MapFailedError as error:
            await report(f"{error.succeeded} of {error.total} suppliers answered")
            raise
        return min(quotes.succeeded)

    async with WorkflowEnvironment() as env:
        assert await (await env.start(cheapest, [7, -1, 5, 9])).result() == 5
        failed = await env.start(cheapest, [7, -1, -2])
        with pytest.raises(RunFailedError) as caught:
            await failed.result()
    assert isinstance(caught.value.__cause__, MapFailedError)
    assert reports == ["1 of 3 suppliers answered"]


async def test_items_that_come_with_time() -> None:
    @step
    async def make_thumbnail(key: str) -> str:
        return f"{key}.png"

    @workflow
    async def thumbnails() -> int:
        async def uploads() -> AsyncIterator[str]:
            async for key in wait_for_signal("uploaded", str):
                if key == "end":
                    return
                yield key

        made = await map_steps(make_thumbnail, uploads(), concurrency=4)
        return len(made.succeeded)

    async with WorkflowEnvironment() as env:
        run = await env.start(thumbnails)
        for key in ("cat", "dog", "end"):
            await run.signal("uploaded", key)
        assert await run.result() == 2


async def test_many_items(caplog: pytest.LogCaptureFixture) -> None:
    @step
    async def send_invoice(order_id: str) -> str:
        if order_id == "1002":
            raise FatalError("no address")
        return f"invoice of {order_id}"

    @workflow
    async def send_all(order_ids: list[str]) -> int:
        sent = await map_steps(send_invoice, order_ids, page_size=500, pages=4, concurrency=50, tolerated_failures=100)
        for failure in sent.failures:
            logger.warning("no invoice for order %d, %s: %s", failure.index, failure.item, failure.error)
        return sent.succeeded

    async with WorkflowEnvironment() as env:
        run = await env.start(send_all, ["1001", "1002", "1003"])
        assert await run.result() == 2
        orchestrator = Orchestrator(env.world)

        async def all_failures(page_ids: list[str]) -> list[str]:
            found: list[str] = []
            for page in page_ids:
                found += [failure["error"] for failure in await orchestrator.run(page).query("failures")]
            return found

        assert await all_failures([f"{run.id}~c1"]) == ["FatalError: no address"]
    assert "no invoice for order 1, 1002: no address" in caplog.text


async def test_items_in_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from worldflow.sources import S3Csv, S3Lines, S3Objects

    @step
    async def send_order(order: dict[str, int]) -> int:
        return order["n"]

    @workflow
    async def send_orders(url: str) -> int:
        return (await map_steps(send_order, S3Lines(url), page_size=1_000, tolerated_failure_percentage=1)).succeeded

    @workflow
    async def send_orders_of(key: str) -> int:
        return await send_orders(f"s3://acme-orders/{key}")

    @workflow
    async def send_year(prefix: str) -> int:
        return (await map_steps(send_orders_of, S3Objects(prefix), page_size=100)).succeeded

    assert S3Csv("s3://bucket/key", delimiter=";").delimiter == ";"
    for month in (1, 2):
        (tmp_path / f"2026-{month}").write_text('{"n": 1}\n{"n": 2}\n')
    store_of = stores.store_of

    def on_this_machine(url: str) -> stores.Store:
        return store_of(url.replace("s3://acme-orders/", "file://"))

    monkeypatch.setattr(steps, "store_of", on_this_machine)
    async with WorkflowEnvironment() as env:
        assert await (await env.start(send_year, f"{tmp_path.as_uri()}/2026")).result() == 2
        assert await env.run("test-1~c1~c2~c1").result() == 2
