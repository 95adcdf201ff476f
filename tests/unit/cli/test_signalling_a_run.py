from tests.unit.cli.conftest import Cli


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
