"""Orders over HTTP, with Django: start one, look at it, approve it, await its shipment.

Runs are in a LocalWorld file, served by a worker in this process; or in a deployed stack, if its WORLDFLOW_* variables
are in the environment. This one file stands for a project's settings, URLs, views and WSGI application.
"""

import os
from functools import cache

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_POST
from pydantic import ValidationError

from workflows.order import Approval, Order, fulfil_order
from worldflow import RunCancelledError, RunEndedError, RunFailedError, RunNotFoundError
from worldflow.runtime import Orchestrator, SyncOrchestrator
from worldflow.worker import BackgroundWorker, Worker
from worldflow.worlds import AWSWorld, LocalWorld

STATUSES = {
    ValidationError: 422,
    RunNotFoundError: 404,
    RunEndedError: 409,
    RunFailedError: 409,
    RunCancelledError: 409,
    TimeoutError: 504,
}


@cache
def orchestrator() -> SyncOrchestrator:
    """Opened by the process that serves, and not before a fork."""
    if "WORLDFLOW_EVENTS_TABLE" in os.environ:
        return Orchestrator(AWSWorld()).sync
    world = LocalWorld(os.environ.get("WORLDFLOW_LOCAL", "orders.db"))
    # Of several processes with this file, one serves. The worker ends with its process.
    BackgroundWorker(Worker(world, standby=True)).start()
    return Orchestrator(world).sync


@require_POST
def place(request: HttpRequest) -> JsonResponse:
    """Starts the order's run. An order that comes twice is one run."""
    order = Order.model_validate_json(request.body)
    run = orchestrator().start_workflow(f"order-{order.order_id}", fulfil_order, {"order": order})
    return JsonResponse({"order_id": order.order_id, "status": run.status()}, status=201)


@require_GET
def show(request: HttpRequest, order_id: str) -> JsonResponse:
    return JsonResponse({"order_id": order_id, "status": orchestrator().run(f"order-{order_id}").status()})


@require_POST
def approve(request: HttpRequest, order_id: str) -> JsonResponse:
    approval = Approval.model_validate_json(request.body)
    orchestrator().signal(f"order-{order_id}", "approval", approval)
    return JsonResponse({}, status=202)


@require_GET
def shipment(request: HttpRequest, order_id: str) -> JsonResponse:
    """Waits until the order is shipped, for up to ten seconds."""
    shipped = orchestrator().run(f"order-{order_id}").result(timeout="10s")
    return JsonResponse(shipped.model_dump(mode="json"))


class Errors:
    """Middleware that answers with the errors of runs as JSON."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request: HttpRequest):
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> JsonResponse | None:
        status = STATUSES.get(type(error))
        return JsonResponse({"error": str(error)}, status=status) if status else None


urlpatterns = [
    path("orders", place),
    path("orders/<order_id>", show),
    path("orders/<order_id>/approval", approve),
    path("orders/<order_id>/shipment", shipment),
]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[f"{__name__}.Errors"])
application = get_wsgi_application()
orchestrator()  # so that the runs of this file continue at once, and not with the first request
