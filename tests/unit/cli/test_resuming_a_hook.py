import pytest

from tests.unit.cli.conftest import Cli


@pytest.fixture
def door(cli: Cli) -> Cli:
    cli("start", "door", "--run-id", "one")
    cli.settle()
    return cli


def test_the_value_arrives_at_the_run_that_holds_it(door: Cli):
    assert door("hook", "front-door", "--value", '"Grace"') == "Sent the value to one.\n"
    door.settle()
    assert door.json("status", "one")["result"] == "Grace"


def test_json_says_who_holds_it(door: Cli):
    assert door.json("hook", "front-door", "--value", '"Grace"') == {"run_id": "one", "hook_id": "h1"}


def test_a_token_that_nobody_holds(door: Cli):
    error = "Error: no live run has a hook with the token 'back-door'\n"
    assert door.fails("hook", "back-door", "--value", "1") == error
    assert "is not a valid hook token" in door.fails("hook", "no token")


def test_a_hook_whose_run_has_ended(door: Cli):
    door("hook", "front-door", "--value", '"Grace"')
    door.settle()
    assert door.fails("hook", "front-door", "--value", '"Ada"').startswith("Error: no live run has a hook")


def test_a_heartbeat(door: Cli):
    assert door("hook", "front-door", "--heartbeat") == "Sent the heartbeat to one.\n"
    assert "--heartbeat" in door.fails("hook", "front-door", "--heartbeat", "--error", "no", code=2)
    assert door.fails("hook", "back-door", "--heartbeat").startswith("Error: no live run has a hook")
