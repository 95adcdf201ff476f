from tests.unit.cli.conftest import Cli


def test_the_run_ends_and_keeps_the_reason(cli: Cli):
    cli("start", "ask", "--run-id", "one")
    cli.settle()
    assert cli("terminate", "one", "--reason", "out of season") == "Requested termination of one.\n"
    cli.settle()
    assert cli.json("status", "one")["status"] == "cancelled"
    assert "termination requested  out of season" in cli("events", "one")
    assert "reason    out of season" in cli("status", "one")


def test_a_run_that_is_blocked(cli: Cli):
    cli("start", "elsewhere", "--run-id", "one")
    cli.settle()
    assert cli.json("status", "one")["status"] == "blocked"
    assert cli.json("terminate", "one") == {"run_id": "one"}
    cli.settle()
    assert cli.json("status", "one")["status"] == "cancelled"


def test_a_run_that_has_ended_already(cli: Cli):
    cli("start", "doomed", "--run-id", "one")
    cli.settle()
    assert cli.fails("terminate", "one") == "Error: run 'one' has already ended (failed)\n"
    assert cli.fails("terminate", "two") == f"Error: there is no run 'two' in {cli.file}\n"
