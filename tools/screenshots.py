"""Pictures of the console: each of its pages in light and in dark, over runs that are made for it."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page, sync_playwright

from tools import chromium
from worldflow import Limit, RetryPolicy, open_stream, record_usage, step, wait_for_signal, workflow
from worldflow.console.server import beside
from worldflow.runtime import load_workflows, schedules, sending, starting, workflow_pauses
from worldflow.serving.background import BackgroundWorker
from worldflow.serving.worker import Worker
from worldflow.worlds import LocalWorld

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
WIDTH, HEIGHT = 1120, 720
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

PAGES: dict[str, tuple[str, Callable[[Page], object] | None]] = {
    "runs": ("/", None),
    "run": ("/runs/order-1002", None),
    "failed": ("/runs/import-7", None),
    "history": ("/runs/order-1001/history", lambda page: page.locator("summary").nth(12).click()),
    "code": ("/runs/order-1002/code", None),
    "streams": ("/runs/answer-1/streams", None),
    "agents": ("/runs/answer-1/agents", None),
    "family": ("/runs/books/family", None),
    "cost": ("/runs/order-1001/cost", None),
    "compare": ("/compare?a=import-7&b=import-7-fork", None),
    "start": ("/start?workflow=fulfil_order", None),
    "schedules": ("/schedules", None),
    "schedule": ("/schedules/nightly", None),
    "limits": ("/limits", None),
    "health": ("/health", None),
}


@step(retry=RetryPolicy(max_attempts=2))
async def read_rows(file: str) -> list[int]:
    if file.endswith(".csv"):
        raise ValueError(f"{file}, line 3: 'twelve' is not a number")
    return [3, 5, 12]


@workflow
async def import_file(file: str) -> int:
    return sum(await read_rows(file))


@workflow
async def keep_books(files: list[str]) -> int:
    return sum([await import_file(file) for file in files])


@workflow(limit=Limit("rooms", concurrency=2, key=lambda house: house))
async def let_a_room(house: str) -> str:
    return str(await wait_for_signal("departure"))


@step(name="assistant.model")
async def ask_model(messages: list[dict[str, Any]]) -> dict[str, Any]:
    words = "Take a train to Graz on Sunday: it will be sunny all day, and the market is open until four."
    async with open_stream("answer", str) as out:
        for word in words.split():
            await out.write(f"{word} ")
    record_usage("claude-sonnet-4-5", input_tokens=412, output_tokens=23)
    return {"kind": "response", "run_id": "1", "parts": [{"part_kind": "text", "content": words}]}


@workflow
async def answer_question(question: str) -> str:
    prompt: dict[str, Any] = {
        "kind": "request",
        "run_id": "1",
        "parts": [{"part_kind": "user-prompt", "content": question}],
    }
    await ask_model([prompt])
    return str(await wait_for_signal("next"))


def main() -> int:
    path = chromium.executable()
    if path is None:
        sys.exit(chromium.ADVICE)
    load_workflows(["workflows"])
    os.environ.setdefault("WORLDFLOW_TOKEN_PRICES", '{"claude-sonnet-4-5": {"input": 3, "output": 15}}')
    with tempfile.TemporaryDirectory() as folder, closing(LocalWorld(Path(folder, "runs.db"))) as world:  # noqa: SIM117
        with BackgroundWorker(Worker(world)), beside(world) as url, sync_playwright() as playwright:
            make_runs(world)
            browser = playwright.chromium.launch(executable_path=path, args=[] if os.geteuid() else ["--no-sandbox"])
            for scheme in SCHEMES:
                page = browser.new_page(color_scheme=scheme, viewport={"width": WIDTH, "height": HEIGHT})
                for name, (place, before) in PAGES.items():
                    page.goto(url + place)
                    if before:
                        before(page)
                    page.wait_for_timeout(700)
                    page.screenshot(path=FOLDER / f"console-{name}-{scheme}.png")
            browser.close()
    return 0


def make_runs(world: LocalWorld) -> None:
    """Orders that wait, ended and failed, a family, the answer of a model, and runs that a limit or a pause holds."""

    def order(number: int, quantity: int, card: str = "good") -> dict[str, Any]:
        line = {"sku": "SCREEN", "quantity": quantity, "unit_price": Decimal("320.50")}
        return {"order": {"order_id": str(number), "customer": "Ada", "card": card, "lines": [line]}}

    starting.start(world, "books", keep_books, {"files": ["january.txt", "february.txt"]})
    starting.start(world, "order-1001", starting.resolve("fulfil_order", None), order(1001, 4, "flaky"))
    starting.start(world, "import-7", import_file, {"file": "march.csv"})
    starting.start(world, "answer-1", answer_question, {"question": "Where will it be sunny on Sunday?"})
    for number in range(1, 6):
        starting.start(world, f"guest-{number}", let_a_room, {"house": "Alpenblick"})
    for number in range(990, 1000):
        starting.start(world, f"order-{number}", starting.resolve("fulfil_order", None), order(number, 1))
    until(world, "order-1001", lambda: "approval" in (world.read_run("order-1001").status_text or ""))
    sending.signal(world, "order-1001", "approval", {"approved": True, "by": "Grace"})
    until(world, "order-1001", lambda: world.read_run("order-1001").ended)
    until(world, "import-7", lambda: world.read_run("import-7").ended)
    starting.start(world, "order-1002", starting.resolve("fulfil_order", None), order(1002, 6))
    starting.fork(world, "import-7", "import-7-fork", after=1, edit={1: {"file": "march.txt"}})
    until(world, "import-7-fork", lambda: world.read_run("import-7-fork").ended)
    until(world, "order-1002", lambda: "approval" in (world.read_run("order-1002").status_text or ""))
    input = order(0, 1)
    schedules.create(
        world, "nightly", "fulfil_order", input, schedule="cron(0 8 ? * MON-FRI *)", timezone="Europe/Vienna"
    )
    workflow_pauses.pause_workflow(world, import_file, "the supplier sends broken files")
    starting.start(world, "import-8", import_file, {"file": "april.txt"})
    until(world, "import-8", lambda: world.read_run("import-8").status == "paused")


def until(world: LocalWorld, run_id: str, is_so: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if is_so():
            return
        threading.Event().wait(0.02)
    raise TimeoutError(f"{run_id} is {world.read_run(run_id).status}")


if __name__ == "__main__":
    sys.exit(main())
