"""A browser reads a stream of the deployed stack by its signed URL, while a step writes it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.support.event_source import EventSource, Response, values
from worldflow.devtools.stack import Stack
from worldflow.runtime import Orchestrator
from worldflow.worlds import AWSWorld

WORDS = [f"word {number}" for number in range(20)]


SIGN = "print(Orchestrator(AWSWorld()).sync.run(sys.argv[1]).stream_url('words'))"


def signed_url(run_id: str, application: dict[str, str]) -> str:
    """Made by a process that has the time of the functions, as this one has not."""
    code = f"import sys; from worldflow.runtime import Orchestrator; from worldflow.worlds import AWSWorld; {SIGN}"
    made = subprocess.run([sys.executable, "-c", code, run_id], env=application, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def test_a_browser_follows_a_stream_through_a_retry_and_a_closed_tab(
    stack: Stack,
    start: Callable[..., str],
    ended: Callable[..., dict[str, Any]],
    application: dict[str, str],
) -> None:
    run_id = start("recites", words=WORDS)
    url = signed_url(run_id, application)
    assert url.startswith(stack.outputs["WebhookUrl"].replace("/webhooks", "/streams/"))

    def fetch(last_id: str) -> Response:
        answer = stack.read_stream(url, last_id)
        time.sleep(0.25)
        return Response(answer.status, answer.body or "")

    first_tab = EventSource(fetch)
    seen = []
    for message in first_tab:
        seen.append(message)
        if message.kind == "message" and message.data["attempt"] == 2:
            break  # the tab is closed
    assert stack.call("GET", f"/runs/{run_id}").body["status"] == "running", "it has read while the step was writing"

    second_tab = EventSource(fetch, last_id=seen[-1].id)
    seen += second_tab
    assert second_tab.responses > 2
    assert [message.kind for message in seen if message.kind != "message"] == ["reset", "end"]
    assert [message.data["attempt"] for message in seen if message.kind == "message"] == [1, 1, *[2] * len(WORDS)]
    assert [int(message.id) for message in seen[:-1]] == list(range(1, len(seen)))
    assert values(seen) == WORDS

    assert ended(run_id)["status"] == "completed"
    assert stack.read_stream(f"{url}x").status == 404
    assert stack.call("GET", f"/runs/{run_id}/streams").body == {"streams": ["progress", "words"]}
    page = stack.call("GET", f"/runs/{run_id}/streams/progress").body
    assert [item["value"] for item in page["items"]] == ["begun", "done"]
    assert stack.call("GET", f"/runs/{run_id}/streams/progress?after=2").body["ended"]


def test_python_follows_a_stream_of_the_stack(
    start: Callable[..., str], ended: Callable[..., dict[str, Any]], application: dict[str, str]
) -> None:
    run_id = start("recites", words=WORDS[:5])

    async def read() -> list[Any]:
        return [item async for item in Orchestrator(AWSWorld()).run(run_id).stream("words", str)]

    items = asyncio.run(read())
    assert [item.offset for item in items] == list(range(1, 9))
    assert [item.value for item in items[3:]] == WORDS[:5]
    assert ended(run_id)["status"] == "completed"
