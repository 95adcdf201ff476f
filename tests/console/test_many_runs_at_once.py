"""Actions on selected runs: what will happen is shown first, then done beside the page that tells of it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from tests.console.conftest import HOST, Pages
from tests.support.systems import System, start
from worldflow import wait_for_signal, workflow


@workflow
async def console_many() -> None:
    await wait_for_signal("go")


@workflow
async def console_over() -> str:
    return "over"


def test_a_preview_says_what_will_happen_to_each(system: System, pages: Pages) -> None:
    start(system, "open", console_many)
    start(system, "over", console_over)
    page = pages.send("/bulk", {"action": "cancel", "run": ["open", "over"]}).text
    assert "its workflow is cancelled where it waits" in page and "skipped: it is completed" in page
    system.settle()
    assert system.world.read_run("open").status == "running"


def test_what_is_wrong_with_one_does_not_stop_the_others(system: System, pages: Pages) -> None:
    for number in range(3):
        start(system, f"many-{number}", console_many)
    start(system, "over", console_over)
    chosen = ["many-0", "over", "many-1", "many-2"]
    page = asyncio.run(_confirmed(pages, {"action": "cancel", "run": chosen}))
    assert "4 of 4 done, 1 refused" in page
    system.settle()
    assert [system.world.read_run(run_id).status for run_id in chosen] == [
        "cancelled", "completed", "cancelled", "cancelled",
    ]  # fmt: skip


def test_an_action_needs_runs(pages: Pages) -> None:
    assert pages.send("/bulk", {"action": "cancel"}).status == 422
    assert pages.send("/bulk", {"action": "explode", "run": "x"}).status == 422


async def _confirmed(pages: Pages, fields: dict[str, Any]) -> str:
    """Confirms within one event loop, in which the work is done."""
    from urllib.parse import urlencode

    request = pages.request
    token = re.findall(r'name=".token" value="([^"]+)"', await _get(request, "/"))[0]
    body = urlencode({".token": token, "confirmed": "yes", ".action_id": "work", **fields}, doseq=True)
    headers = {"Host": HOST, "Origin": f"http://{HOST}"}
    answer = await request._send("POST", "/bulk", body.encode(), headers, "", False)
    assert answer.status == 303
    while True:
        page = await _get(request, answer.headers["Location"])
        if "every 500ms" not in page:
            return page
        await asyncio.sleep(0.01)


async def _get(request: Any, path: str) -> str:
    return str((await request._send("GET", path, b"", {"Host": HOST}, "", False)).text)
