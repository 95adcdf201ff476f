"""The code of docs/guide/cancelling.md, run."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from tests.docs.models import ORDER, Order
from worldflow import (
    InvalidInputError,
    RunCancelledError,
    RunEndedError,
    sleep,
    step,
    step_info,
    wait_for_signal,
    workflow,
)
from worldflow.runtime import Orchestrator
from worldflow.testing import WorkflowEnvironment


async def test_cleaning_up() -> None:
    released: list[str] = []

    @step
    async def reserve(order: Order) -> str:
        return f"reservation of {order.order_id}"

    @step
    async def release(reservation: str) -> None:
        released.append(reservation)

    @workflow
    async def hold(order: Order) -> str:
        reservation = await reserve(order)
        try:
            await sleep("3d")
        except asyncio.CancelledError:
            await release(reservation)
            raise
        return reservation

    async with WorkflowEnvironment() as env:
        orchestrator = Orchestrator(env.world)
        run = await env.start(hold, ORDER)

        await orchestrator.cancel(run.id, "the customer changed her mind")

        with pytest.raises(RunCancelledError, match="changed her mind"):
            await run.result()
        assert await run.status() == "cancelled"
        with pytest.raises(RunEndedError):
            await run.cancel()
    assert released == ["reservation of 1001"]


async def test_a_workflow_that_returns_all_the_same() -> None:
    @workflow
    async def hold(order: Order) -> str:
        try:
            await sleep("3d")
        except asyncio.CancelledError:
            return "let go"
        return "held"

    async with WorkflowEnvironment() as env:
        run = await env.start(hold, ORDER)
        await run.cancel()
        assert await run.result() == "let go"
        assert await run.status() == "completed"


async def test_a_step_that_must_come_to_its_end() -> None:
    refunded: list[str] = []

    shipped: list[str] = []

    class bank:
        @staticmethod
        async def charge(order: Order) -> str:
            for _ in range(500):
                if cancelled.is_set():
                    break
                await asyncio.sleep(0.01)
            return f"charge of {order.order_id}"

    @step
    async def refund(receipt: str) -> None:
        refunded.append(receipt)

    @step
    async def ship(order: Order) -> None:
        shipped.append(order.order_id)

    @step(cancellation="wait")
    async def charge(order: Order) -> str:
        return await bank.charge(order)

    @workflow
    async def buy(order: Order) -> str:
        async with AsyncExitStack() as undo:
            receipt = await charge(order)
            undo.push_async_callback(refund, receipt)
            await ship(order)
            undo.pop_all()
        return receipt

    cancelled = asyncio.Event()
    async with WorkflowEnvironment() as env:
        starting = asyncio.create_task(env.start(buy, ORDER))  # which ends when the step does
        await until(lambda: env.world.load_history("test-1", 1))
        await Orchestrator(env.world).cancel("test-1")
        await until(lambda: env.world.load_history("test-1", 2))
        cancelled.set()
        run = await starting
        with pytest.raises(RunCancelledError):
            await run.result()
    assert refunded == ["charge of 1001"]
    assert shipped == []


async def test_a_step_learns_of_it_at_its_heartbeat() -> None:
    ended = threading.Event()

    @step(heartbeat_timeout="1m")
    def render(frames: int) -> int:
        try:
            for frame in range(frames):
                draw(frame)
                step_info().heartbeat(frame)
        except asyncio.CancelledError:
            throw_away()
            raise
        return frames

    def draw(frame: int) -> None:
        ended.wait(0.01)

    def throw_away() -> None:
        ended.set()

    @workflow
    async def film(frames: int) -> str:
        rendering = asyncio.create_task(render(frames))
        await wait_for_signal("stop")
        rendering.cancel()
        await sleep("1s")
        return "cut"

    async with WorkflowEnvironment() as env:
        starting = asyncio.create_task(env.start(film, 1_000))  # which ends when the step does
        await until(lambda: env.world.load_history("test-1", 1))
        await Orchestrator(env.world).signal("test-1", "stop")
        run = await starting
        assert await run.result() == "cut"
        assert ended.is_set()


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def test_terminating() -> None:
    released: list[str] = []

    @step
    async def release(order: Order) -> None:
        released.append(order.order_id)

    @workflow
    async def hold(order: Order) -> None:
        try:
            await sleep("3d")
        finally:
            await release(order)

    async with WorkflowEnvironment() as env:
        orchestrator = Orchestrator(env.world)
        run = await env.start(hold, ORDER)

        await orchestrator.terminate(run.id, "the shop has closed")

        with pytest.raises(RunCancelledError, match="the shop has closed"):
            await run.result()
    assert released == []


async def test_pausing() -> None:
    @workflow
    async def hold(order: Order) -> str:
        await sleep("3d")
        return order.order_id

    async with WorkflowEnvironment() as env:
        orchestrator = Orchestrator(env.world)
        run = await env.start(hold, ORDER)

        await orchestrator.pause(run.id, "the bank is down", by="Grace")

        await env.advance("4d")
        record = await run.record()
        assert record.status == "paused" and record.paused
        assert (record.paused.by, record.paused.reason) == ("Grace", "the bank is down")

        await orchestrator.unpause(run.id)

        assert await run.result() == "1001"


async def test_pausing_a_workflow() -> None:
    @workflow
    async def fulfil_order(order: Order) -> str:
        return order.order_id

    async with WorkflowEnvironment() as env:
        orchestrator = Orchestrator(env.world)

        await orchestrator.pause_workflow(fulfil_order, "the bank is down", by="Grace")

        assert [pause.by for pause in await orchestrator.paused_workflows()] == ["Grace"]
        run = await env.start(fulfil_order, ORDER)
        await env.advance("1h")
        assert (await run.record()).status == "paused"
        with pytest.raises(InvalidInputError, match="rate"):
            await orchestrator.unpause_workflow(fulfil_order, rate="fast")

        await orchestrator.unpause_workflow(fulfil_order, rate="20/1s")

        assert await run.result() == "1001"
