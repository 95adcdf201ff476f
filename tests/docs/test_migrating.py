"""The examples of docs/migrating: those of Worldflow are run, those of other engines compiled or read."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import blocks, module, own_page, while_time_passes
from worldflow import RunFailedError
from worldflow.runtime import Orchestrator
from worldflow.testing import WorkflowEnvironment

MIGRATING = Path(__file__).parents[2] / "docs/migrating"
NOT_OFFERED = "not offered"
REASON = re.compile(rf"{NOT_OFFERED}[:;] [\w`]+( [^ |]+){{3,}}")

pytestmark = pytest.mark.usefixtures(own_page.__name__)


async def test_from_temporal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, workflow, _, application = blocks("docs/migrating/temporal.md")
    page = module(tmp_path, workflow, application)
    async with WorkflowEnvironment() as env:
        await while_time_passes(env, page.approve_order(Orchestrator(env.world)))
        assert capsys.readouterr().out == "receipt of 1001 approved by Grace\n"

        ignored = await env.start(page.fulfil_order, "1002")
        assert await ignored.query("status") == "waiting for approval"
        assert await ignored.result() == "nobody approved"


async def test_from_step_functions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = module(tmp_path, *blocks("docs/migrating/step-functions.md"))
    await page.test_nobody_approves()
    assert capsys.readouterr().out.endswith("released reservation of A reservation of B\n")

    small = page.Order(order_id="1", card="4242", skus=["A"], total=Decimal(30))
    async with WorkflowEnvironment() as env:
        assert await (await env.start(page.fulfil_order, small)).result() == "receipt over 30"
        large = await env.start(page.fulfil_order, small.model_copy(update={"total": Decimal(2_000)}))
        await env.resume_hook(capsys.readouterr().out.split()[-1], "approved")
        assert await large.result() == "receipt over 2000"
        declined = await env.start(page.fulfil_order, small.model_copy(update={"card": "declined"}))
        with pytest.raises(RunFailedError, match="CardDeclined"):
            await declined.result()
        assert capsys.readouterr().out == "released reservation of A\n"


def test_what_is_not_offered_is_little_and_has_a_reason() -> None:
    rows = [
        row for page in sorted(MIGRATING.glob("*.md")) for row in page.read_text().splitlines() if NOT_OFFERED in row
    ]
    rows = [row for row in rows if row.startswith("|")]
    assert len(rows) <= 15, "use what there is, or build it"
    assert [row for row in rows if not REASON.search(row)] == [], "say why in a few words, and what to do instead"


def test_the_state_machine_is_one() -> None:
    (text,) = blocks("docs/migrating/step-functions.md", "json")
    _check_states(json.loads(text))


def _check_states(machine: dict[str, Any]) -> None:
    """Every state is reached, and leads to one that exists or is the last."""
    states = machine["States"]
    reached = {machine["StartAt"]}
    for state in states.values():
        nexts = [rule["Next"] for rule in (state, *state.get("Choices", ()), *state.get("Catch", ())) if "Next" in rule]
        assert state.get("End") or state["Type"] == "Fail" or nexts
        reached |= {*nexts, *([state["Default"]] if "Default" in state else [])}
        if "ItemProcessor" in state:
            _check_states(state["ItemProcessor"])
    assert reached == states.keys()


async def test_from_aws_durable_functions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = module(tmp_path, blocks("docs/migrating/aws-durable-functions.md")[1])
    async with WorkflowEnvironment() as env:
        run = await env.start(page.fulfil_order, "1001", ["A", "B"])
        await env.resume_hook(capsys.readouterr().out.split()[-1], "yes")
        assert await run.result() == "receipt of 1001"
        assert await (await env.start(page.fulfil_order, "1002", [])).result() == "nobody approved"


async def test_from_dbos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = module(tmp_path, blocks("docs/migrating/dbos.md")[1])
    async with WorkflowEnvironment() as env:
        paid = page.pay(Orchestrator(env.world), "1001")
        assert await while_time_passes(env, paid) == "1001 shipped after card payment"
        assert await env.run("order-1001").query("payment_url") == "https://pay.example/1001"

        assert await (await env.start(page.checkout, "1002")).result() == "expired"
        assert capsys.readouterr().out == "released 1002\n"


async def test_from_celery(tmp_path: Path) -> None:
    page = module(tmp_path, blocks("docs/migrating/celery.md")[1])
    async with WorkflowEnvironment() as env:
        run = await env.start(page.publish_report, "q3", 2, "ada@example.com")
        assert await run.result() == "q3-0.pdf+q3-1.pdf to ada@example.com"
