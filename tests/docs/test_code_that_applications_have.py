"""The code on the pages for applications, and in the README, run as it stands there.

`AWSWorld()` is a world in memory here: what a world on AWS does differently is not what these pages are about.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pydantic_ai.models import Model
from pydantic_ai.models.test import TestModel

from tests.docs.pages import PROJECT, blocks, module, own_page, run, while_time_passes
from workflows.hello import hello
from workflows.order import Line, Order, fulfil_order
from worldflow import workflow, worlds
from worldflow.ai.pydantic import Durable
from worldflow.runtime import Orchestrator
from worldflow.testing import WorkflowEnvironment
from worldflow.worker import Worker
from worldflow.worlds import LocalWorld

ORDER = Order(order_id="1", customer="Ada", card="4242", lines=[Line(sku="A", quantity=2, unit_price=Decimal(900))])

SQS = "https://sqs.eu-west-1.amazonaws.com/111122223333"
VARIABLES = {
    "AWS_REGION": "eu-west-1",
    "WORLDFLOW_EVENTS_TABLE": "events",
    "WORLDFLOW_RUNS_TABLE": "runs",
    "WORLDFLOW_STEP_QUEUE_URL": f"{SQS}/x-steps.fifo",
    "WORLDFLOW_RUN_QUEUE_URL": f"{SQS}/x-runs.fifo",
    "WORLDFLOW_TIMER_QUEUE_URL": f"{SQS}/x-timers",
}


@pytest.fixture
async def env(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WorkflowEnvironment]:
    async with WorkflowEnvironment() as env:
        monkeypatch.setattr(worlds, "AWSWorld", lambda: env.world, raising=False)
        yield env


@pytest.mark.usefixtures(own_page.__name__)
async def test_the_workflow_on_the_first_screen_of_readme(tmp_path: Path, env: WorkflowEnvironment) -> None:
    charged: list[int] = []

    async def charge(card: str, amount: int) -> str:
        charged.append(amount)
        return "receipt"

    async def ship(sku: str) -> str:
        return f"parcel of {sku}"

    code = blocks("README.md")[0]
    assert len(code.splitlines()) <= 25
    page = module(tmp_path, code, bank=SimpleNamespace(charge=charge), warehouse=SimpleNamespace(ship=ship))
    order = await env.start(page.fulfil_order, ["A", "B"], "4242", 2_000)
    await env.advance("1d")
    await order.signal("approval")
    assert await order.result() == ["parcel of A", "parcel of B"]
    assert charged == [2_000]


@pytest.mark.usefixtures(own_page.__name__)
async def test_the_agent_of_readme(tmp_path: Path, env: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(self: Durable[Any], ctx: Any, *, model_id: str) -> Model:
        return TestModel(custom_output_text="It will be sunny in Graz.")

    monkeypatch.setattr(Durable, "resolve_model_id", resolve)
    page = module(tmp_path, blocks("README.md")[1])
    run = await env.start(page.support, "Where will it be sunny?")
    assert await run.result() == "It will be sunny in Graz."
    assert [item async for item in run.stream("answer")]


def test_the_readme_is_short() -> None:
    assert len((PROJECT / "README.md").read_text().splitlines()) < 200


def test_the_shell_session_of_readme(tmp_path: Path) -> None:
    (session,) = (code for code in blocks("README.md", "sh") if "worldflow worker" in code)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").write_text(f"PATH={Path(sys.executable).parent}:$PATH\n")
    shutil.copytree(PROJECT / "layers/workflows", tmp_path / "layers/workflows")
    command = ["bash", "-c", session]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert 'run completed  ["Hello, Ada!", "Hello, Ada, again!"]' in done.stdout, done.stderr


async def test_the_application_of_readme(
    tmp_path: Path, env: WorkflowEnvironment, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    greet = module(tmp_path, blocks("README.md")[2])
    monkeypatch.setitem(sys.modules, "workflows.greet", greet)
    application = module(tmp_path, blocks("README.md")[4].replace("asyncio.run(main())", ""))
    await while_time_passes(env, application.main())
    assert capsys.readouterr().out == "['Greeted Ada', 'Greeted Ada again']\n"


async def test_an_application_of_docs_guide_deploying_md(
    env: WorkflowEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    code = blocks("docs/guide/deploying.md")[0]
    defined = await while_time_passes(env, run(code, fulfil_order=fulfil_order, order=ORDER))
    assert defined["status"]["status"] == "completed"
    assert capsys.readouterr().out.splitlines()[-1].startswith("RunCompleted {")


async def test_a_local_world_of_docs_guide_deploying_md(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    defined = await run(blocks("docs/guide/deploying.md")[1], hello=hello)
    defined["world"].close()
    assert capsys.readouterr().out == "['Hello, Ada!', 'Hello, Ada, again!']\n"


async def test_a_schedule_of_docs_guide_recurring_md(env: WorkflowEnvironment) -> None:
    @workflow
    async def report(kind: str) -> str:
        return kind

    orchestrator = Orchestrator(env.world)
    create, limit, trigger, backfill = blocks("docs/guide/recurring.md")
    await run(create, orchestrator=orchestrator, report=report)
    schedule = await orchestrator.get_schedule("daily-report")
    assert (schedule.timezone, schedule.input) == ("Europe/Berlin", {"kind": "sales"})
    await run(limit, orchestrator=orchestrator, report=report)
    limited = await orchestrator.get_schedule("hourly-import")
    assert (limited.catch_up, limited.remaining, limited.overlap) == (3 * 3_600, 100, "buffer_all")
    triggered = (await run(trigger, orchestrator=orchestrator))["run"]
    assert triggered.id == "daily-report:trigger-after-the-import"
    filled = (await run(backfill, orchestrator=orchestrator))["run_ids"]
    assert filled == [f"daily-report:2025110{day}T070000Z" for day in range(3, 8)]


async def test_the_code_of_docs_guide_tracing_md(monkeypatch: pytest.MonkeyPatch) -> None:
    instrumented: list[str] = []
    httpx: Any = ModuleType("opentelemetry.instrumentation.httpx")
    httpx.HTTPXClientInstrumentor = lambda: SimpleNamespace(instrument=lambda: instrumented.append("httpx"))
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation", ModuleType("opentelemetry.instrumentation"))
    monkeypatch.setitem(sys.modules, httpx.__name__, httpx)
    library, observer = blocks("docs/guide/tracing.md")
    await run(library)
    assert instrumented == ["httpx"]

    world = LocalWorld()
    await run(observer, Worker=Worker, world=world)
    world.close()


def test_the_handlers_of_docs_guide_deploying_md(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    page = module(tmp_path, blocks("docs/guide/deploying.md")[2])
    assert callable(page.lambda_handler) and callable(page.create_step_handler)
