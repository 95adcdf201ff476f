"""The costs of a run are those that the command line has."""

from __future__ import annotations

import pytest

from tests.console.conftest import Pages
from tests.support.systems import System, start
from worldflow import open_stream, record_usage, step, wait_for_signal, workflow
from worldflow.costs import costs_of
from worldflow.token_prices import VARIABLE, load_prices


@step
async def console_costly() -> None:
    record_usage("tiny-1", input_tokens=1_000, output_tokens=20)
    async with open_stream("costly") as out:
        await out.write("x" * 3_000)


@workflow
async def console_costs() -> None:
    await console_costly()
    await wait_for_signal("go")


def test_the_costs_have_streams_and_tokens(system: System, pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    start(system, "costly", console_costs)
    expected = costs_of(system.world, "costly", load_prices())
    page = pages.text("/runs/costly/cost")
    assert f"One run costs ${expected.bills[-1].dollars:.8f} of AWS" in page
    assert "<td>tiny-1</td>" in page and "no price" in page
    monkeypatch.setenv(VARIABLE, '{"tiny-*": {"input": 3, "output": 15}}')
    assert "Its tokens cost $0.003300 more." in Pages(system.world).text("/runs/costly/cost")


def test_an_open_run_has_the_tokens_of_its_steps(system: System, pages: Pages) -> None:
    start(system, "costly", console_costs)
    assert "1,000 + 20 tokens of tiny-1" in pages.text("/runs/costly")
