"""Who may use the console: requests to this machine by name, from pages of the console itself.

A page elsewhere can make a browser send requests to a loopback address: by its own origin, or by a name of its own that
leads to 127.0.0.1 (DNS rebinding). So a request must name this machine in `Host`, and an action must come from the
console's own origin and carry the token that only its pages know.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worldflow.serving.http.hosts import names_this_machine

FORM_LIMIT = 1024 * 1024

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Shield:
    """Around the console: refuses what comes from elsewhere, and says what browsers may do with its pages.

    any_host: inside another application, which is reached by names of its own and checks its users itself.
    """

    def __init__(self, app: ASGIApp, *, any_host: bool) -> None:
        self._app = app
        self._any_host = any_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = with_whole_path(scope)
        if refusal := self._refusal(Request(scope)):
            await refusal(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                known = {name for name, _ in message["headers"]}
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *(pair for pair in extra if pair[0] not in known)]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if not self._any_host and not names_this_machine(host):
            return PlainTextResponse("The console answers only requests to this machine by name.", 403)
        origin = request.headers.get("origin")
        if request.method not in ("GET", "HEAD") and (origin is None or urlsplit(origin).netloc != host):
            return PlainTextResponse("Actions must come from a page of the console.", 403)
        return None


def with_whole_path(scope: Scope) -> Scope:
    """A request whose path includes the `root_path`, as ASGI has it. Behind a proxy that strips a prefix, which only
    the application is told of (`FastAPI(root_path=...)`), the path lacks that, and no route within a mount matches it.
    """
    path, root = scope["path"], scope.get("root_path", "")
    whole = scope.get("app_root_path", root) + path
    return scope if _is_under(path, root) or not _is_under(whole, root) else {**scope, "path": whole}


def _is_under(path: str, root: str) -> bool:
    return path == root or path.startswith(root + "/")


class Tokens:
    """The token that pages carry in their forms. It lives as long as the process."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)

    def is_valid(self, form: Mapping[str, str]) -> bool:
        return hmac.compare_digest(form.get(".token", "").encode(), self.token.encode())


async def read_form(request: Request) -> dict[str, list[str]] | None:
    """The fields of a form; None if it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_LIMIT:
            return None
    fields: dict[str, list[str]] = {}
    for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True):
        fields.setdefault(name, []).append(value)
    return fields
