"""A client of an ASGI application, with the calls of `tests/support/api.py`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlencode

from tests.support.api import Answer


class AsgiApi:
    def __init__(self, application: Any, headers: dict[str, str] | None = None) -> None:
        """headers: of every request."""
        self._application = application
        self._headers = {"Host": "127.0.0.1:8000", **(headers or {})}

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
        leaves: bool = False,
    ) -> Answer:
        """body: text as it is, bytes too, anything else as JSON. key: the `Idempotency-Key`.

        leaves: before the body is sent.
        """
        data = body if isinstance(body, bytes | str) or body is None else json.dumps(body)
        content = data.encode() if isinstance(data, str) else data or b""
        sent = {**self._headers, **(headers or {}), **({"Idempotency-Key": key} if key else {})}
        return asyncio.run(self._send(method, path, content, sent, urlencode(query), leaves))

    async def _send(
        self, method: str, path: str, body: bytes, headers: dict[str, str], query: str, leaves: bool
    ) -> Answer:
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8000),
        }
        sent: list[dict[str, Any]] = []
        asked = 0

        async def receive() -> dict[str, Any]:
            nonlocal asked
            asked += 1
            if asked > 1 and not leaves:
                await asyncio.Event().wait()  # the client stays
            return {"type": "http.disconnect"} if leaves else {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._application(scope, receive, send)
        start, *parts = sent
        given = {name.decode().title(): value.decode("latin-1") for name, value in start["headers"]}
        return Answer(start["status"], given, b"".join(part.get("body", b"") for part in parts))

    def post(self, path: str, body: Any = None, **fields: Any) -> Answer:
        return self("POST", path, body, **fields)

    def get(self, path: str, *query: tuple[str, str]) -> Answer:
        return self("GET", path, query=query)
