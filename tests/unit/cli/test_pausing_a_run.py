import pytest

from tests.unit.cli.conftest import Cli


def test_the_status_says_by_whom_and_why(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOGNAME", "grace")
    cli("start", "ask", "--run-id", "one")
    cli.settle()
    assert cli("pause", "one", "--reason", "an incident") == "Requested a pause of one.\n"
    cli.settle()
    assert "by grace: an incident" in cli("status", "one")
    assert "one" in cli("list", "--status", "paused")
    assert cli("unpause", "one") == "Requested one to continue.\n"
    cli.settle()
    assert cli.json("status", "one")["status"] == "running"


def test_all_open_runs_of_a_workflow_are_paused(cli: Cli):
    for run_id in ("one", "two"):
        cli("start", "ask", "--run-id", run_id)
    cli("start", "door", "--run-id", "other")
    cli.settle()
    cli("pause", "--where", "workflow=ask", "--yes")
    cli.settle()
    assert [cli.json("status", run_id)["status"] for run_id in ("one", "two", "other")] == [
        "paused",
        "paused",
        "running",
    ]
    cli("unpause", "--where", "workflow=ask", "--yes")
    cli.settle()
    assert cli.json("status", "two")["status"] == "running"
