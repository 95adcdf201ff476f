"""Histories of older and newer versions load: unknown fields are kept, missing ones have defaults."""

import json

import pytest

from tests.support.driver import START, Driver
from tests.support.steps import work
from worldflow import workflow
from worldflow.engine.history import RunStarted, StepCompleted, StepScheduled, dump_events, load_events


def test_unknown_fields_are_kept():
    text = (
        '[{"event_type":"StepCompleted","seq":3,"at":"2026-01-01T00:00:00Z","step_id":"s1","from_the_future":{"a":1}}]'
    )
    (event,) = load_events(text)
    assert json.loads(dump_events([event]))[0]["from_the_future"] == {"a": 1}
    assert event.payload["from_the_future"] == {"a": 1}


def test_missing_fields_have_defaults():
    events = load_events('[{"event_type":"RunStarted"},{"event_type":"StepScheduled","step_id":"s1"}]')
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[1], StepScheduled)
    assert events[1].input is None


def test_an_event_of_an_unknown_type_is_refused():
    with pytest.raises(ValueError, match=r"event_type that this version knows.*Teleported"):
        load_events('[{"event_type":"Teleported"}]')


def test_the_payload_of_an_event_is_its_own_fields():
    event = StepCompleted(step_id="s1", result={"a": [1]}).recorded(5, START)
    assert event.payload == {"step_id": "s1", "attempt": 1, "result": {"a": [1]}}
    assert (event.event_type, event.seq, event.at) == ("StepCompleted", 5, START)


def test_a_history_with_unknown_fields_replays():
    @workflow
    async def simple() -> str:
        return await work()

    run = Driver(simple)
    events = [{**json.loads(dump_events([event]))[0], "more": 1} for event in run.history]
    run.history = load_events(json.dumps(events))
    run.replay().dispose()
    run.close()


def test_none_is_left_out_of_an_event_and_kept_in_a_value():
    (event,) = load_events(dump_events([StepCompleted(step_id="s1", result={"a": None, "b": [None]})]))
    assert isinstance(event, StepCompleted)
    assert event.result == {"a": None, "b": [None]}
