"""The pages of one run, and its actions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from worldflow.console import acting, costing, following, forms, viewing
from worldflow.console.base import Pages, errors_of, in_thread, jsonable, number_of
from worldflow.console.conversing import conversations
from worldflow.console.drawing import draw, zoomed
from worldflow.console.family import family
from worldflow.engine.errors import FieldError, InvalidInputError, RunNotFoundError, WorldflowError
from worldflow.presentation.usage import describe_priced
from worldflow.token_prices import priced, sum_of
from worldflow.worlds import reading
from worldflow.worlds.records import RunRecord
from worldflow.worlds.streams import names as stream_names

LONG = 5_000
"""Events of a run whose pages are shown in two parts."""

_LIVE = 1.0
"""Seconds between two looks at a run whose World does not say that it has changed."""
_LONGEST = 30.0
"""Seconds after which a browser has to ask again."""
_KEEP_ALIVE = 15
"""Looks without news after which a comment is sent, so that a closed connection is noticed."""


class RunPages(Pages):
    def in_two_parts(self, page: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """A page of a run. That of a long one says first what its record says, and asks for the rest by itself."""

        async def answer(request: Request) -> Response:
            if "hx-request" not in request.headers:
                run = await in_thread(self.world.get_run, request.path_params["run_id"])
                if run and run.seq > LONG:
                    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                    return self.page(request, "loading.html", run=run, here=here)
            return await page(request)

        return answer

    async def run(self, request: Request) -> Response:
        seen = await self._view(request)
        return self._run_page(request, "run.html", seen)

    async def history(self, request: Request) -> Response:
        seen = await self._view(request)
        after, search = number_of(request, "after"), request.query_params.get("q", "").strip()
        read = partial(viewing.page_of_events, payloads=self.payloads, tokens=not self.read_only)
        page = await in_thread(read, self.world, seen.events, after, search)
        return self._run_page(request, "history.html", seen, events=page, search=search)

    async def code(self, request: Request) -> Response:
        seen = await self._view(request)
        last = seen.events[-1].seq if seen.events else 0
        at = number_of(request, "at") or last
        shown = await in_thread(partial(viewing.code_at, tokens=not self.read_only), self.world, seen, at)
        return self._run_page(request, "code.html", seen, shown=shown)

    async def streams(self, request: Request) -> Response:
        seen = await self._view(request)
        run_id = seen.record.run_id
        names = await in_thread(stream_names, self.world, run_id)
        name = request.query_params.get("name", "") or (names[0] if names else "")
        rows, paged = None, "after" in request.query_params
        if name and self.payloads and paged:
            rows = await in_thread(following.read, self.world, run_id, name, number_of(request, "after"))
        elif name and self.payloads:
            rows = await in_thread(following.read_newest, self.world, run_id, name)
        context: dict[str, Any] = {"names": names, "name": name, "rows": rows, "run_id": run_id, "paged": paged}
        return self._run_page(request, "streams.html", seen, page_rows=following.ROWS, **context)

    async def rows(self, request: Request) -> Response:
        run_id, name = request.path_params["run_id"], request.query_params.get("name", "")
        if not self.payloads:
            return JSONResponse({"error": "there is no such stream to show"}, 404)
        rows = await in_thread(following.read, self.world, run_id, name, number_of(request, "after"))
        return self.page(request, "rows.html", rows=rows, name=name, run_id=run_id, paged=False)

    async def agents(self, request: Request) -> Response:
        seen = await self._view(request)
        events = await in_thread(self.world.read_events, seen.record.run_id) if self.payloads else []
        return self._run_page(request, "agents.html", seen, talks=conversations(events, self.prices))

    async def family(self, request: Request) -> Response:
        seen = await self._view(request)
        found = await in_thread(family, self.world, seen.record, seen.spans)
        return self._run_page(request, "family.html", seen, family=found)

    async def cost(self, request: Request) -> Response:
        seen = await self._view(request)
        found = await in_thread(costing.costs, self.world, seen.record.run_id, self.prices)
        costs, prices = found or (None, "")
        dollars = sum_of(costs.tokens) if costs else 0
        return self._run_page(request, "cost.html", seen, costs=costs, prices=prices, token_dollars=dollars)

    async def event(self, request: Request) -> Response:
        run_id, seq = request.path_params["run_id"], request.path_params["seq"]
        is_number = 0 < seq < 10**9 and self.payloads
        events = await in_thread(self.world.read_events, run_id, seq - 1) if is_number else []
        if not events:
            return JSONResponse({"error": "there is no such event to show"}, 404)
        event = viewing.without_token(events[0]) if self.read_only else events[0]
        return JSONResponse({"seq": event.seq, "event_type": event.event_type, "payload": jsonable(event.payload)})

    async def value(self, request: Request) -> Response:
        """The input or the result of a run, whole."""
        field = request.path_params["field"]
        if field not in ("input", "result") or not self.payloads:
            return JSONResponse({"error": "there is no such value to show"}, 404)
        record = await in_thread(self.world.read_run, request.path_params["run_id"])
        return JSONResponse(jsonable(getattr(record, field)))

    async def live(self, request: Request) -> Response:
        """An event of the stream for each change of the run, for as long as the page is open."""
        run_id = request.path_params["run_id"]
        await in_thread(reading.stored_run, self.world, run_id)
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        return StreamingResponse(self._changes(run_id, request), media_type="text/event-stream")

    async def _changes(self, run_id: str, request: Request) -> AsyncIterator[str]:
        """Ends now and then, so that a server that waits for its answers can end.

        Browsers then ask again by themselves, and say by `Last-Event-ID` what they know.
        """
        yield "retry: 1000\n\n"
        last, quiet = request.headers.get("last-event-id"), 0
        until = asyncio.get_running_loop().time() + _LONGEST
        with self.world.changes(run_id) as changed:
            while not await request.is_disconnected():
                record = await in_thread(self.world.get_run, run_id)
                now = f"{record.seq} {record.status} {record.updated_at.isoformat()}" if record else "gone"
                if last is not None and now != last:
                    yield f"id: {now}\nevent: changed\ndata: \n\n"
                    quiet = 0
                elif last is None:
                    yield f"id: {now}\n\n"
                if record is None or record.ended:
                    yield "event: ended\ndata: \n\n"
                    return
                if asyncio.get_running_loop().time() > until:
                    return
                last, quiet = now, quiet + 1
                if quiet % _KEEP_ALIVE == 0:
                    yield ": open\n\n"
                await changed(_LIVE)

    async def act(self, request: Request) -> Response:
        run_id, name = request.path_params["run_id"], request.path_params["action"]
        asked = await self.asked(request)
        action = acting.ACTIONS.get(name)
        if action is None:
            raise InvalidInputError(f"there is no action {name!r}", [FieldError("action", "no such action")])
        try:
            done = await self.once(asked, action, self.world, run_id)
        except RunNotFoundError:
            raise
        except WorldflowError as error:
            seen = await self._view(request)
            fields = self._fields(seen, name, asked.text(".name"))
            again, left = forms.with_errors(fields, asked.given, errors_of(error))
            problem = "; ".join(f"{one.field}: {one.message}" if one.field else one.message for one in left)
            context = {"failed": name, "given": asked.given, "problem": problem, "again": again}
            return self._run_page(request, "run.html", seen, 422, **context)
        return self.redirect(request, "run", done.message, run_id=done.run_id or run_id)

    def _fields(self, seen: viewing.RunView, action: str, name: str) -> list[forms.Field]:
        """The fields of the form of a signal, an update or a query, where their types are known."""
        if action == "rerun":
            return self._inputs(seen.record)
        if action in ("update", "query"):
            asked = seen.standing.updates if action == "update" else seen.standing.queries
            return forms.fields_of(asked[name]) if name in asked else []
        return acting.signal_fields(acting.workflow_of(seen.record)).get(name, []) if action == "signal" else []

    async def _view(self, request: Request) -> viewing.RunView:
        return await in_thread(viewing.view, self.world, request.path_params["run_id"])

    def _run_page(
        self, request: Request, template: str, seen: viewing.RunView, status: int = 200, **more: Any
    ) -> Response:
        context: dict[str, Any] = {"failed": "", "given": {}, "problem": "", "again": [], **more}
        if template == "run.html":
            context |= self._overview(request, seen)
        here = request.url.path if request.method == "GET" else request.url_for("run", run_id=seen.record.run_id).path
        if request.method == "GET" and request.url.query:
            here += f"?{request.url.query}"
        return self.page(request, template, status, view=seen, run=seen.record, here=here, **context)

    def _overview(self, request: Request, seen: viewing.RunView) -> dict[str, Any]:
        whole = seen.events[0].at if seen.events else seen.record.created_at, seen.end
        begin, end = zoomed(request.query_params.get("zoom", ""), *whole)
        return {
            "drawing": draw(seen.spans, begin, max(begin, end), seen.streams),
            "zoom": (begin, end) != whole,
            "signals": acting.signal_fields(acting.workflow_of(seen.record)),
            "updates": {name: forms.fields_of(one) for name, one in seen.standing.updates.items()},
            "queries": {name: forms.fields_of(one) for name, one in sorted(seen.standing.queries.items())},
            "inputs": self._inputs(seen.record),
            "tokens": describe_priced(priced(seen.state.usage.entries(), self.prices)),
            "links": self._links(seen.record),
        }

    def _inputs(self, run: RunRecord) -> list[forms.Field]:
        """The fields of the workflow's arguments, filled with those of a run."""
        workflow = acting.workflow_of(run)
        if workflow and self.payloads and isinstance(run.input, dict):
            return forms.filled(forms.fields_of(workflow.signature), run.input)
        return [forms.Field(acting.SOME_INPUT, "Arguments to replace", "json", True)]

    def _links(self, run: RunRecord) -> dict[str, str]:
        try:
            from worldflow.console.links import links
            from worldflow.worlds.aws.world import AWSWorld
        except ModuleNotFoundError:  # boto3
            return {}
        return links(self.world, run) if isinstance(self.world, AWSWorld) else {}
