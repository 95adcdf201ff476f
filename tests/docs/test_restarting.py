"""The code of docs/guide/restarting.md, run."""

import asyncio

import pytest

from tests.docs.models import ORDER, Approval, Order
from worldflow import (
    FatalError,
    RetryPolicy,
    RunExistsError,
    RunFailedError,
    create_hook,
    on_update,
    step,
    step_info,
    wait_for_signal,
    workflow,
)
from worldflow.runtime import Orchestrator, RunHandle
from worldflow.testing import WorkflowEnvironment


async def test_starting_an_id_again() -> None:
    order = ORDER

    @workflow
    async def fulfil_order(order: Order) -> str:
        return await wait_for_signal("approval", str)

    async with WorkflowEnvironment() as env:
        orchestrator = Orchestrator(env.world)

        run = await orchestrator.start_workflow("order-1001", fulfil_order, {"order": order})

        again = await orchestrator.start_workflow("order-1001", fulfil_order, {"order": order})
        assert again.id == run.id == "order-1001"
        with pytest.raises(RunExistsError):
            await orchestrator.start_workflow("order-1001", fulfil_order, {"order": order}, if_running="fail")
        await orchestrator.start_workflow("order-1001", fulfil_order, {"order": order}, if_running="terminate_existing")
        assert await env.run("order-1001~2").status() == "pending"
        await env.settle()
        assert env.world.read_run("order-1001").status == "cancelled"
        await env.run("order-1001").signal("approval", "yes")
        assert await env.run("order-1001").result() == "yes"

        for reuse in ("reject", "failed_only"):
            with pytest.raises(RunExistsError):
                await orchestrator.start_workflow("order-1001", fulfil_order, {"order": order}, reuse=reuse)

        run = await orchestrator.start_workflow("order-1001", fulfil_order, {"order": order}, reuse="allow")

        await env.settle()
        await env.run("order-1001").signal("approval", "maybe")
        assert await env.run("order-1001").result() == "maybe"
        with pytest.raises(TimeoutError):
            await (await orchestrator.start_workflow("order-1", fulfil_order, {"order": order})).result(timeout=0.01)

        result = await run.result(timeout="30s")

        assert result == "maybe"


async def test_a_failed_step_is_retried() -> None:
    bank_is_open = [False]
    calls: list[str] = []

    @step
    async def reserve(order: Order) -> str:
        calls.append("reserve")
        return "reserved"

    @step
    async def charge(order: Order) -> str:
        calls.append("charge")
        if not bank_is_open[0]:
            raise ConnectionError("the bank is closed")
        return "charged"

    @workflow
    async def fulfil_order(order: Order) -> list[str]:
        return [await reserve(order), await charge(order)]

    async with WorkflowEnvironment() as env:
        run: RunHandle = await env.start(fulfil_order, ORDER)
        with pytest.raises(RunFailedError, match="the bank is closed"):
            await run.result()
        bank_is_open[0] = True
        orchestrator = Orchestrator(env.world)

        run = await orchestrator.retry(run.id)

        assert await env.run("test-1").result() == ["reserved", "charged"]
        assert await env.run("test-1~2").status() == "completed"
    assert calls == ["reserve", *["charge"] * 5]


async def test_what_a_retried_run_has() -> None:
    keys: dict[str, list[str]] = {"charge": [], "pack": [], "refund": []}
    written: list[str] = []

    @step(retry=RetryPolicy(max_attempts=1))
    async def charge(order: Order) -> str:
        keys["charge"].append(step_info().idempotency_key)
        if len(keys["charge"]) == 1:
            raise ConnectionError("the bank is closed")
        return "charged"

    @step
    async def pack(order: Order) -> str:
        keys["pack"].append(step_info().idempotency_key)
        return "packed"

    @step
    async def refund(order: Order) -> None:
        keys["refund"].append(step_info().idempotency_key)

    @step
    async def write(text: str) -> str:
        written.append(text)
        return text

    @workflow
    async def insure(order: Order) -> str:
        return await wait_for_signal("insured", str)

    @workflow
    async def deliver(order: Order) -> str:
        return await wait_for_signal("delivered", str)

    @workflow
    async def fulfil_order(order: Order) -> list[str]:
        @on_update("note")
        async def note(text: str) -> str:
            return await write(text)

        hook = create_hook(str, token="parcel")
        insurance = asyncio.create_task(insure(order))
        delivery = asyncio.create_task(deliver.options(parent_close="abandon")(order))
        packing = asyncio.create_task(pack(order))
        try:
            charged = await charge(order)
        except ConnectionError:
            await packing
            await refund(order)
            await wait_for_signal("seen")
            raise
        return [charged, await packing, await wait_for_signal("approval"), await hook, await insurance, await delivery]

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        assert await run.update("note", "fragile") == "fragile"
        await run.signal("approval", "approved")
        await env.resume_hook("parcel", "dropped")
        await run.signal("seen")
        with pytest.raises(RunFailedError):
            await run.result()
        await run.retry()
        await env.run("test-1~2~c1").signal("insured", "insured")
        await env.run("test-1~c2").signal("delivered", "delivered")
        assert await run.result() == ["charged", "packed", "approved", "dropped", "insured", "delivered"]
    assert keys["charge"] == ["test-1/s1", "test-1/s1"]
    assert keys["pack"] == ["test-1/s2"]
    assert keys["refund"] == ["test-1/s3"]
    assert written == ["fragile", "fragile"]


async def test_a_workflow_that_failed_by_its_own_code() -> None:
    def broken() -> None:
        @workflow
        async def double(number: int) -> int:
            signal = await wait_for_signal("factor", dict[str, int])
            return number * signal["factr"]

    def mended() -> None:
        @workflow
        async def double(number: int) -> int:
            signal = await wait_for_signal("factor", dict[str, int])
            return number * signal["factor"]

    async with WorkflowEnvironment() as env:
        broken()
        await Orchestrator(env.world).start_workflow("double-1", "double", {"number": 21})
        run = env.run("double-1")
        await run.signal("factor", {"factor": 2})
        with pytest.raises(RunFailedError):
            await run.result()
        mended()
        await run.retry()
        assert await run.result() == 42


async def test_forking() -> None:
    @step
    async def reserve(order: Order) -> str:
        return "reserved"

    @workflow
    async def fulfil_order(order: Order) -> list[str]:
        return [await reserve(order), await wait_for_signal("approval", str)]

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        await run.signal("approval", "no")
        assert await run.result() == ["reserved", "no"]
        orchestrator = Orchestrator(env.world)

        other = await orchestrator.fork(run.id, "order-1001-again", after=3)

        await env.settle()
        taken_over = ["RunStarted", "StepScheduled", "StepCompleted"]
        assert [event.event_type for event in await other.events()] == [*taken_over, "RunForked"]
        await env.run(other.id).signal("approval", "yes")
        assert await env.run(other.id).result() == ["reserved", "yes"]


async def test_forking_with_edits() -> None:
    @step
    async def reserve(order: Order) -> str:
        return "reserved"

    @workflow
    async def fulfil_order(order: Order) -> list[str]:
        reserved = await reserve(order)
        approval = await wait_for_signal("approval", Approval)
        return [reserved, approval.by if approval.approved else "declined"]

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        await run.signal("approval", Approval(approved=False, by="Ada"))
        assert await run.result() == ["reserved", "declined"]
        orchestrator = Orchestrator(env.world)

        other = await orchestrator.fork(run.id, "order-1001-what-if", edit={4: {"approved": True, "by": "Grace"}})

        await env.settle()
        assert await env.run(other.id).result() == ["reserved", "Grace"]
        forked = next(event for event in await other.events() if event.event_type == "RunForked")
        assert forked.edit == {"4": {"approved": True, "by": "Grace"}}


async def test_a_retry_with_another_input() -> None:
    @step
    async def charge(order: Order) -> str:
        if order.card == "expired":
            raise FatalError("the card has expired")
        return "charged"

    @workflow
    async def fulfil_order(order: Order) -> str:
        return await charge(order)

    async with WorkflowEnvironment() as env:
        run: RunHandle = await env.start(fulfil_order, Order(card="expired"))
        with pytest.raises(RunFailedError):
            await run.result()
        corrected = ORDER
        orchestrator = Orchestrator(env.world)

        run = await orchestrator.retry(run.id, input={"order": corrected})

        assert await env.run("test-1").result() == "charged"


async def test_what_stays_the_other_runs() -> None:
    @workflow
    async def deliver(order: Order) -> str:
        return await wait_for_signal("delivered", str)

    @workflow
    async def ship(order: Order) -> str:
        return await deliver.options(parent_close="abandon")(order)

    async with WorkflowEnvironment() as env:
        run = await env.start(ship, ORDER)
        await Orchestrator(env.world).fork(run.id, "again", after=1)
        await env.settle()
        await env.run("again~c1").signal("delivered", "twice")
        assert await env.run("again").result() == "twice"
        assert await run.status() == "running"


async def test_a_blocked_run_is_resumed() -> None:
    @step
    async def charge(order: Order) -> str:
        return "charged"

    @step
    async def check(order: Order) -> str:
        return "checked"

    def one_way() -> None:
        @workflow
        async def fulfil_order(order: Order) -> str:
            await charge(order)
            return await wait_for_signal("approval", str)

    def other_way() -> None:
        @workflow
        async def fulfil_order(order: Order) -> str:
            await check(order)
            return await wait_for_signal("approval", str)

    async with WorkflowEnvironment() as env:
        orchestrator = Orchestrator(env.world)
        one_way()
        run = await orchestrator.start_workflow("order-1001", "fulfil_order", {"order": ORDER})
        await env.settle()
        other_way()
        await run.signal("approval", "yes")
        await env.settle()
        assert await run.status() == "blocked"
        one_way()

        await orchestrator.resume(run.id)

        await env.settle()
        assert await run.result() == "yes"
