"""Starting runs and awaiting their results, from outside."""

from decimal import Decimal
from typing import Any, assert_type

from pydantic import BaseModel

from worldflow import workflow
from worldflow.engine.history import Event
from worldflow.runtime import Orchestrator, RunHandle, SyncOrchestrator, SyncRunHandle
from worldflow.worlds import AWSWorld, LocalWorld, RunPage, RunRecord, SchedulePage, ScheduleRecord, World


class Order(BaseModel):
    sku: str


class Shipment(BaseModel):
    tracking: str


@workflow(name="types_fulfil")
async def fulfil(order: Order, express: bool = False) -> Shipment:
    return Shipment(tracking=order.sku)


@workflow(name="types_quiet")
async def quiet() -> None: ...


async def starting(orchestrator: Orchestrator, order: Order) -> None:
    run = await orchestrator.start_workflow("order-1", fulfil, {"order": order})
    assert_type(run, RunHandle[Shipment])
    assert_type(await run.result(timeout="1h"), Shipment)
    assert_type(await (await orchestrator.start_workflow("q", quiet)).result(), None)

    assert_type(fulfil.input(order, express=True), dict[str, Any])
    await orchestrator.start_workflow("order-2", fulfil, fulfil.input(order), reuse="failed_only", if_running="fail")
    fulfil.input()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    fulfil.input("order-1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    assert_type(await orchestrator.start_workflow("order-3", "fulfil", {"order": {}}), RunHandle[Any])
    assert_type(await orchestrator.start_workflow("order-3", workflow_name="fulfil"), RunHandle[Any])
    sent = await orchestrator.signal_with_start("order-4", fulfil, fulfil.input(order), signal="s", value=1)
    assert_type(sent, RunHandle[Shipment])


async def handles(orchestrator: Orchestrator) -> None:
    run = orchestrator.run("order-1")
    assert_type(run, RunHandle[Any])
    shipped: RunHandle[Shipment] = orchestrator.run("order-1")  # for who knows what its workflow returns
    assert_type(await shipped.result(), Shipment)
    assert_type(await shipped.retry(), RunHandle[Shipment])
    assert_type(await run.status(), str)
    assert_type(await run.record(), RunRecord)
    assert_type(await run.events(), list[Event])
    assert_type(await run.signal("approval", True), str)
    assert_type(await run.update("add", 1, timeout="10s"), Any)
    assert_type(await run.update("add", 1, type=int), int)
    assert_type(await run.query("total"), Any)
    assert_type(await run.query("total", Decimal | None), Decimal | None)
    assert_type(await orchestrator.query("order-1", "total", Decimal), Decimal)
    assert_type(await orchestrator.update("order-1", "add", 1, type=list[int]), list[int])
    assert_type(await orchestrator.list_runs(status="running", attributes={"customer": "Ada"}), RunPage)
    assert_type(await orchestrator.count_runs(status="running", id_prefix="order-"), int)
    await orchestrator.list_runs(status="lost")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def bare(run: RunHandle) -> RunHandle[int]:  # a handle without its type is one of any result
    return run


async def schedules(orchestrator: Orchestrator, order: Order) -> None:
    created = await orchestrator.create_schedule("s", fulfil, fulfil.input(order), schedule="rate(1 day)")
    assert_type(created, ScheduleRecord)
    assert_type(await orchestrator.list_schedules(), SchedulePage)


def waiting(orchestrator: SyncOrchestrator, order: Order) -> None:
    assert_type(Orchestrator(LocalWorld()).sync, SyncOrchestrator)
    run = orchestrator.start_workflow("order-1", fulfil, fulfil.input(order))
    assert_type(run, SyncRunHandle[Shipment])
    assert_type(run.result(timeout="1h"), Shipment)
    assert_type(orchestrator.start_workflow("order-2", "fulfil"), SyncRunHandle[Any])
    assert_type(orchestrator.run("order-1"), SyncRunHandle[Any])
    assert_type(run.record(), RunRecord)
    assert_type(run.update("add", 1), Any)
    assert_type(run.update("add", 1, type=int), int)
    assert_type(run.query("total"), Any)
    assert_type(orchestrator.query("order-1", "total", Decimal), Decimal)
    assert_type(orchestrator.list_runs(limit=10), RunPage)


async def worlds(world: World, aws: AWSWorld, local: LocalWorld) -> None:
    assert_type(await world.get_run_status("order-1"), dict[str, Any])
    assert_type(await aws.load_events("order-1", after=3), list[Event])
    Orchestrator(local)
    local.close()
