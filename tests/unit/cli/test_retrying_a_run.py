import pytest

from tests.unit.cli import flows
from tests.unit.cli.conftest import Cli


def test_a_run_that_failed_goes_on_as_its_next_generation(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    cli("start", "doomed", "--run-id", "one")
    cli.settle()
    monkeypatch.setattr(flows, "hope", True)
    assert cli("retry", "one") == "one~2\n"
    cli.settle()
    assert cli.json("status", "one")["status"] == "failed"
    again = cli.json("status", "one~2")
    assert (again["status"], again["result"]) == ("completed", "carried on")


def test_json_is_the_new_run(cli: Cli):
    cli("start", "doomed", "--run-id", "one")
    cli.settle()
    new = cli.json("retry", "one")
    assert (new["run_id"], new["workflow_name"], new["status"]) == ("one~2", "doomed", "pending")


def test_a_run_that_has_not_failed(cli: Cli):
    cli("start", "ask", "--run-id", "one")
    cli.settle()
    assert cli.fails("retry", "one") == "Error: run 'one' is running: only a failed run can be retried\n"
    assert cli.fails("retry", "two") == f"Error: there is no run 'two' in {cli.file}\n"


def test_another_input(cli: Cli):
    cli("start", "tomorrow", "--run-id", "one", "--input", '{"day": "never"}')
    cli.settle()
    assert cli.json("status", "one")["status"] == "failed"
    assert cli("retry", "one", "--input", '{"day": "2026-02-28"}') == "one~2\n"
    cli.settle()
    assert cli.json("status", "one~2")["result"] == "2026-03-01"
    assert "must be a JSON object" in cli.fails("retry", "one", "--input", "[1]", code=2)
