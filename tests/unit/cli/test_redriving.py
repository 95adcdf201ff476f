import pytest

from tests.unit.cli.conftest import Cli
from worldflow import wait_for_signal, workflow
from worldflow.worlds import messages
from worldflow.worlds.local.world import LocalWorld


def test_blocked_runs_go_on(cli: Cli):
    for run_id in ("one", "two"):
        cli("start", "late", "--run-id", run_id)
    cli.settle()

    @workflow
    async def late() -> str:
        return await wait_for_signal("answer", str)

    assert cli("redrive") == "Dead letters moved back: 0. Blocked runs resumed: 2.\n"
    cli.settle()
    assert {cli.json("status", run_id)["status"] for run_id in ("one", "two")} == {"running"}


def test_what_code_could_not_read_is_read_by_code_that_can(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    cli("start", "ask", "--run-id", "one", "--input", '{"question": "Well?"}')
    with monkeypatch.context() as older:
        older.setattr("worldflow.worlds.local.queues.load_message", _cannot)
        cli.settle()
    assert cli.json("status", "one")["status"] == "pending"

    assert cli.json("redrive") == {"moved": 1, "unreadable": 0, "in_flight": 0, "resumed": []}
    cli.settle()
    assert cli.json("status", "one")["status"] == "running"


def _cannot(body: str) -> object:
    return messages.Start.model_validate({"v": 2})


def test_what_nobody_can_read_is_left_or_deleted(cli: Cli):
    world = LocalWorld(cli.file)
    world._database._db.execute("insert into messages (queue, grp, body, visible_at) values ('runs', 'a', 'hello', 0)")
    world.close()
    cli.settle()

    assert "left in place (delete them with --discard): 1" in cli("redrive")
    assert "deleted: 1" in cli("redrive", "--discard")
    assert cli.json("redrive")["unreadable"] == 0
