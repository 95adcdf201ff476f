"""The routes of limits: who holds a place and who waits, and what operators set."""

from __future__ import annotations

from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import BaseModel, ConfigDict

from worldflow.runtime import limits
from worldflow.serving.api.parameters import Id
from worldflow.worlds import World

Key = Annotated[str | None, Query(description="Only for this key. Default: for all keys.")]


class ChangeRequest(BaseModel):
    """What is not given, or null, stays."""

    model_config = ConfigDict(extra="forbid")

    concurrency: int | None = None
    rate: str | None = None
    burst: int | None = None
    key: str | None = None
    reset: bool = False


def limit_routes(world: World) -> APIGatewayHttpRouter:
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    @router.get("/limits")
    def list_limits() -> dict[str, Any]:
        return _described(limits.list_limits(world))

    @router.get("/limits/<name>")
    def get_limit(name: Id, key: Key = None) -> dict[str, Any]:
        return _described(limits.get_limit(world, name, key))

    @router.patch("/limits/<name>")
    def change_limit(name: Id, request: ChangeRequest) -> dict[str, Any]:
        return _described(limits.set_limit(world, name, **request.model_dump()))

    return router


def _described(found: list[limits.LimitStatus]) -> dict[str, Any]:
    return {"limits": [status.describe() for status in found]}
