"""The ASGI application of the console: its routes."""

from __future__ import annotations

import asyncio
import functools
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from worldflow.console import acting, costing, following, forms, listing, operating, viewing
from worldflow.console.comparing import compare
from worldflow.console.conversing import conversations
from worldflow.console.drawing import draw, zoomed
from worldflow.console.family import family
from worldflow.console.markup import FILTERS
from worldflow.console.security import Shield, Tokens, read_form
from worldflow.engine.errors import (
    FieldError,
    HookNotFoundError,
    InvalidInputError,
    RunNotFoundError,
    ScheduleNotFoundError,
    WorldflowError,
)
from worldflow.engine.workflow.definitions import workflow_names
from worldflow.presentation.usage import describe_priced
from worldflow.runtime import webhooks
from worldflow.token_prices import load_prices, priced
from worldflow.worlds.base import World
from worldflow.worlds.records import RunRecord
from worldflow.worlds.streams import names as stream_names

HERE = Path(__file__).parent
T = TypeVar("T")

_NOTICES = 200
_WORKS = 20
_LIVE = 1.0
"""Seconds between two looks at a run whose World does not say that it has changed."""
_KEEP_ALIVE = 15
"""Looks without news after which a comment is sent, so that a closed connection is noticed."""


def console(world: World, *, read_only: bool = False, payloads: bool = True, any_host: bool = True) -> Starlette:
    """The console as an ASGI application, to be mounted into another one behind its sign-in.

    read_only: shows no actions, and refuses them.
    payloads: whether the data of runs is shown: inputs, results, values, errors' messages.
    any_host: whether requests may name any host. False: only this machine's, as `python -m worldflow ui` has it.
    """
    return Console(world, read_only=read_only, payloads=payloads, any_host=any_host).application()


class Console:
    """The pages of one World."""

    def __init__(self, world: World, *, read_only: bool, payloads: bool, any_host: bool) -> None:
        self._world = world
        self._read_only = read_only
        self._payloads = payloads
        self._any_host = any_host
        self._tokens = Tokens()
        self._prices = load_prices()
        self._notices: dict[str, str] = {}
        self._works: dict[str, acting.Work] = {}
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.filters.update(FILTERS)

    def application(self) -> Starlette:
        run, get, post = "/runs/{run_id}", ["GET"], ["POST"]
        routes = [
            Route("/", self.runs, methods=get),
            Route("/counts", self.counts, methods=get),
            Route("/bulk", self.bulk, methods=post),
            Route("/bulk/{id}", self.work, methods=get),
            Route("/start", self.start, methods=["GET", "POST"]),
            Route("/compare", self.compare, methods=get),
            Route("/schedules", self.schedules, methods=get),
            Route("/schedules/{schedule_id}/{action}", self.act_on_schedule, methods=post),
            Route("/health", self.health, methods=get),
            Route("/hooks", self.hook, methods=get),
            Route("/health/redrive", self.redrive, methods=post),
            Route(run, self.run, methods=get),
            Route(run + "/history", self.history, methods=get),
            Route(run + "/code", self.code, methods=get),
            Route(run + "/streams", self.streams, methods=get),
            Route(run + "/streams/rows", self.rows, methods=get),
            Route(run + "/agents", self.agents, methods=get),
            Route(run + "/family", self.family, methods=get),
            Route(run + "/cost", self.cost, methods=get),
            Route(run + "/live", self.live, methods=get),
            Route(run + "/events/{seq:int}", self.event, methods=get),
            Route(run + "/values/{field}", self.value, methods=get),
            Route(run + "/{action}", self.act, methods=post),
            Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
        ]
        middleware = [Middleware(Shield, any_host=self._any_host)]
        handlers: Mapping[Any, Any] = {WorldflowError: self._failed}
        return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)

    # --- lists ---

    async def runs(self, request: Request) -> Response:
        wanted = listing.Filter.of(request.query_params)
        page = await _in_thread(listing.list_page, self._world, wanted)
        return self._page(request, "runs.html", page=page, wanted=wanted, statuses=listing.STATUSES, bulk=acting.BULK)

    async def counts(self, request: Request) -> Response:
        wanted = listing.Filter.of(request.query_params)
        counts = await _in_thread(operating.counts, self._world)
        return self._page(request, "counts.html", counts=counts, wanted=wanted)

    async def bulk(self, request: Request) -> Response:
        """Shows what will happen to the selected runs; when that is confirmed, does it beside the page that tells."""
        asked = await self._asked(request)
        action, run_ids = asked.text("action"), asked.given.get("run", [])
        if action not in acting.BULK or not run_ids:
            raise InvalidInputError("choose an action, and at least one run", [FieldError("action", "choose one")])
        if not asked.text("confirmed"):
            records = [await _in_thread(viewing.read_record, self._world, run_id) for run_id in run_ids]
            planned = [(record, acting.preview(action, record)) for record in records]
            return self._page(request, "bulk.html", action=action, planned=planned, work=None)
        if asked.id not in self._works:
            self._works[asked.id] = work = acting.Work(action, list(run_ids))
            work.task = asyncio.create_task(asyncio.to_thread(work.run, self._world, asked))
            for old in list(self._works)[:-_WORKS]:
                del self._works[old]
        return RedirectResponse(request.url_for("work", id=asked.id).path, 303)

    async def work(self, request: Request) -> Response:
        work = self._works.get(request.path_params["id"])
        if work is None:
            raise InvalidInputError("this action is not known any more: look at the runs themselves")
        return self._page(request, "bulk.html", action=work.action, planned=[], work=work)

    async def start(self, request: Request) -> Response:
        names = workflow_names()
        name = request.query_params.get("workflow", "")
        workflow = acting.workflow_named(name) if name else None
        fields = forms.fields_of(workflow.signature) if workflow else [forms.Field("input", "input", "json", False)]
        left: list[FieldError] = []
        status = 200
        if request.method == "POST":
            asked = await self._asked(request)
            try:
                done = await _in_thread(acting.start, self._world, name, asked)
                return self._redirect(request, "run", done.message, run_id=done.run_id)
            except InvalidInputError as error:
                fields, left = forms.with_errors(fields, asked.given, _errors(error))
                status = 422
        return self._page(request, "start.html", status, names=names, name=name, fields=fields, left=left)

    async def compare(self, request: Request) -> Response:
        one, other = request.query_params.get("a", "").strip(), request.query_params.get("b", "").strip()
        found = await _in_thread(compare, self._world, one, other) if one and other else None
        return self._page(request, "compare.html", one=one, other=other, found=found)

    async def schedules(self, request: Request) -> Response:
        cursor = request.query_params.get("cursor")
        found = await _in_thread(operating.schedules, self._world, cursor)
        return self._page(request, "schedules.html", found=found)

    async def act_on_schedule(self, request: Request) -> Response:
        await self._asked(request)
        schedule_id, action = request.path_params["schedule_id"], request.path_params["action"]
        said = await _in_thread(operating.act_on_schedule, self._world, schedule_id, action)
        return self._redirect(request, "schedules", said)

    async def health(self, request: Request) -> Response:
        found = await _in_thread(operating.health, self._world)
        return self._page(request, "health.html", found=found)

    async def hook(self, request: Request) -> Response:
        """Leads to the run that holds a token."""
        held = await _in_thread(webhooks.get_hook, self._world, request.query_params.get("token", "").strip())
        return self._redirect(request, "run", f"This run holds the token, as hook {held.hook_id}.", run_id=held.run_id)

    async def redrive(self, request: Request) -> Response:
        await self._asked(request)
        return self._redirect(request, "health", await _in_thread(operating.redrive, self._world))

    # --- one run ---

    async def run(self, request: Request) -> Response:
        seen = await self._view(request)
        return self._run_page(request, "run.html", seen)

    async def history(self, request: Request) -> Response:
        seen = await self._view(request, replayed=False)
        after, search = _number(request, "after"), request.query_params.get("q", "").strip()
        page = viewing.page_of_events(self._world, seen.events, after, search, payloads=self._payloads)
        return self._run_page(request, "history.html", seen, events=page, search=search)

    async def code(self, request: Request) -> Response:
        seen = await self._view(request, replayed=False)
        last = seen.events[-1].seq if seen.events else 0
        at = _number(request, "at") or last
        shown = await _in_thread(viewing.code_at, self._world, seen, at)
        return self._run_page(request, "code.html", seen, shown=shown)

    async def streams(self, request: Request) -> Response:
        seen = await self._view(request, replayed=False)
        run_id = seen.record.run_id
        names = await _in_thread(stream_names, self._world, run_id)
        name = request.query_params.get("name", "") or (names[0] if names else "")
        rows = await _in_thread(following.read, self._world, run_id, name, 0) if name and self._payloads else None
        return self._run_page(request, "streams.html", seen, names=names, name=name, rows=rows, run_id=run_id)

    async def rows(self, request: Request) -> Response:
        run_id, name = request.path_params["run_id"], request.query_params.get("name", "")
        if not self._payloads:
            return JSONResponse({"error": "there is no such stream to show"}, 404)
        rows = await _in_thread(following.read, self._world, run_id, name, _number(request, "after"))
        return self._page(request, "rows.html", rows=rows, name=name, run_id=run_id)

    async def agents(self, request: Request) -> Response:
        seen = await self._view(request, replayed=False)
        events = await _in_thread(self._world.read_events, seen.record.run_id) if self._payloads else []
        return self._run_page(request, "agents.html", seen, talks=conversations(events))

    async def family(self, request: Request) -> Response:
        seen = await self._view(request, replayed=False)
        found = await _in_thread(family, self._world, seen.record, seen.spans)
        return self._run_page(request, "family.html", seen, family=found)

    async def cost(self, request: Request) -> Response:
        seen = await self._view(request, replayed=False)
        bill = await _in_thread(costing.bill, self._world, seen.record.run_id)
        return self._run_page(request, "cost.html", seen, bill=bill)

    async def event(self, request: Request) -> Response:
        run_id, seq = request.path_params["run_id"], request.path_params["seq"]
        events = await _in_thread(self._world.read_events, run_id, seq - 1)
        if not events or not self._payloads:
            return JSONResponse({"error": "there is no such event to show"}, 404)
        event = events[0]
        return JSONResponse({"seq": event.seq, "event_type": event.event_type, "payload": _jsonable(event.payload)})

    async def value(self, request: Request) -> Response:
        """The input or the result of a run, whole."""
        field = request.path_params["field"]
        if field not in ("input", "result") or not self._payloads:
            return JSONResponse({"error": "there is no such value to show"}, 404)
        record = await _in_thread(self._world.read_run, request.path_params["run_id"])
        return JSONResponse(_jsonable(getattr(record, field)))

    async def live(self, request: Request) -> Response:
        """An event of the stream for each change of the run, for as long as the page is open."""
        run_id = request.path_params["run_id"]
        await _in_thread(viewing.read_record, self._world, run_id)
        return StreamingResponse(self._changes(run_id, request), media_type="text/event-stream")

    async def _changes(self, run_id: str, request: Request) -> AsyncIterator[str]:
        yield "retry: 1000\n\n"
        last, quiet = None, 0
        with self._world.changes(run_id) as changed:
            while not await request.is_disconnected():
                record = await _in_thread(self._world.get_run, run_id)
                now = (record.seq, record.status, record.updated_at) if record else None
                if last is not None and now != last:
                    yield "event: changed\ndata: \n\n"
                    quiet = 0
                if record is None or record.ended:
                    yield "event: ended\ndata: \n\n"
                    return
                last, quiet = now, quiet + 1
                if quiet % _KEEP_ALIVE == 0:
                    yield ": open\n\n"
                await changed(_LIVE)

    async def act(self, request: Request) -> Response:
        run_id, name = request.path_params["run_id"], request.path_params["action"]
        asked = await self._asked(request)
        action = acting.ACTIONS.get(name)
        if action is None:
            raise InvalidInputError(f"there is no action {name!r}", [FieldError("action", "no such action")])
        try:
            done = await _in_thread(action, self._world, run_id, asked)
        except RunNotFoundError:
            raise
        except WorldflowError as error:
            seen = await self._view(request)
            errors = _errors(error) if isinstance(error, InvalidInputError) else [FieldError("", str(error))]
            again, left = forms.with_errors(self._fields(seen, name, asked.text("name")), asked.given, errors)
            problem = "; ".join(f"{one.field}: {one.message}" if one.field else one.message for one in left)
            context = {"failed": name, "given": asked.given, "problem": problem, "again": again}
            return self._run_page(request, "run.html", seen, 422, **context)
        return self._redirect(request, "run", done.message, run_id=done.run_id or run_id)

    def _fields(self, seen: viewing.RunView, action: str, name: str) -> list[forms.Field]:
        """The fields of the form of a signal or an update, where their types are known."""
        if action == "rerun":
            return self._inputs(seen.record)
        if action == "update" and (signature := seen.standing.updates.get(name)):
            return forms.fields_of(signature)
        return acting.signal_fields(acting.workflow_of(seen.record)).get(name, []) if action == "signal" else []

    async def _view(self, request: Request, *, replayed: bool = True) -> viewing.RunView:
        look = functools.partial(viewing.view, self._world, request.path_params["run_id"], replayed=replayed)
        return await _in_thread(look)

    def _run_page(
        self, request: Request, template: str, seen: viewing.RunView, status: int = 200, **more: Any
    ) -> Response:
        context: dict[str, Any] = {"failed": "", "given": {}, "problem": "", "again": [], **more}
        if template == "run.html":
            context |= self._overview(request, seen)
        here = request.url.path if request.method == "GET" else request.url_for("run", run_id=seen.record.run_id).path
        if request.method == "GET" and request.url.query:
            here += f"?{request.url.query}"
        return self._page(request, template, status, view=seen, run=seen.record, here=here, **context)

    def _overview(self, request: Request, seen: viewing.RunView) -> dict[str, Any]:
        whole = seen.events[0].at if seen.events else seen.record.created_at, seen.end
        begin, end = zoomed(request.query_params.get("zoom", ""), *whole)
        return {
            "drawing": draw(seen.spans, begin, max(begin, end)),
            "zoom": (begin, end) != whole,
            "signals": acting.signal_fields(acting.workflow_of(seen.record)),
            "updates": {name: forms.fields_of(one) for name, one in seen.standing.updates.items()},
            "inputs": self._inputs(seen.record),
            "tokens": describe_priced(priced(seen.record.usage or [], self._prices)),
            "links": self._links(seen.record),
        }

    def _inputs(self, run: RunRecord) -> list[forms.Field]:
        """The fields of the workflow's arguments, filled with those of a run."""
        workflow = acting.workflow_of(run)
        fields = forms.fields_of(workflow.signature) if workflow else [forms.Field("input", "input", "json", True)]
        return forms.filled(fields, run.input if workflow else {"input": run.input}) if self._payloads else fields

    def _links(self, run: RunRecord) -> dict[str, str]:
        try:
            from worldflow.console.links import links
            from worldflow.worlds.aws.world import AWSWorld
        except ModuleNotFoundError:  # boto3
            return {}
        return links(self._world, run) if isinstance(self._world, AWSWorld) else {}

    # --- what all pages have in common ---

    async def _asked(self, request: Request) -> acting.Asked:
        """The form of an action. Raises `InvalidInputError` for one that did not come from a page of this console."""
        given = await read_form(request)
        token = {name: values[0] for name, values in (given or {}).items() if values}
        if given is None or not self._tokens.is_valid(token):
            raise InvalidInputError("this form is from another console: load the page again, and repeat the action")
        if self._read_only:
            raise InvalidInputError("this console is read-only")
        return acting.Asked(given, id=token.get("action_id") or uuid.uuid4().hex)

    def _redirect(self, request: Request, name: str, message: str, **params: Any) -> Response:
        notice = uuid.uuid4().hex
        self._notices[notice] = message
        if len(self._notices) > _NOTICES:
            del self._notices[next(iter(self._notices))]
        return RedirectResponse(f"{request.url_for(name, **params).path}?notice={notice}", 303)

    def _page(self, request: Request, template: str, status: int = 200, **context: Any) -> Response:
        def link(name: str, **params: Any) -> str:
            return str(request.url_for(name, **params).path)

        text = self._templates.get_template(template).render(
            link=link,
            static=lambda path: link("static", path=path),
            path=request.url.path,
            token=self._tokens.token,
            new_id=lambda: uuid.uuid4().hex,
            notice=self._notices.get(request.query_params.get("notice", "")),
            read_only=self._read_only,
            payloads=self._payloads,
            now=self._world.now(),
            **context,
        )
        return HTMLResponse(text, status)

    async def _failed(self, request: Request, error: Exception) -> Response:
        missing = (RunNotFoundError, HookNotFoundError, ScheduleNotFoundError)
        status = 404 if isinstance(error, missing) else 422 if isinstance(error, InvalidInputError) else 500
        message = str(error) if self._payloads or status != 500 else type(error).__name__
        return self._page(request, "failed.html", status, message=message)


def _number(request: Request, name: str) -> int:
    """A number of the address; 0 without. Raises `InvalidInputError`."""
    text = request.query_params.get(name, "0") or "0"
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InvalidInputError(f"{text!r} is not the number of an event", [FieldError(name, "must be a number")])
    return int(text)


def _errors(error: InvalidInputError) -> list[FieldError]:
    return [FieldError(field, message) for field, message in error.details] or [FieldError("", error.summary)]


def _jsonable(value: Any) -> Any:
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value, inf_nan_mode="strings")


async def _in_thread(function: Callable[..., T], *args: Any) -> T:
    return await asyncio.to_thread(function, *args)
