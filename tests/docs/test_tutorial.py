"""docs/tutorial.md: its workflow as it grows, its tests, and an order that waits while its code changes."""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.docs.pages import PROJECT, blocks, forget_names, module, own_page
from worldflow.cli import app
from worldflow.testing import WorkflowEnvironment, replay

pytestmark = pytest.mark.usefixtures(own_page.__name__)

FIRST, FIRST_TEST, SECOND, SECOND_TESTS, THIRD = blocks("docs/tutorial.md")
CHANGED = SECOND.partition("@workflow")[0] + THIRD


@pytest.mark.parametrize(("code", "tests"), [(FIRST, FIRST_TEST), (SECOND, SECOND_TESTS), (CHANGED, SECOND_TESTS)])
async def test_the_tests_of_the_tutorial_pass(
    code: str, tests: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "workflows.coffee", module(tmp_path, code))
    shown = module(tmp_path, tests)
    for test in _tests_of(shown):
        capsys.readouterr()
        await (test(capsys) if inspect.signature(test).parameters else test())


def _tests_of(shown: ModuleType) -> list[Any]:
    found = [value for name, value in vars(shown).items() if name.startswith("test_")]
    assert found
    return found


def test_the_check_finds_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coffee = tmp_path / "layers/workflows/workflows/coffee.py"
    coffee.parent.mkdir(parents=True)
    coffee.write_text(FIRST)
    monkeypatch.chdir(tmp_path)
    checked = CliRunner().invoke(app, ["check"])
    assert checked.exit_code == 1
    assert f"```text\n{checked.output.splitlines()[0]}\n" in (PROJECT / "docs/tutorial.md").read_text()


async def test_an_order_that_waits_goes_on_with_the_changed_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = module(tmp_path, SECOND)
    async with WorkflowEnvironment() as env:
        run = await env.start(page.sell_coffee, page.Coffee(customer="Grace", kilos=3))
        await env.advance("1m")
        history = "\n".join(
            json.dumps(
                {"seq": event.seq, "at": str(event.at), "event_type": event.event_type, "payload": event.payload}
            )
            for event in await run.events()
        )
    forget_names()
    changed = module(tmp_path, CHANGED)
    await asyncio.to_thread(replay, history)
    async with WorkflowEnvironment() as env:
        run = await env.start(changed.sell_coffee, changed.Coffee(customer="Ada", kilos=2))
        await env.advance("1m")
        assert capsys.readouterr().out == "thank you, Ada\n"
