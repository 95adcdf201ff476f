import json

from tests.unit.cli.conftest import Cli, Worked


def test_a_run_that_completes(cli: Cli, worked: Worked):
    with worked():
        ended = cli.json("start", "tomorrow", "--input", '{"day": "2026-02-28"}', "--wait")
    assert (ended["status"], ended["result"]) == ("completed", "2026-03-01")


def test_a_run_that_fails_exits_with_1_and_shows_the_error(cli: Cli, worked: Worked):
    with worked():
        result = cli.run("start", "doomed", "--wait", "--json")
    assert result.exit_code == 1
    ended = json.loads(result.stdout)
    assert ended["status"] == "failed"
    assert ended["error"]["type"] == "worldflow.engine.errors:FatalError"


def test_a_run_that_is_blocked_exits_with_1_and_says_why(cli: Cli, worked: Worked):
    with worked():
        result = cli.run("start", "elsewhere", "--wait")
    assert result.exit_code == 1
    assert "blocked by  WorkflowNotFoundError: there is no workflow 'elsewhere'" in result.stdout


def test_a_run_that_continues_as_another_is_followed(cli: Cli, worked: Worked):
    with worked():
        ended = cli.json("start", "countdown", "--run-id", "one", "--input", '{"left": 2}', "--wait")
    assert (ended["run_id"], ended["status"], ended["result"]) == ("one~3", "completed", "done")
