import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import worldflow
from tests.unit.cli.conftest import FLOWS, Cli
from worldflow.engine.errors import WorkflowNotFoundError
from worldflow.engine.workflow import definitions
from worldflow.runtime import queries
from worldflow.worlds.local.world import LocalWorld


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
    assert error == "Error: run 'one' has not published 'price'; published: broken, items\n"


def test_a_run_that_has_not_begun_has_published_nothing_yet(cli: Cli):
    cli("start", "basket", "--run-id", "one")
    error = cli.fails("query", "one", "items", "-w", FLOWS)
    assert error == ("Error: run 'one' has not published 'items'; published: nothing yet, as the run has not begun\n")


def test_a_query_that_fails_says_of_what(basket: Cli):
    assert basket.fails("query", "one", "broken", "-w", FLOWS) == "Error: IndexError: list index out of range\n"


def test_arguments_go_to_the_published_function(basket: Cli):
    error = basket.fails("query", "one", "items", "--args", '{"of": "Ada"}', "-w", FLOWS)
    assert "of: no such parameter" in error


def test_arguments_are_an_object(basket: Cli):
    assert "must be a JSON object of arguments by name" in basket.fails(
        "query", "one", "items", "--args", "[1]", code=2
    )


def test_a_run_of_a_workflow_whose_code_is_elsewhere(basket: Cli):
    basket("start", "elsewhere", "--run-id", "two")
    basket.settle()
    error = basket.fails("query", "two", "items", "-w", f"{FLOWS},tests.unit.cli.nowhere")
    assert error == (
        "Error: there is no workflow 'elsewhere' in tests.unit.cli.flows,tests.unit.cli.nowhere, and a query needs its "
        "code; not imported: tests.unit.cli.nowhere (ModuleNotFoundError: No module named 'tests.unit.cli.nowhere'). "
        "Name the module that defines it with --workflows MODULE or WORLDFLOW_WORKFLOWS; modules are looked for "
        "in PYTHONPATH\n"
    )


def test_where_no_module_was_named(basket: Cli):
    # In a process of its own, which knows no workflows.
    command = [sys.executable, "-m", "worldflow", "query", "one", "items", "--local", str(basket.file)]
    environment = {"PYTHONPATH": str(Path(worldflow.__file__).parent.parent)}
    run = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith(
        "Error: there is no workflow 'basket' in workflows, and a query needs its code; not imported: workflows "
        "(ModuleNotFoundError: No module named 'workflows'). Name the module that defines it with --workflows MODULE"
    )


def test_an_application_without_the_code_hears_what_it_must_import(basket: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(definitions._workflows._versions, "basket")
    with closing(LocalWorld(basket.file)) as world, pytest.raises(WorkflowNotFoundError) as caught:
        queries.query(world, "one", "items")
    assert "first import the module that defines the workflow" in caught.value.summary


def test_a_run_that_does_not_exist(basket: Cli):
    assert basket.fails("query", "two", "items", "-w", FLOWS) == f"Error: there is no run 'two' in {basket.file}\n"
