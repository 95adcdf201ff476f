import json

import pytest

import worldflow.clock
from tests.support import clock
from tests.unit.cli.conftest import Cli


@pytest.fixture
def completed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setattr(worldflow.clock, "now", clock.start)  # it stands still: no attempt waits in its queue
    cli("start", "tomorrow", "--run-id", "one", "--input", '{"day": "2026-02-28"}')
    cli.settle()
    return cli


def test_each_event_is_a_line(completed: Cli):
    seen = [line.split(maxsplit=3) for line in completed("events", "one").splitlines()]
    assert [words[0] for words in seen] == ["1", "2", "3", "4"]
    assert [words[3] for words in seen] == [
        'run of tomorrow started  {"day": "2026-02-28"}',
        'step day_after (s1) scheduled  {"day": "2026-02-28"}',
        'step day_after (s1) completed  "2026-03-01"',
        'run completed  "2026-03-01"',
    ]


def test_each_event_is_a_json_document(completed: Cli):
    events = [json.loads(line) for line in completed("events", "one", "--json").splitlines()]
    assert [event["event_type"] for event in events] == ["RunStarted", "StepScheduled", "StepCompleted", "RunCompleted"]
    assert events[2].keys() == {"seq", "at", "event_type", "payload"}
    assert events[2]["payload"] == {"step_id": "s1", "attempt": 1, "result": "2026-03-01"}


@pytest.mark.parametrize("after", range(5))
def test_the_first_events_are_left_out_wherever_the_commits_end(completed: Cli, after: int):
    events = [json.loads(line) for line in completed("events", "one", "--after", str(after), "--json").splitlines()]
    assert [event["seq"] for event in events] == [1, 2, 3, 4][after:]


def test_a_step_keeps_its_name_when_its_beginning_is_left_out(completed: Cli):
    assert "step day_after (s1) completed" in completed("events", "one", "--after", "2")


def test_a_long_line_is_not_broken(cli: Cli):
    cli("start", "ask", "--run-id", "one", "--input", json.dumps({"question": "so " * 200}))
    cli.settle()
    (line,) = cli("events", "one").splitlines()
    assert line.endswith("…")


def test_a_change_of_worldflow_itself_is_only_in_the_json(cli: Cli):
    cli("start", "door", "--run-id", "one")
    cli.settle()
    cli("hook", "front-door", "--value", "[]")  # not the string that the workflow takes
    cli.settle()
    assert "worldflow:" in cli("events", "one", "--json")
    assert "worldflow:" not in cli("events", "one")
