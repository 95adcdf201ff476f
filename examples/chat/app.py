"""A page to talk with the research agent: send, watch the words, close the tab, open it again, approve.

Runs are in a LocalWorld file, served by a worker in this process; or in a deployed stack, if its WORLDFLOW_* variables
are in the environment. Anyone who can reach this server can read and write: put your own login in front of it.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from examples.chat import conversation
from worldflow import HookNotFoundError, InvalidInputError, RunEndedError, RunNotFoundError
from worldflow.runtime import Orchestrator
from worldflow.streams import sse
from worldflow.worker import Worker
from worldflow.worlds import AWSWorld, LocalWorld

STATIC = Path(__file__).with_name("static")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"cache-control": b"no-store",
    b"referrer-policy": b"no-referrer",  # the address of a conversation is all that one needs to read it
    b"x-content-type-options": b"nosniff",
}


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    if "WORLDFLOW_EVENTS_TABLE" in os.environ:
        app.state.orchestrator = Orchestrator(AWSWorld())
        yield
        return
    with closing(LocalWorld(os.environ.get("WORLDFLOW_LOCAL", "chat.db"))) as world:
        app.state.orchestrator = Orchestrator(world)
        async with Worker(world, standby=True):
            yield


class Said(BaseModel):
    text: str = Field(min_length=1, max_length=4_000)


class Decided(BaseModel):
    token: str
    approved: bool


async def page(request: Request) -> Response:
    return FileResponse(STATIC / "index.html")


async def say(request: Request) -> Response:
    """Sends a message, and starts the conversation if it is its first. One that comes twice counts once."""
    said, message_id = Said.model_validate_json(await body(request)), request.path_params["message"]
    await orchestrator(request).signal_with_start(
        run_id(request),
        conversation.converse,
        signal="message",
        value=conversation.Message(id=message_id, text=said.text),
        signal_id=message_id,
    )
    return JSONResponse({}, 202)


async def decide(request: Request) -> Response:
    """Answers a request for approval. Its token, which is in the conversation, gives the right to."""
    decided = Decided.model_validate_json(await body(request))
    await orchestrator(request).resume_hook(decided.token, decided.approved, resume_id="decision")
    return JSONResponse({}, 202)


async def events(request: Request) -> Response:
    return sse(orchestrator(request).run(run_id(request)), "answer", request)


def orchestrator(request: Request) -> Orchestrator:
    found: Orchestrator = request.app.state.orchestrator
    return found


def run_id(request: Request) -> str:
    return f"chat-{request.path_params['conversation']}"


async def body(request: Request) -> bytes:
    """JSON only: a page of another site cannot send that without asking this one."""
    if request.headers.get("content-type") != "application/json":
        raise InvalidInputError("the body must be application/json")
    return await request.body()


STATUSES: dict[type[Exception], int] = {
    InvalidInputError: 422,
    ValidationError: 422,
    RunNotFoundError: 404,
    HookNotFoundError: 404,
    RunEndedError: 409,
}


async def refuse(_: Request, error: Exception) -> Response:
    status = next(status for kind, status in STATUSES.items() if isinstance(error, kind))
    return JSONResponse({"error": str(error)}, status)


class Headers:
    """Adds `HEADERS` to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [(name, value) for name, value in message["headers"] if name.lower() not in HEADERS]
                message = {**message, "headers": [*others, *HEADERS.items()]}
            await send(message)

        await self.app(scope, receive, with_headers)


app = Starlette(
    lifespan=lifespan,
    middleware=[Middleware(Headers)],
    exception_handlers=dict.fromkeys(STATUSES, refuse),
    routes=[
        Route("/", page),
        Route("/c/{conversation}", page),
        Route("/conversations/{conversation}/messages/{message}", say, methods=["PUT"]),
        Route("/approvals", decide, methods=["PUT"]),
        Route("/conversations/{conversation}/events", events),
        Mount("/static", StaticFiles(directory=STATIC)),
    ],
)
