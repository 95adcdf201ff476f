import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import FLOWS, Cli


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


def test_events_are_edited(asked: Cli, tmp_path: Path):
    seq = next(line["seq"] for line in events_of(asked, "one") if line["event_type"] == "SignalReceived")
    asked("fork", "one", "two", "--edit", f"{seq}=2")
    file = tmp_path / "value.json"
    file.write_text('{"text": "three"}')
    asked("fork", "one", "three", "--after", str(seq), "--edit", f"{seq}=@{file}", "--workflows", FLOWS)
    asked.settle()
    assert asked.json("status", "two")["result"] == {"Well?": 2}
    assert asked.json("status", "three")["result"] == {"Well?": {"text": "three"}}
    shown = asked("events", "two")
    assert f'history up to here taken from one  edited: {{"{seq}": 2}}' in shown


def test_an_edit_that_cannot_be_read(asked: Cli):
    assert "is needed, unless an event is edited" in asked.fails("fork", "one", "two", code=2)
    assert "'3' does not have the form SEQ=JSON" in asked.fails("fork", "one", "two", "--edit", "3", code=2)
    assert "not JSON" in asked.fails("fork", "one", "two", "--edit", "3={", code=2)
    assert "event 3 cannot be edited; what can: 1 (the input of the run)" in asked.fails(
        "fork", "one", "two", "--edit", "3=3"
    )


def events_of(cli: Cli, run_id: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cli("events", run_id, "--json").splitlines()]
