"""What the outside reads of a run: its status, and its events with their data."""

import json

import pytest

from tests.support import workflows
from tests.support.systems import System, finish, signal, start
from worldflow import RunNotFoundError
from worldflow.runtime import starting


async def test_a_run_is_pending_until_something_has_happened(system: System) -> None:
    starting.start(system.world, "r", workflows.chain, {"length": 2})

    status = await system.world.get_run_status("r")
    assert status["status"] == "pending"
    assert status["workflow_name"] == "chain"
    assert status["input"] == {"length": 2}
    assert await system.world.load_events("r") == []


def test_pending_is_never_written(system: System) -> None:
    starting.start(system.world, "r", workflows.chain, {"length": 2})

    record = system.world.get_run("r")
    assert record and record.status == "running"
    assert [listed.status for listed in system.world.list_runs().runs] == ["running"]


def test_a_run_is_running_from_its_first_turn_on(system: System) -> None:
    start(system, "r", workflows.collect, count=1)

    assert system.world.read_run("r").status == "running"


def test_the_status_is_json(system: System) -> None:
    start(system, "r", workflows.squares, count=3)
    finish(system, "r")

    shown = json.loads(json.dumps(system.world.read_run("r").describe()))
    assert shown["status"] == "completed"
    assert shown["result"] == 5
    assert shown["ended_at"].endswith("Z")
    assert "error" not in shown


def test_events_have_a_type_and_a_payload(system: System) -> None:
    start(system, "r", workflows.collect, count=1)
    signal(system, "r", "value", {"n": 1})

    events = system.world.read_events("r")
    assert [event.seq for event in events] == [1, 2, 3]
    assert [(event.event_type, event.payload) for event in events[1:]] == [
        ("SignalReceived", {"signal_id": "value-1", "name": "value", "value": {"n": 1}}),
        ("RunCompleted", {"result": [{"n": 1}]}),
    ]
    assert all(event.at.tzinfo for event in events)


def test_events_may_be_asked_for_from_the_middle_of_a_commit(system: System) -> None:
    start(system, "r", workflows.squares, count=5)
    finish(system, "r")
    events = system.world.read_events("r")

    for after in range(len(events) + 1):
        assert system.world.read_events("r", after) == events[after:]


def test_large_data_is_shown_whole(system: System) -> None:
    start(system, "r", workflows.big_values, size=100_000)
    signal(system, "r", "value", "y" * 70_000)

    events = {event.event_type: event.payload for event in system.world.read_events("r")}
    assert events["StepCompleted"]["result"] == "x" * 100_000
    assert events["SignalReceived"]["value"] == "y" * 70_000
    assert system.world.read_run("r").result == 170_000


async def test_a_large_input_is_shown_whole(system: System) -> None:
    starting.start(system.world, "r", "somewhere_else", {"text": "x" * 100_000})

    record = system.world.get_run("r")
    assert record and len(record.model_dump_json()) < 1_000
    assert (await system.world.get_run_status("r"))["input"] == {"text": "x" * 100_000}


async def test_there_may_be_no_such_run(system: System) -> None:
    with pytest.raises(RunNotFoundError):
        await system.world.get_run_status("nobody")
    with pytest.raises(RunNotFoundError):
        await system.world.load_events("nobody")
