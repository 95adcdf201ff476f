"""What comes from queues and tables: it is read, or refused with a `ValueError`, of which pydantic's is one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from tests.support.outside import WORST, fuzz, outside
from worldflow.engine.history import AnyDecision, AnyFact, BaseEvent, Failure, dump_events, load_events
from worldflow.worlds import RunRecord, ScheduleRecord
from worldflow.worlds.messages import (
    BaseMessage,
    Delayed,
    Message,
    RunMessage,
    ScheduledRunEnded,
    ScheduleDue,
    StepOutcome,
    load_message,
)
from worldflow.worlds.records import HookRecord

AT = datetime(2026, 1, 15, 10, tzinfo=UTC)
VALUES: dict[str, Any] = {"attempt": 2, "due": AT, "error": Failure(type="builtins:ValueError", message="no")}


def sample(cls: type[BaseModel | BaseEvent]) -> Any:
    """One of `cls`, with something in each field that identifies it."""
    if issubclass(cls, BaseEvent):
        needed = set(cls.needed)
    else:
        needed = {name for name, field in cls.model_fields.items() if field.is_required()}
    return cls(**{name: VALUES.get(name, f"a-{name}") for name in needed})


EVENTS = [sample(cls).recorded(n, AT) for n, cls in enumerate(get_args(AnyFact) + get_args(AnyDecision), 1)]
FACTS = [event for event in EVENTS if isinstance(event, get_args(AnyFact))]


def messages() -> list[Any]:
    from worldflow.worlds.messages import FactArrived, HeartbeatDue, Poke, Revival, Start, StepDue, StepTask

    made: list[Any] = [
        sample(cls) for cls in (Start, StepDue, HeartbeatDue, Poke, StepTask, ScheduleDue, ScheduledRunEnded)
    ]
    made += [FactArrived(run_id="r", fact=fact, revival=Revival(workflow_name="w")) for fact in FACTS]
    return made + [Delayed(due=AT, message=message) for message in made]


MESSAGES = messages()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_back(message: Any) -> None:
    assert load_message(message.dump()) == message


def test_every_kind_of_message_and_event_is_among_the_samples() -> None:
    kinds = {cls for part in get_args(Message) for cls in (get_args(part) or [part])}
    assert kinds == {type(message) for message in MESSAGES} - {Delayed}
    assert load_events(dump_events(EVENTS)) == EVENTS


@fuzz
@given(outside([json.loads(message.dump()) for message in MESSAGES]))
def test_a_body_is_a_message_or_is_refused(body: bytes) -> None:
    try:
        message = load_message(body)
    except ValidationError:
        return
    assert isinstance(message, BaseMessage | ScheduleDue | ScheduledRunEnded | Delayed)
    assert json.loads(load_message(message.dump()).dump()) == json.loads(message.dump())
    inner = message.message if isinstance(message, Delayed) else message
    if isinstance(inner, RunMessage):
        assert len(inner.group) <= 128 and len(inner.dedup_id) <= 128


@fuzz
@given(outside([json.loads(dump_events([event])) for event in EVENTS]))
def test_a_commit_is_events_or_is_refused(text: bytes) -> None:
    try:
        events = load_events(text)
    except ValueError:
        return
    again = dump_events(events)
    assert dump_events(load_events(again)) == again
    for event in events:
        json.dumps(event.payload)


RECORDS: dict[type[BaseModel], Any] = {
    RunRecord: RunRecord(run_id="r", workflow_name="w", created_at=AT, updated_at=AT, input={"a": 1}, seen=["start"]),
    HookRecord: HookRecord(token="t", run_id="r", hook_id="h", metadata=[1]),
    StepOutcome: StepOutcome(run_id="r", fact=next(fact for fact in FACTS if fact.event_type == "StepFailed")),
    ScheduleRecord: ScheduleRecord(
        schedule_id="s", workflow="w", schedule="rate(1 day)", created_at=AT, updated_at=AT, counts_from=AT, version="1"
    ),
}


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_a_record_is_read_or_is_refused(cls: Any) -> None:
    document = RECORDS[cls].model_dump(mode="json")

    @fuzz
    @given(outside([document]))
    def read(text: bytes) -> None:
        try:
            record = cls.model_validate_json(text)
        except ValidationError:
            return
        again = record.model_dump_json(exclude_none=True)
        assert cls.model_validate_json(again).model_dump_json(exclude_none=True) == again

    read()


@pytest.mark.parametrize("text", WORST, ids=lambda text: ascii(text[:20]))
def test_the_worst_is_refused_at_once(text: bytes) -> None:
    for read in (load_message, lambda text: load_events(text) and None, RunRecord.model_validate_json):
        try:
            read(text)
        except ValueError:
            continue
        assert read is not RunRecord.model_validate_json


def test_ten_megabytes_are_read() -> None:
    long = "é" * 5_000_000
    message = load_message(json.dumps({"kind": "step", "run_id": "r", "step_id": "s", "name": "n", "input": long}))
    assert message.input == long  # type: ignore[union-attr]


@fuzz
@given(st.datetimes(timezones=st.just(UTC)))
def test_a_schedule_has_a_run_for_each_of_its_moments(due: datetime) -> None:
    message = load_message(ScheduleDue(schedule_id="s", due=due).dump())
    assert isinstance(message, ScheduleDue) and message.run_id == f"s:{due:%Y%m%dT%H%M%SZ}"
