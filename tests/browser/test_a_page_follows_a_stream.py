"""The JavaScript of docs/guide/streams.md, in a browser: it reads a stream of another origin by a signed URL."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect

from tests.docs.pages import blocks
from worldflow import RetryPolicy, open_stream, step, step_info, workflow
from worldflow.runtime import starting
from worldflow.runtime.stream_urls import stream_url
from worldflow.serving.background import BackgroundWorker
from worldflow.serving.http.application import create_application
from worldflow.serving.worker import Worker
from worldflow.worlds import LocalWorld

expect.set_options(timeout=20_000)  # machines are slow where much runs at once

(FOLLOW,) = blocks("docs/guide/streams.md", "javascript")
CARELESS = FOLLOW.replace('source.addEventListener("end", () => source.close());\n', "")
"""A page that does not listen to the end."""

words: queue.Queue[str | None]


@step(retry=RetryPolicy(initial_interval=0))
def speak_to_a_page() -> None:
    with open_stream("answer", str) as out:
        while (word := words.get()) is not None:
            if word == "fail" and step_info().attempt == 1:
                raise ConnectionError("the line is bad")
            out.write(word)


@workflow
async def speaks_to_a_page() -> None:
    await speak_to_a_page()


@contextmanager
def served(application: Any) -> Iterator[str]:
    server = uvicorn.Server(
        uvicorn.Config(application, port=0, lifespan="off", log_level="critical", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The signed URL of a stream that a step writes word by word."""
    global words
    words = queue.Queue()
    with (
        closing(LocalWorld(tmp_path / "runs.db", webhook_url="http://api.example/webhooks")) as world,
        served(create_application(world, None)) as api,
        BackgroundWorker(Worker(world)),
    ):
        # Playwright has the event loop of this thread, so nothing here awaits.
        starting.start(world, "r", speaks_to_a_page, {})
        yield api + urlsplit(stream_url(world, "r", "answer")).path
        words.put(None)


async def a_page(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": b"<!doctype html><p id=answer></p>"})


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of an origin of its own."""
    with served(a_page) as origin, closing(browser.new_context()) as context:
        page = context.new_page()
        page.goto(origin)
        yield page


def follow(page: Page, url: str, script: str = FOLLOW) -> None:
    given = f"const url = {json.dumps(url)}; const answer = document.all.answer;"
    page.evaluate(f"() => {{ {given} {script}; window.source = source; }}")


# `serve` sends as it is written; with a `wait` it answers shortly, as the stack does, and the browser comes back.
@pytest.mark.parametrize("query", ["", "?wait=0.5"], ids=["one response", "many short ones"])
def test_words_come_while_the_step_runs(page: Page, url: str, query: str) -> None:
    follow(page, url + query)
    for number in range(1, 4):
        words.put(f"word {number} ")
        expect(page.locator("#answer")).to_have_text("".join(f"word {each} " for each in range(1, number + 1)))
    words.put("fail")
    expect(page.locator("#answer")).to_have_text("")
    words.put("<b>again</b>")
    expect(page.locator("#answer")).to_have_text("<b>again</b>")


@pytest.mark.parametrize("script", [FOLLOW, CARELESS], ids=["closes", "does not"])
def test_a_browser_does_not_come_back_after_the_end(page: Page, url: str, script: str) -> None:
    follow(page, f"{url}?wait=0.1", script)
    words.put("All.")
    words.put(None)
    page.wait_for_function("source.readyState === EventSource.CLOSED")
    expect(page.locator("#answer")).to_have_text("All.")
