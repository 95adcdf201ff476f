import pytest

from tests.unit.cli.conftest import Cli


def test_new_runs_wait_until_it_is_unpaused(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOGNAME", "grace")
    cli("start", "door", "--run-id", "other")
    said = cli("workflows", "pause", "ask", "--reason", "an incident")
    assert said.startswith("Paused workflow ask since ") and said.endswith("UTC by grace: an incident.\n")
    for run_id in ("one", "two"):
        cli("start", "ask", "--run-id", run_id)
    cli.settle()
    assert "UTC, with its workflow, by grace: an incident" in " ".join(cli("status", "one").split())
    assert "by grace: an incident" in cli("workflows", "paused")
    (pause,) = cli.json("workflows", "paused")["workflows"]
    assert (pause["workflow"], pause["ending"]) == ("ask", False)

    assert cli.json("workflows", "unpause", "ask", "--rate", "1000/s")["unpaused"] == ["one", "two"]

    cli.settle()
    assert cli.json("status", "two")["status"] == "running"
    assert cli.run("workflows", "paused").stderr == "No workflow is paused.\n"
    assert cli("workflows", "unpause", "ask") == "Unpaused workflow ask. Waiting runs that continue: 0.\n"
    cli.fails("workflows", "unpause", "ask", "--rate", "many", code=2)
    cli.fails("workflows", "pause", "no name")
