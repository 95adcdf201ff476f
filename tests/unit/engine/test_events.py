"""What an event is: values under names that its class has, kept as they are."""

from __future__ import annotations

import subprocess
import sys
from math import inf
from typing import get_args

import pytest
from pydantic import ValidationError

from tests.support.driver import START
from worldflow.engine.history import (
    AnyDecision,
    AnyFact,
    Decision,
    Fact,
    Failure,
    Parent,
    RunStarted,
    StepCompleted,
    StepFailed,
    StepScheduled,
    dump_events,
    load_events,
)
from worldflow.worlds.messages import FactArrived, load_message


def test_every_kind_of_event_is_in_a_union():
    """Type checking does not miss a fact that is in none: what is done about it counts as unreachable."""
    kinds = {kind for nouns in (Fact, Decision) for kind in nouns.__subclasses__()}
    ours = {kind for kind in kinds if kind.__module__.startswith("worldflow.")}
    assert ours == {*get_args(AnyFact), *get_args(AnyDecision)}


def test_what_identifies_an_event_is_needed():
    with pytest.raises(TypeError, match="StepFailed is missing error, step_id"):
        StepFailed(attempt=2)  # type: ignore[call-arg]


def test_an_event_does_not_change():
    event = StepCompleted(step_id="s1")
    with pytest.raises(AttributeError, match="cannot set 'attempt'"):
        event.attempt = 2  # type: ignore[misc]


def test_a_copy_leaves_the_event_as_it_was():
    event = StepCompleted(step_id="s1", result=1)
    copy = event.recorded(3, START).model_copy(update={"result": 2})
    assert (event.seq, event.result) == (0, 1)
    assert (copy.step_id, copy.seq, copy.at, copy.result) == ("s1", 3, START, 2)


def test_what_is_said_is_equal_to_what_is_so_by_itself():
    assert StepCompleted(step_id="s1") == StepCompleted(step_id="s1", attempt=1, result=None, held=None)
    assert StepCompleted(step_id="s1") != StepCompleted(step_id="s1", attempt=2)
    assert StepCompleted(step_id="s1") != StepScheduled(step_id="s1")


def test_fields_are_written_in_the_order_of_their_class():
    (text,) = dump_events([StepCompleted(result=None, step_id="s1", held=True)]).split("\n")
    assert text == (
        '[{"event_type":"StepCompleted","seq":0,"at":"1970-01-01T00:00:00Z","held":true,"step_id":"s1","attempt":1}]'
    )


def test_a_fact_is_checked_when_it_comes_and_not_when_it_is_read_again():
    text = FactArrived(run_id="r", fact=StepCompleted(step_id="s1")).dump().replace('"attempt":1', '"attempt":"one"')
    with pytest.raises(ValidationError, match="attempt"):
        load_message(text)

    (event,) = load_events('[{"event_type":"StepCompleted","step_id":"s1","attempt":"one"}]')
    assert event.payload["attempt"] == "one"


def test_numbers_that_json_does_not_have_stay_what_they_are():
    failed = StepFailed(step_id="s1", error=Failure(type="builtins:ValueError", args=[inf, None], state={"low": -inf}))
    message = load_message(FactArrived(run_id="r", fact=failed).dump())
    assert isinstance(message, FactArrived)
    assert message.fact == failed
    assert load_events(dump_events([failed])) == [failed]
    assert failed.payload["error"]["args"] == [inf, None]

    completed = StepCompleted(step_id="s1", result=[inf, {"a": -inf}])
    message = load_message(FactArrived(run_id="r", fact=completed).dump())
    assert isinstance(message, FactArrived)
    assert [message.fact] == load_events(dump_events([completed])) == [completed]


def test_a_fact_keeps_what_a_newer_version_says_in_a_message():
    text = FactArrived(run_id="r", fact=StepCompleted(step_id="s1")).dump().replace('"attempt":1', '"colour":"blue"')
    message = load_message(text)
    assert isinstance(message, FactArrived)
    assert message.fact.payload == {"step_id": "s1", "attempt": 1, "colour": "blue"}
    assert load_message(message.dump()) == message


@pytest.mark.parametrize(
    "fact",
    [
        StepFailed(step_id="s1", error=Failure(type="builtins:ValueError", cause=Failure(type="builtins:KeyError"))),
        RunStarted(run_id="r~c1", parent=Parent(run_id="r", child_id="c1")),
    ],
    ids=lambda fact: fact.event_type,
)
def test_what_came_in_a_message_is_written_by_a_process_that_has_made_none_itself(fact: StepFailed | RunStarted):
    code = (
        "import sys\n"
        "from worldflow.engine.history import dump_events\n"
        "from worldflow.worlds.messages import load_message\n"
        "message = load_message(sys.stdin.read())\n"
        "print(dump_events([message.fact]), message.dump(), sep='\\n')\n"
    )
    text = FactArrived(run_id="r", fact=fact).dump()
    written = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True)
    assert written.stdout.splitlines() == [dump_events([fact]), text]
