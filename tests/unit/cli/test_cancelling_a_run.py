from tests.unit.cli.conftest import Cli


def test_the_run_ends_and_keeps_the_reason(cli: Cli):
    cli("start", "ask", "--run-id", "one")
    assert cli.json("cancel", "one", "--reason", "out of season") == {"run_id": "one"}
    cli.settle()
    assert cli.json("status", "one")["status"] == "cancelled"
    assert "run cancelled  out of season" in cli("events", "one")


def test_a_run_that_does_not_exist(cli: Cli):
    cli("start", "ask", "--run-id", "one")
    assert cli.fails("cancel", "two") == f"Error: there is no run 'two' in {cli.file}\n"
