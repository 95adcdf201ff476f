import pytest

from tests.unit.cli.conftest import Cli


@pytest.fixture
def asked(cli: Cli) -> Cli:
    cli("start", "ask", "--run-id", "one")
    cli("signal", "one", "answer", "--value", "1")
    cli.settle()
    assert cli.json("status", "one")["result"] == {"Well?": 1}
    return cli


def test_a_new_run_goes_on_from_an_event_of_another(asked: Cli):
    assert asked("fork", "one", "two", "--after", "1") == "two\n"
    asked("signal", "two", "answer", "--value", "2")
    asked.settle()
    assert asked.json("status", "two")["result"] == {"Well?": 2}
    assert asked.json("status", "one")["result"] == {"Well?": 1}


def test_json_is_the_new_run(asked: Cli):
    new = asked.json("fork", "one", "two", "--after", "1")
    assert (new["run_id"], new["fork_of"]) == ("two", {"run_id": "one", "after": 1})


def test_events_that_it_cannot_go_on_from(asked: Cli):
    assert asked.fails("fork", "one", "two", "--after", "99").startswith("Error: a run cannot be forked at event 99")
    assert asked.fails("fork", "nobody", "two", "--after", "1") == f"Error: there is no run 'nobody' in {asked.file}\n"


def test_an_id_that_is_taken(asked: Cli):
    asked("start", "ask", "--run-id", "two")
    assert asked.fails("fork", "one", "two", "--after", "1") == "Error: run 'two' already exists\n"
