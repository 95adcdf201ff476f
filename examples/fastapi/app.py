"""Orders over HTTP, with FastAPI: start one, look at it, approve it, await its shipment.

Runs are in a LocalWorld file, served by a worker in this process; or in a deployed stack, if its WORLDFLOW_* variables
are in the environment.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from workflows.order import Approval, Order, Shipment, fulfil_order
from worldflow import (
    RunCancelledError,
    RunEndedError,
    RunFailedError,
    RunNotFoundError,
    open_stream,
    step,
    workflow,
)
from worldflow.runtime import Orchestrator, RunHandle
from worldflow.streams import sse
from worldflow.worker import Worker
from worldflow.worlds import AWSWorld, LocalWorld


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    if "WORLDFLOW_EVENTS_TABLE" in os.environ:
        app.state.orchestrator = Orchestrator(AWSWorld())
        yield
        return
    with closing(LocalWorld(os.environ.get("WORLDFLOW_LOCAL", "orders.db"))) as world:
        app.state.orchestrator = Orchestrator(world)
        # Of several processes with this file, one serves.
        async with Worker(world, standby=True):
            yield


app = FastAPI(title="Orders", lifespan=lifespan)


def run_of(order_id: str) -> RunHandle:
    orchestrator: Orchestrator = app.state.orchestrator
    return orchestrator.run(f"order-{order_id}")


@app.post("/orders", status_code=201)
async def place(order: Order) -> dict[str, str]:
    """Starts the order's run. An order that comes twice is one run."""
    run = await app.state.orchestrator.start_workflow(f"order-{order.order_id}", fulfil_order, {"order": order})
    return {"order_id": order.order_id, "status": await run.status()}


@app.get("/orders/{order_id}")
async def show(order_id: str) -> dict[str, str]:
    return {"order_id": order_id, "status": await run_of(order_id).status()}


@app.post("/orders/{order_id}/approval", status_code=202)
async def approve(order_id: str, approval: Approval) -> None:
    await run_of(order_id).signal("approval", approval)


@app.get("/orders/{order_id}/shipment")
async def shipment(order_id: str) -> Shipment:
    """Waits until the order is shipped, for up to ten seconds."""
    shipped: Shipment = await run_of(order_id).result(timeout="10s")
    return shipped


@step
async def write_note(customer: str) -> str:
    """Writes the note in a gift's parcel, word by word, as a language model does."""
    note = f"Dear {customer}, somebody thought of you today, and so did we while we packed this."
    async with open_stream("note", str) as out:
        for word in note.split():
            await out.write(f"{word} ")
            await asyncio.sleep(0.05)
    return note


@workflow
async def gift_note(customer: str) -> str:
    return await write_note(customer)


@app.put("/orders/{order_id}/note", status_code=202)
async def order_note(order_id: str, customer: str) -> None:
    await app.state.orchestrator.start_workflow(f"note-{order_id}", gift_note, {"customer": customer})


@app.get("/orders/{order_id}/note")
async def read_note(order_id: str, request: Request) -> Response:
    """The words of the note as they are written, for an `EventSource`."""
    return sse(app.state.orchestrator.run(f"note-{order_id}"), "note", request)


STATUSES = {
    RunNotFoundError: 404,
    RunEndedError: 409,
    RunFailedError: 409,
    RunCancelledError: 409,
    TimeoutError: 504,
}


async def refuse(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, STATUSES[type(error)])


for kind in STATUSES:
    app.add_exception_handler(kind, refuse)
