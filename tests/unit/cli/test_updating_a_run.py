import json
import threading
import time

import pytest

from tests.unit.cli.conftest import Cli, Worked


@pytest.fixture
def basket(cli: Cli) -> Cli:
    cli("start", "basket", "--run-id", "one")
    cli.settle()
    return cli


def test_the_answer_is_printed_as_json(basket: Cli, worked: Worked):
    with worked():
        assert json.loads(basket("update", "one", "add", "--args", '["hat", 2]')) == 2
        assert json.loads(basket("update", "one", "add", "--args", '["cap"]')) == 3
        assert json.loads(basket("update", "one", "add", "--args", "-", stdin='["cap"]')) == 4


def test_what_the_workflow_raises_is_the_error(basket: Cli, worked: Worked):
    with worked():
        assert basket.fails("update", "one", "add", "--args", '["anvil"]') == "Error: ValueError: too heavy\n"


def test_arguments_that_do_not_fit_are_named(basket: Cli, worked: Worked):
    with worked():
        error = basket.fails("update", "one", "add", "--args", '["hat", "many"]')
        assert basket.fails("update", "one", "add").startswith("Error: ")
    assert error.startswith("Error: InvalidInputError: ")
    assert "times" in error


def test_the_same_update_sent_twice_is_done_once(basket: Cli, worked: Worked):
    again = ["update", "one", "add", "--args", '["hat"]', "--update-id", "u1"]
    with worked():
        assert [basket(*again), basket(*again)] == ["1\n", "1\n"]


def test_nobody_waits_longer_than_told(basket: Cli):
    began = time.monotonic()
    error = basket.fails("update", "one", "add", "--args", '["hat"]', "--timeout", "200ms")
    assert error == "Error: one has not answered within 200ms; the update is still pending\n"
    assert time.monotonic() - began < 10
    basket.settle()
    assert basket.json("status", "one")["attributes"] == {"customer": "Ada", "items": 1}


def test_an_answer_is_waited_for(basket: Cli, worked: Worked):
    answers: list[str] = []
    ask = threading.Thread(target=lambda: answers.append(basket("update", "one", "add", "--args", '["hat"]')))
    ask.start()
    with worked():
        ask.join()
    assert answers == ["1\n"]


def test_a_run_that_has_ended_gives_none(basket: Cli):
    basket("signal", "one", "pay")
    basket.settle()
    assert basket.fails("update", "one", "add") == "Error: run 'one' has already ended (completed)\n"
    assert basket.fails("update", "two", "add") == f"Error: there is no run 'two' in {basket.file}\n"
