"""The code of docs/guide/restarting.md, run."""

import pytest

from tests.docs.models import ORDER, Order
from worldflow import RunExistsError, RunFailedError, step, wait_for_signal, workflow
from worldflow.runtime import Orchestrator
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
    bank_is_open, calls = [False], []

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
        run = await env.start(fulfil_order, ORDER)
        with pytest.raises(RunFailedError, match="the bank is closed"):
            await run.result()
        bank_is_open[0] = True
        orchestrator = Orchestrator(env.world)

        run = await orchestrator.retry(run.id)

        assert await env.run("test-1").result() == ["reserved", "charged"]
        assert await env.run("test-1~2").status() == "completed"
    assert calls == ["reserve", *["charge"] * 5]


async def test_a_workflow_that_failed_by_its_own_code() -> None:
    def broken() -> None:
        @workflow
        async def double(number: int) -> int:
            signal = await wait_for_signal("factor")
            return number * signal["factr"]

    def mended() -> None:
        @workflow
        async def double(number: int) -> int:
            signal = await wait_for_signal("factor")
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
