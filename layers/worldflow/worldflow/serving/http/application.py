"""The ASGI application: who may call, the routes of the API, and `/metrics`."""

from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from worldflow.engine.privacy import loggable
from worldflow.runtime import RunHandle
from worldflow.serving.api.application import Application
from worldflow.serving.api.errors import at_once
from worldflow.serving.http.answers import LocalAnswers
from worldflow.serving.http.events import Context, event_of, is_public, response_of
from worldflow.serving.http.following import Followers, followed
from worldflow.serving.http.hosts import names_this_machine
from worldflow.serving.http.metrics import exposition
from worldflow.serving.http.resolver import ConcurrentResolver
from worldflow.streams import sse
from worldflow.turns.threads import Threads
from worldflow.worlds.local.world import LocalWorld

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_log = logging.getLogger("worldflow")

REQUEST_LIMIT = 6 * 1024 * 1024
"""Bytes of a request: Lambda's limit, so that what fits here fits the stack."""

AT_ONCE = 100
"""Requests that are answered at once. One that waits for an update takes a thread for up to 20 seconds."""


def create_application(world: LocalWorld, token: str | None) -> Starlette:
    """The HTTP API of a LocalWorld.

    token: what requests must carry as their bearer token. None: any process on this machine may call, and no page in
        its browsers.
    """
    guard = Guard(token)
    threads = Threads(AT_ONCE, "worldflow-api")

    async def metrics(request: Request) -> Response:
        if refusal := guard.refusal(request):
            return refusal
        gauges = await threads.call(world.measure)
        return PlainTextResponse(exposition(gauges), media_type="text/plain; version=0.0.4")

    api = Api(world, guard, threads)
    application = Starlette(routes=[Route("/metrics", metrics), Mount("/", api)])
    application.state.followers = api.followers
    return application


class Guard:
    """Refuses requests of those who may not call, as API Gateway does."""

    def __init__(self, token: str | None) -> None:
        self._expected = None if token is None else f"Bearer {token}".encode()

    def refusal(self, request: Request) -> Response | None:
        if self._expected is not None:
            given = request.headers.get("authorization", "").encode("latin-1")
            return None if hmac.compare_digest(given, self._expected) else _said(401, "Unauthorized")
        # A browser names the site that a page is from, and its host, also where its address is made to lead here.
        if "origin" in request.headers or not names_this_machine(request.headers.get("host", "")):
            return _said(403, "Forbidden")
        return None


class Api:
    """The routes of the stack's API."""

    def __init__(self, world: LocalWorld, guard: Guard, threads: Threads) -> None:
        self.followers = Followers()
        self._world = world
        self._application = Application(world, LocalAnswers(world), ConcurrentResolver)
        self._guard = guard
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        if isinstance(response, StreamingResponse):
            await self.followers.respond(response, scope, receive, send)
        else:
            await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if not is_public(request.scope["path"]) and (refusal := self._guard.refusal(request)):
            return refusal
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > REQUEST_LIMIT:
                    too_large = f"the request has more than {REQUEST_LIMIT} bytes"
                    return response_of(at_once(413, "RequestTooLargeError", too_large))
            event = event_of(request, bytes(body))
            target, answer = await self._threads.call(self._answer_event, event)
            if target and answer["statusCode"] == 200:
                return self._follow(target, request, answer["headers"])
            return response_of(answer)
        except ClientDisconnect:
            return Response(status_code=400)  # which nobody receives
        except Exception as error:
            _log.error("a request could not be answered", exc_info=loggable(error))
            return _said(500, "Internal Server Error")

    def _answer_event(self, event: dict[str, Any]) -> tuple[tuple[str, str] | None, dict[str, Any]]:
        context: Any = Context()
        if target := followed(self._world, event):
            # Its answer says whether there is what it follows.
            event["queryStringParameters"] = {**event.get("queryStringParameters", {}), "wait": "0"}
        return target, self._application(event, context)

    def _follow(self, target: tuple[str, str], request: Request, headers: dict[str, str]) -> Response:
        run_id, name = target
        response = sse(RunHandle(self._world, run_id), name, request)
        response.headers.update(headers)
        return response


def _said(status: int, message: str) -> Response:
    """What API Gateway itself answers."""
    return JSONResponse({"message": message}, status)
