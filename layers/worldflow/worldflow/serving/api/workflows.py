"""The routes of workflows as a whole: pausing them."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import BaseModel, ConfigDict

from worldflow.runtime import workflow_pauses
from worldflow.serving.api.parameters import Id, caller_of
from worldflow.worlds import World

UNPAUSE_SECONDS = 15.0
"""How long a request lets waiting runs continue: half of the function's timeout."""


class PauseRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str | None = None
    open_runs: bool = False


def workflow_routes(world: World) -> APIGatewayHttpRouter:
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    @router.get("/workflows/paused")
    def paused_workflows() -> dict[str, Any]:
        return {"workflows": [pause.describe() for pause in workflow_pauses.paused_workflows(world)]}

    @router.post("/workflows/<name>/pause")
    def pause_workflow(name: Id, request: PauseRequest | None = None) -> dict[str, Any]:
        options = request.model_dump() if request else {}
        return workflow_pauses.pause_workflow(world, name, **options, by=caller_of(router)).describe()

    @router.post("/workflows/<name>/unpause")
    def unpause_workflow(name: Id) -> dict[str, Any]:
        number, complete = workflow_pauses.unpause_within(world, name, UNPAUSE_SECONDS)
        return {"workflow": name, "unpaused": number, "complete": complete}

    return router
