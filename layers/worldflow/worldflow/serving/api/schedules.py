"""The routes of schedules, which start runs again and again: create, list, read, change, trigger, backfill, delete."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from worldflow.engine.workflow.definitions import find_workflow
from worldflow.runtime import extra_runs, schedules
from worldflow.serving.api.describing import describe_schedule
from worldflow.serving.api.errors import json_response
from worldflow.serving.api.parameters import Cursor, Id, Limit, read_input
from worldflow.worlds import World
from worldflow.worlds.schedule_records import Overlap

# As EventBridge Scheduler takes them.
Expression = Annotated[str, Field(max_length=256)]
Zone = Annotated[str, Field(max_length=50)]
Runs = Annotated[int, Field(ge=1)]


class CreateRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    schedule_id: str
    workflow: str
    input: dict[str, Any] = {}
    schedule: Expression
    timezone: Zone = "UTC"
    overlap: Overlap = "skip"
    jitter: str | float | None = None
    catch_up: str | float | None = None
    remaining: Runs | None = None
    paused: bool = False


class ChangeRequest(BaseModel):
    """What is not given, or null, stays."""

    model_config = ConfigDict(extra="forbid")

    workflow: str | None = None
    input: dict[str, Any] | None = None
    schedule: Expression | None = None
    timezone: Zone | None = None
    overlap: Overlap | None = None
    jitter: str | float | None = None
    catch_up: str | float | None = None
    remaining: Runs | Literal["unlimited"] | None = None
    paused: bool | None = None


class TriggerRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    trigger_id: str | None = None


class BackfillRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    start: AwareDatetime
    end: AwareDatetime


def schedule_routes(world: World) -> APIGatewayHttpRouter:
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    @router.post("/schedules")
    def create_schedule(request: CreateRequest) -> Response[Any]:
        workflow = find_workflow(request.workflow)
        fields = request.model_dump(exclude={"schedule_id", "workflow", "input"})
        values = read_input(workflow, request.input)
        record, created = schedules.create(world, request.schedule_id, workflow, values, **fields)
        return answer(201 if created else 200, record.schedule_id)

    @router.get("/schedules")
    def list_schedules(limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
        page = schedules.list_page(world, limit, cursor)
        now = world.now()
        return {"schedules": [record.describe(now) for record in page.schedules], "cursor": page.cursor}

    @router.get("/schedules/<schedule_id>")
    def get_schedule(schedule_id: Id) -> Response[Any]:
        return answer(200, schedule_id)

    @router.patch("/schedules/<schedule_id>")
    def change_schedule(schedule_id: Id, request: ChangeRequest) -> Response[Any]:
        changes = request.model_dump(exclude_none=True)
        if changes.keys() & {"workflow", "input"}:
            changes["workflow"] = find_workflow(request.workflow or schedules.get(world, schedule_id).workflow)
        if request.input is not None:
            changes["input"] = read_input(changes["workflow"], request.input)
        schedules.update(world, schedule_id, **changes)
        return answer(200, schedule_id)

    @router.post("/schedules/<schedule_id>/trigger")
    def trigger_schedule(schedule_id: Id, request: TriggerRequest | None = None) -> Response[Any]:
        run_id, created = extra_runs.trigger(world, schedule_id, request.trigger_id if request else None)
        return json_response(201 if created else 200, {"schedule_id": schedule_id, "run_id": run_id})

    @router.post("/schedules/<schedule_id>/backfill")
    def backfill_schedule(schedule_id: Id, request: BackfillRequest) -> Response[Any]:
        found = extra_runs.backfill(world, schedule_id, request.start, request.end)
        runs = [{"run_id": run_id, "created": created} for run_id, created in found]
        return json_response(200, {"schedule_id": schedule_id, "runs": runs})

    @router.delete("/schedules/<schedule_id>")
    def delete_schedule(schedule_id: Id) -> Response[Any]:
        schedules.delete(world, schedule_id)
        return Response(204, body="")

    def answer(status: int, schedule_id: Id) -> Response[Any]:
        return json_response(status, describe_schedule(world, schedules.get(world, schedule_id)))

    return router
