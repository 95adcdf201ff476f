"""The page of `examples/chat`, served from this process, whose model speaks when a test lets it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from examples.chat import app as chat
from examples.research_agent import scripted
from examples.research_agent.sources import sources
from worldflow.engine.history import Event

expect.set_options(timeout=20_000)  # machines are slow where much runs at once

Asgi = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


class Gate:
    """How fast the model speaks: as many words as a test allows."""

    def __init__(self) -> None:
        self.allowed: float = 0
        self.spoken = 0
        self.breaks_at: int | None = None
        """The word at which the connection to the model breaks, once."""

    def allow(self, words: float = float("inf")) -> None:
        self.allowed = words if words == float("inf") else self.spoken + words

    async def word(self) -> None:
        while self.spoken >= self.allowed:
            await asyncio.sleep(0.005)
        self.spoken += 1
        if self.spoken == self.breaks_at:
            self.breaks_at = None
            raise ConnectionError("the model's connection broke")


class Line:
    """The connection between the page and the application. It can be cut."""

    def __init__(self, app: Asgi) -> None:
        self._app = app
        self._cut: dict[asyncio.Task[None], asyncio.AbstractEventLoop] = {}
        self.resumed: list[str] = []
        """Each `Last-Event-ID` that the browser has sent."""

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if not scope.get("path", "").endswith("/events"):
            return await self._app(scope, receive, send)
        headers = dict(scope["headers"])
        if last := headers.get(b"last-event-id"):
            self.resumed.append(last.decode())
        task: asyncio.Task[None] = asyncio.ensure_future(self._app(scope, receive, send))  # type: ignore[arg-type]
        self._cut[task] = asyncio.get_running_loop()
        try:
            await asyncio.wait([task])
        finally:
            del self._cut[task]
            task.cancel()

    def cut(self) -> None:
        for task, loop in list(self._cut.items()):
            loop.call_soon_threadsafe(task.cancel)


class Site:
    def __init__(self, url: str, line: Line, gate: Gate) -> None:
        self.url, self.line, self.gate = url, line, gate

    def events(self, page: Page, generation: str = "") -> list[Event]:
        """The history of the page's conversation. In a thread: this one's loop is Playwright's."""
        run = chat.app.state.orchestrator.sync.run(f"chat-{page.url.rpartition('/')[2]}{generation}")
        with ThreadPoolExecutor(1) as thread:
            found: list[Event] = thread.submit(run.events).result()
        return found


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    gate = Gate()
    monkeypatch.setattr(scripted, "pace", gate)
    monkeypatch.setattr(sources, "latency", 0)
    sources.sold.clear()
    monkeypatch.delenv("WORLDFLOW_EVENTS_TABLE", raising=False)
    monkeypatch.setenv("WORLDFLOW_LOCAL", str(tmp_path / "chat.db"))
    line = Line(chat.app)
    server = uvicorn.Server(
        uvicorn.Config(line, port=0, log_level="critical", timeout_graceful_shutdown=5)  # type: ignore[arg-type]
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        (socket,) = server.servers[0].sockets
        yield Site(f"http://127.0.0.1:{socket.getsockname()[1]}", line, gate)
    finally:
        gate.allow()
        line.cut()
        server.should_exit = True
        thread.join()


class Tabs:
    """Tabs of one browser, which must stay on the site and have no errors."""

    def __init__(self, browser: Browser, site: Site, **options: Any) -> None:
        self._context = browser.new_context(**options)
        self._context.set_default_timeout(15_000)
        self._site = site
        self.problems: list[str] = []

    def open(self, url: str = "") -> Page:
        page = self._context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", self._asked)
        page.goto(url or self._site.url)
        return page

    def close(self) -> None:
        self._context.close()

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith(self._site.url):
            self.problems.append(f"asked {request.url}")


@pytest.fixture
def tabs(browser: Browser, site: Site) -> Iterator[Tabs]:
    tabs = Tabs(browser, site)
    yield tabs
    tabs.close()
    assert [problem for problem in tabs.problems if "ERR_INCOMPLETE_CHUNKED_ENCODING" not in problem] == []
