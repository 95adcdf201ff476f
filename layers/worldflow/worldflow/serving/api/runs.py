"""The routes of runs: start, list, read, signal, cancel, terminate, wake, resume, retry and fork them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict
from pydantic_core import from_json

from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.ids import check_name
from worldflow.engine.workflow.ramps import workflow_for
from worldflow.runtime import sending, starting
from worldflow.serving.api.describing import describe_events, describe_run
from worldflow.serving.api.errors import json_response
from worldflow.serving.api.idempotency import Idempotency
from worldflow.serving.api.parameters import (
    Cursor,
    Id,
    Limit,
    Moment,
    Part,
    caller_of,
    fields_of,
    read_attributes,
    read_input,
)
from worldflow.worlds import World

LAST = 10**9
"""No history is longer."""

Status = Literal["running", "completed", "failed", "cancelled", "continued", "blocked", "paused"]

Key = Callable[[], str | None]
"""The `Idempotency-Key` of the request that is being answered."""

logger = Logger()


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FirstSignal(_Request):
    name: str
    value: Any = None


class StartRequest(_Request):
    workflow: str
    input: dict[str, Any] = {}
    run_id: str | None = None
    if_running: starting.IfRunning = "return_existing"
    reuse: starting.Reuse | None = None
    signal: FirstSignal | None = None
    delay: str | float | None = None
    start_at: AwareDatetime | None = None
    headers: dict[str, str] | None = None


class EndRequest(_Request):
    reason: str | None = None


class WakeRequest(_Request):
    timer: str | None = None


class RetryRequest(_Request):
    input: dict[str, Any] | None = None


class ForkRequest(_Request):
    run_id: str
    after: int | None = None
    edit: dict[str, Any] = {}


def run_routes(world: World, idempotency: Idempotency) -> APIGatewayHttpRouter:
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    def key() -> str | None:
        return router.current_event.headers.get("idempotency-key")

    _add_start(router, world, idempotency, key)
    _add_reading(router, world)
    _add_sending(router, world, idempotency, key)
    _add_starting_again(router, world, idempotency, key)
    return router


def _add_start(router: APIGatewayHttpRouter, world: World, idempotency: Idempotency, key: Key) -> None:
    @router.post("/runs")
    def start_run(request: StartRequest) -> Response[Any]:
        unset = {name for name in ("delay", "start_at", "headers") if getattr(request, name) is None}
        answer = idempotency("start", key(), request.model_dump(mode="json", exclude=unset), start)
        return json_response(201 if answer.pop("created") else 200, answer)

    def start(request: dict[str, Any], id: str) -> dict[str, Any]:
        asked = StartRequest(**request)
        run_id = id if asked.run_id is None else asked.run_id
        workflow = workflow_for(asked.workflow, run_id)
        arguments = read_input(workflow, asked.input)
        logger.append_keys(run_id=run_id)
        begin = partial(starting.start, delay=asked.delay, start_at=asked.start_at, headers=asked.headers)
        if asked.signal and (asked.delay is not None or asked.start_at or asked.headers):
            problem = "a run that is started with a signal begins at once: leave out delay, start_at and headers"
            others = "must not be given with delay, start_at or headers"
            raise InvalidInputError(problem, [FieldError("signal", others)])
        if asked.signal:
            with fields_of("signal"):
                check_name(asked.signal.name)
                workflow.check_signal(asked.signal.name, asked.signal.value)
            begin = partial(starting.signal_with_start, name=asked.signal.name, value=asked.signal.value, signal_id=id)
        # Who sends a signal with the start wants a run that receives it.
        reuse = asked.reuse or ("allow" if asked.signal else None)
        record, created = begin(world, run_id, workflow, arguments, if_running=asked.if_running, reuse=reuse)
        status = "pending" if created else record.status
        answer = {"run_id": record.run_id, "workflow": record.workflow_name, "status": status, "created": created}
        return {**answer, "signal_id": id} if asked.signal else answer


def _add_reading(router: APIGatewayHttpRouter, world: World) -> None:
    @router.get("/runs")
    def list_runs(
        status: Annotated[Status | None, Query()] = None,
        workflow: Annotated[str | None, Query()] = None,
        started_after: Moment = None,
        started_before: Moment = None,
        ended_after: Moment = None,
        ended_before: Moment = None,
        id_prefix: Part = None,
        parent: Part = None,
        status_text: Part = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> dict[str, Any]:
        page = world.list_runs(
            status=status,
            workflow=workflow,
            attributes=read_attributes(router.current_event.query_string_parameters),
            started_after=started_after,
            started_before=started_before,
            ended_after=ended_after,
            ended_before=ended_before,
            id_prefix=id_prefix,
            parent=parent,
            status_text=status_text,
            limit=limit,
            cursor=cursor,
        )
        return {"runs": [record.describe() for record in page.runs], "cursor": page.cursor}

    @router.get("/runs/<run_id>")
    def get_run(run_id: Id) -> dict[str, Any]:
        return describe_run(world, run_id)

    @router.get("/runs/<run_id>/events")
    def get_events(
        run_id: Id,
        after: Annotated[int, Query(ge=0, le=LAST)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 500,
    ) -> dict[str, Any]:
        return describe_events(world, run_id, after, limit)


def _add_sending(router: APIGatewayHttpRouter, world: World, idempotency: Idempotency, key: Key) -> None:
    @router.post("/runs/<run_id>/signals/<name>")
    def signal_run(run_id: Id, name: Id) -> Response[Any]:
        body = router.current_event.decoded_body
        request = {"run_id": run_id, "name": name, "value": from_json(body) if body else None}
        return json_response(202, idempotency("signal", key(), request, signal))

    def signal(request: dict[str, Any], id: str) -> dict[str, Any]:
        logger.append_keys(run_id=request["run_id"])
        sending.signal(world, request["run_id"], request["name"], request["value"], signal_id=id)
        return {"run_id": request["run_id"], "signal_id": id}

    @router.post("/runs/<run_id>/cancel")
    def cancel_run(run_id: Id, request: EndRequest | None = None) -> Response[Any]:
        logger.append_keys(run_id=run_id)
        sending.cancel(world, run_id, request.reason if request else None)
        return json_response(202, {"run_id": run_id})

    @router.post("/runs/<run_id>/terminate")
    def terminate_run(run_id: Id, request: EndRequest | None = None) -> Response[Any]:
        logger.append_keys(run_id=run_id)
        sending.terminate(world, run_id, request.reason if request else None)
        return json_response(202, {"run_id": run_id})

    @router.post("/runs/<run_id>/wake")
    def wake_run(run_id: Id, request: WakeRequest | None = None) -> Response[Any]:
        logger.append_keys(run_id=run_id)
        woken = sending.wake(world, run_id, request.timer if request else None)
        return json_response(202, {"run_id": run_id, "woken": woken})

    @router.post("/runs/<run_id>/pause")
    def pause_run(run_id: Id, request: EndRequest | None = None) -> Response[Any]:
        logger.append_keys(run_id=run_id)
        sending.pause(world, run_id, request.reason if request else None, by=caller_of(router))
        return json_response(202, {"run_id": run_id})

    @router.post("/runs/<run_id>/unpause")
    def unpause_run(run_id: Id) -> Response[Any]:
        logger.append_keys(run_id=run_id)
        sending.unpause(world, run_id)
        return json_response(202, {"run_id": run_id})

    @router.post("/runs/<run_id>/resume")
    def resume_run(run_id: Id) -> Response[Any]:
        logger.append_keys(run_id=run_id)
        sending.resume(world, run_id)
        return json_response(202, {"run_id": run_id})


def _add_starting_again(router: APIGatewayHttpRouter, world: World, idempotency: Idempotency, key: Key) -> None:
    @router.post("/runs/<run_id>/retry")
    def retry_run(run_id: Id, request: RetryRequest | None = None) -> Response[Any]:
        edited = {"input": request.input} if request and request.input is not None else {}
        return json_response(201, idempotency("retry", key(), {"run_id": run_id, **edited}, retry))

    def retry(request: dict[str, Any], _: str) -> dict[str, Any]:
        logger.append_keys(run_id=request["run_id"])
        record = starting.retry(world, request["run_id"], request.get("input"))
        return {"run_id": record.run_id, "workflow": record.workflow_name}

    @router.post("/runs/<run_id>/fork")
    def fork_run(run_id: Id, request: ForkRequest) -> Response[Any]:
        logger.append_keys(run_id=run_id)
        record = starting.fork(world, run_id, request.run_id, after=request.after, edit=request.edit)
        return json_response(201, {"run_id": record.run_id, "workflow": record.workflow_name})
