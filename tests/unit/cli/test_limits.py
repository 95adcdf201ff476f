"""`python -m worldflow limits`."""

import re

import pytest

from tests.unit.cli.conftest import Cli
from worldflow import Limit, step, workflow


@step(limit=Limit("booth", concurrency=1))
async def sit_in_the_booth() -> None: ...


@workflow
async def visit_the_booth() -> None:
    await sit_in_the_booth()


@pytest.fixture
def busy(cli: Cli) -> Cli:
    """A limit has been used."""
    cli("start", "visit_the_booth", "--run-id", "first")
    cli.settle()
    return cli


def test_nothing_is_limited_yet(cli: Cli):
    cli("start", "ask", "--run-id", "unlimited")
    assert cli.run("limits", "list").stderr == "No limits: no call has asked for a place yet.\n"


def test_pausing_one_and_seeing_who_waits(busy: Cli):
    busy("limits", "set", "booth", "--concurrency", "0")
    busy("start", "visit_the_booth", "--run-id", "second")
    busy.settle()

    (status,) = busy.json("limits", "show", "booth")["limits"]
    assert (status["concurrency"], status["changed"], status["waiting"][0]["run_id"]) == (0, True, "second")
    header, line = (re.split(r"\s{2,}", text.strip()) for text in busy("limits", "list").splitlines())
    assert header == ["limit", "key", "concurrency", "rate", "holding", "waiting"]
    assert line == ["booth (set)", "0", "0", "1"]
    assert "waits 1" in busy("limits", "show", "booth")
    assert "s1 is waiting for limit 'booth' (1 of 1)" in busy("status", "second")


def test_a_limit_that_is_not_there(busy: Cli):
    assert "there is no limit 'both'" in busy.fails("limits", "reset", "both")
