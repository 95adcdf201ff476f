"""Orders over HTTP, with Flask: start one, look at it, approve it, await its shipment.

Runs are in a LocalWorld file, served by a worker in this process; or in a deployed stack, if its WORLDFLOW_* variables
are in the environment.
"""

import os

from flask import Flask, request
from pydantic import ValidationError

from workflows.order import Approval, Order, fulfil_order
from worldflow import RunCancelledError, RunEndedError, RunFailedError, RunNotFoundError
from worldflow.runtime import Orchestrator, SyncOrchestrator
from worldflow.worker import BackgroundWorker, Worker
from worldflow.worlds import AWSWorld, LocalWorld

Answer = tuple[dict[str, object], int]

STATUSES = {
    ValidationError: 422,
    RunNotFoundError: 404,
    RunEndedError: 409,
    RunFailedError: 409,
    RunCancelledError: 409,
    TimeoutError: 504,
}


def open_orchestrator() -> SyncOrchestrator:
    if "WORLDFLOW_EVENTS_TABLE" in os.environ:
        return Orchestrator(AWSWorld()).sync
    world = LocalWorld(os.environ.get("WORLDFLOW_LOCAL", "orders.db"))
    # Of several processes with this file, one serves. The worker ends with its process.
    BackgroundWorker(Worker(world, standby=True)).start()
    return Orchestrator(world).sync


def create_app() -> Flask:
    """The application. Call it in the process that serves, and not before a fork."""
    app = Flask(__name__)
    orchestrator = open_orchestrator()

    @app.post("/orders")
    def place() -> Answer:
        """Starts the order's run. An order that comes twice is one run."""
        order = Order.model_validate_json(request.data)
        run = orchestrator.start_workflow(f"order-{order.order_id}", fulfil_order, {"order": order})
        return {"order_id": order.order_id, "status": run.status()}, 201

    @app.get("/orders/<order_id>")
    def show(order_id: str) -> Answer:
        return {"order_id": order_id, "status": orchestrator.run(f"order-{order_id}").status()}, 200

    @app.post("/orders/<order_id>/approval")
    def approve(order_id: str) -> Answer:
        approval = Approval.model_validate_json(request.data)
        orchestrator.signal(f"order-{order_id}", "approval", approval)
        return {}, 202

    @app.get("/orders/<order_id>/shipment")
    def shipment(order_id: str) -> Answer:
        """Waits until the order is shipped, for up to ten seconds."""
        shipped = orchestrator.run(f"order-{order_id}").result(timeout="10s")
        return shipped.model_dump(mode="json"), 200

    def refuse(error: Exception) -> Answer:
        return {"error": str(error)}, STATUSES[type(error)]

    for kind in STATUSES:
        app.register_error_handler(kind, refuse)
    return app
