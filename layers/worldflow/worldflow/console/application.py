"""The ASGI application of the console: its routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from worldflow.console.base import HERE
from worldflow.console.list_pages import ListPages
from worldflow.console.run_pages import RunPages
from worldflow.console.schedule_pages import SchedulePages
from worldflow.console.security import Shield
from worldflow.engine.errors import WorldflowError
from worldflow.worlds.base import World


def console(world: World, *, read_only: bool = False, payloads: bool = True, any_host: bool = True) -> Starlette:
    """The console as an ASGI application, to be mounted into another one behind its sign-in.

    read_only: shows no actions, and refuses them.
    payloads: whether the data of runs is shown: inputs, results, values, errors' messages.
    any_host: whether requests may name any host. False: only this machine's, as `python -m worldflow ui` has it.
    """
    pages = Console(world, read_only=read_only, payloads=payloads)
    middleware = [Middleware(Shield, any_host=any_host)]
    handlers: Mapping[Any, Any] = {WorldflowError: pages.failed}
    return Starlette(routes=routes(pages), middleware=middleware, exception_handlers=handlers)


class Console(ListPages, SchedulePages, RunPages):
    """All pages."""


def routes(pages: Console) -> list[Route | Mount]:
    run, get, post = "/runs/{run_id}", ["GET"], ["POST"]
    return [
        Route("/", pages.runs, methods=get),
        Route("/counts", pages.counts, methods=get),
        Route("/bulk", pages.bulk, methods=post),
        Route("/bulk/{id}", pages.work, methods=get),
        Route("/start", pages.start, methods=["GET", "POST"]),
        Route("/compare", pages.compare, methods=get),
        Route("/schedules", pages.schedules, methods=get),
        Route("/schedules/{schedule_id}", pages.schedule, methods=get),
        Route("/schedules/{schedule_id}/backfill", pages.backfill, methods=post),
        Route("/schedules/{schedule_id}/{action}", pages.act_on_schedule, methods=post),
        Route("/limits", pages.limits, methods=["GET", "POST"]),
        Route("/workflows/{action}", pages.act_on_workflow, methods=post),
        Route("/health", pages.health, methods=get),
        Route("/hooks", pages.hook, methods=get),
        Route("/health/redrive", pages.redrive, methods=post),
        Route(run, pages.in_two_parts(pages.run), name="run", methods=get),
        Route(run + "/history", pages.in_two_parts(pages.history), name="history", methods=get),
        Route(run + "/code", pages.in_two_parts(pages.code), name="code", methods=get),
        Route(run + "/streams", pages.in_two_parts(pages.streams), name="streams", methods=get),
        Route(run + "/streams/rows", pages.rows, methods=get),
        Route(run + "/agents", pages.in_two_parts(pages.agents), name="agents", methods=get),
        Route(run + "/family", pages.in_two_parts(pages.family), name="family", methods=get),
        Route(run + "/cost", pages.in_two_parts(pages.cost), name="cost", methods=get),
        Route(run + "/live", pages.live, methods=get),
        Route(run + "/events/{seq:int}", pages.event, methods=get),
        Route(run + "/values/{field}", pages.value, methods=get),
        Route(run + "/{action}", pages.act, methods=post),
        Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
    ]
