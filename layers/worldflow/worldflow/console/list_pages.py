"""The pages about many runs, about limits and the whole."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from worldflow.console import acting, forms, listing, operating
from worldflow.console.base import Pages, errors_of, in_thread
from worldflow.console.comparing import compare
from worldflow.engine.errors import FieldError, InvalidInputError, WorldflowError
from worldflow.engine.workflow.definitions import workflow_names
from worldflow.runtime import webhooks, workflow_pauses
from worldflow.worlds.records import STATUSES

_WORKS = 20


class ListPages(Pages):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._works: dict[str, acting.Work] = {}
        """What is being done with many runs, by the ids of the forms that asked for it."""

    async def runs(self, request: Request) -> Response:
        wanted = listing.Filter.of(request.query_params)
        page = await in_thread(listing.list_page, self.world, wanted)
        return self.page(request, "runs.html", page=page, wanted=wanted, statuses=STATUSES, bulk=acting.BULK)

    async def counts(self, request: Request) -> Response:
        wanted = listing.Filter.of(request.query_params)
        counts = await in_thread(operating.counts, self.world)
        return self.page(request, "counts.html", counts=counts, wanted=wanted)

    async def bulk(self, request: Request) -> Response:
        """Shows what will happen to the selected runs; when that is confirmed, does it beside the page that tells."""
        asked = await self.asked(request)
        action, run_ids = asked.text("action"), asked.given.get("run", [])
        if action not in acting.BULK or not run_ids:
            raise InvalidInputError("choose an action, and at least one run", [FieldError("action", "choose one")])
        if not asked.text("confirmed"):
            records = [await in_thread(self.world.get_run, run_id) for run_id in run_ids]
            planned = [(record, acting.preview(action, record)) for record in records if record]
            return self.page(request, "bulk.html", action=action, planned=planned, work=None)
        if asked.id not in self._works:
            self._works[asked.id] = work = acting.Work(action, list(run_ids))
            work.task = asyncio.create_task(asyncio.to_thread(work.run, self.world, asked))
            for old in list(self._works)[:-_WORKS]:
                del self._works[old]
        return RedirectResponse(request.url_for("work", id=asked.id).path, 303)

    async def work(self, request: Request) -> Response:
        work = self._works.get(request.path_params["id"])
        if work is None:
            raise InvalidInputError("this action is not known any more: look at the runs themselves")
        return self.page(request, "bulk.html", action=work.action, planned=[], work=work)

    async def start(self, request: Request) -> Response:
        names = workflow_names()
        name = request.query_params.get("workflow", "")
        workflow = acting.workflow_named(name) if name else None
        fields = forms.fields_of(workflow.signature) if workflow else [forms.Field("input", "input", "json", False)]
        left: list[FieldError] = []
        status, run_id = 200, ""
        if request.method == "POST":
            asked = await self.asked(request)
            try:
                done = await self.once(asked, acting.start, self.world, name)
                return self.redirect(request, "run", done.message, run_id=done.run_id)
            except WorldflowError as error:
                run_id = asked.text(".run_id")
                fields, left = forms.with_errors(fields, asked.given, errors_of(error))
                status = 422
        return self.page(request, "start.html", status, names=names, name=name, fields=fields, left=left, run_id=run_id)

    async def compare(self, request: Request) -> Response:
        one, other = request.query_params.get("a", "").strip(), request.query_params.get("b", "").strip()
        found = await in_thread(compare, self.world, one, other, not self.read_only) if one and other else None
        return self.page(request, "compare.html", one=one, other=other, found=found)

    async def limits(self, request: Request) -> Response:
        fields, left, changed, status = acting.LIMIT, list[FieldError](), None, 200
        if request.method == "POST":
            asked = await self.asked(request)
            try:
                done = await self.once(asked, acting.set_limit, self.world)
                return self.redirect(request, "limits", done.message)
            except InvalidInputError as error:
                fields, left = forms.with_errors(acting.LIMIT, asked.given, errors_of(error))
                changed, status = (asked.text(".name"), asked.given.get(".key", [None])[0]), 422
        found = await in_thread(operating.limits, self.world, request.query_params.get("name"))
        paused = await in_thread(workflow_pauses.paused_workflows, self.world)
        shown = {"found": found, "fields": acting.LIMIT, "again": fields, "left": left, "changed": changed}
        return self.page(request, "limits.html", status, paused=paused, pause_fields=acting.PAUSE, **shown)

    async def act_on_workflow(self, request: Request) -> Response:
        """Pauses a workflow, or lets it continue."""
        asked, action = await self.asked(request), request.path_params["action"]
        done = await self.once(asked, acting.act_on_workflow, self.world, action)
        return self.redirect(request, "limits", done.message)

    async def health(self, request: Request) -> Response:
        found = await in_thread(operating.health, self.world)
        return self.page(request, "health.html", found=found)

    async def hook(self, request: Request) -> Response:
        """Leads to the run that holds a token."""
        held = await in_thread(webhooks.get_hook, self.world, request.query_params.get("token", "").strip())
        return self.redirect(request, "run", f"This run holds the token, as hook {held.hook_id}.", run_id=held.run_id)

    async def redrive(self, request: Request) -> Response:
        await self.asked(request)
        return self.redirect(request, "health", await in_thread(operating.redrive, self.world))
