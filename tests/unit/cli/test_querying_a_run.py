import json

import pytest

from tests.unit.cli.conftest import FLOWS, Cli


@pytest.fixture
def basket(cli: Cli) -> Cli:
    cli("start", "basket", "--run-id", "one")
    cli.settle()
    cli.run("update", "one", "add", "--args", '["hat", 2]', "--timeout", "0s")
    cli.settle()
    return cli


def test_what_the_workflow_publishes_is_printed_as_json(basket: Cli):
    assert json.loads(basket("query", "one", "items", "-w", FLOWS)) == ["hat", "hat"]


def test_also_of_a_run_that_has_ended(basket: Cli):
    basket("signal", "one", "pay")
    basket.settle()
    assert json.loads(basket("query", "one", "items", "-w", FLOWS)) == ["hat", "hat"]


def test_nothing_is_written(basket: Cli):
    before = basket("events", "one", "--json")
    basket("query", "one", "items", "-w", FLOWS)
    assert basket("events", "one", "--json") == before


def test_a_name_that_is_not_published(basket: Cli):
    error = basket.fails("query", "one", "price", "-w", FLOWS)
    assert error == "Error: run 'one' has not published 'price'; it has: broken, items\n"


def test_a_query_that_fails_says_of_what(basket: Cli):
    assert basket.fails("query", "one", "broken", "-w", FLOWS) == "Error: IndexError: list index out of range\n"


def test_a_run_of_a_workflow_whose_code_is_elsewhere(basket: Cli):
    basket("start", "elsewhere", "--run-id", "two")
    basket.settle()
    error = basket.fails("query", "two", "items", "-w", f"{FLOWS},tests.unit.cli.nowhere")
    assert error.startswith("Error: there is no workflow 'elsewhere'")
    assert "not imported: tests.unit.cli.nowhere" in error


def test_a_run_that_does_not_exist(basket: Cli):
    assert basket.fails("query", "two", "items", "-w", FLOWS) == "Error: there is no run 'two'\n"
