import pytest

from tests.unit.cli.conftest import FLOWS, Cli
from worldflow.engine.workflow import definitions
from worldflow.engine.workflow.registry import Registry


def test_the_value_arrives(cli: Cli):
    cli("start", "ask", "--run-id", "one")
    cli("signal", "one", "answer", "--value", '{"yes": true}')
    cli.settle()
    assert cli.json("status", "one")["result"] == {"Well?": {"yes": True}}


def test_a_signal_needs_no_value(cli: Cli):
    cli("start", "ask", "--run-id", "one")
    cli("signal", "one", "answer")
    cli.settle()
    assert cli.json("status", "one")["result"] == {"Well?": None}


def test_json_has_the_signals_id(cli: Cli):
    cli("start", "ask", "--run-id", "one")
    sent = cli.json("signal", "one", "answer")
    assert sent["run_id"] == "one"
    cli.settle()
    assert sent["signal_id"] in cli("events", "one", "--json")


def test_a_run_that_has_ended_takes_none(cli: Cli):
    cli("start", "tomorrow", "--run-id", "one", "--input", '{"day": "2026-02-28"}')
    cli.settle()
    assert cli.fails("signal", "one", "answer") == "Error: run 'one' has already ended (completed)\n"


def test_a_name_that_is_none_is_refused(cli: Cli):
    cli("start", "ask", "--run-id", "one")
    assert cli.fails("signal", "one", "not a name").startswith("Error: 'not a name' is not a valid name")


def test_the_declared_type_is_checked_where_the_code_is_named(cli: Cli):
    cli("start", "judged", "--run-id", "one")
    refused = cli.fails("signal", "one", "verdict", "--value", '"maybe"', "--workflows", FLOWS)
    assert "does not fit the signal 'verdict' of judged" in refused


def test_a_signal_is_sent_unchecked_where_the_code_is_missing(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    cli("start", "judged", "--run-id", "one")
    monkeypatch.setattr(definitions, "_workflows", Registry("workflow"))
    sent = cli.run("signal", "one", "verdict", "--value", "true", "--workflows", "no_such_module")
    assert sent.exit_code == 0
    assert sent.stderr.startswith("Warning: the value is not checked: there is no workflow 'judged'")
    assert "not imported: no_such_module" in sent.stderr


def test_a_name_that_the_workflow_does_not_declare_gets_a_warning(cli: Cli):
    cli("start", "judged", "--run-id", "one")
    sent = cli.run("signal", "one", "vredict", "--workflows", FLOWS)
    assert sent.exit_code == 0
    assert sent.stderr.startswith("Warning: judged does not declare the signal 'vredict', only verdict;")
