"""The events of a run's history: facts, and the decisions that the workflow took in answer.

A history is one ordered list. A *fact* says what happened; the *decisions* that follow it are what the workflow asked
for when it learned of it. Replay feeds the facts and compares the decisions (see `execution.py`).

On the wire an event is one flat JSON object: `event_type`, `seq`, `at`, and its own fields. Unknown fields are kept and
every field beyond those that identify the event has a default, so that histories of older and newer versions load.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, assert_never, get_args

from pydantic_core import from_json, to_json

from worldflow.engine.decisions import (
    Applied,
    AttributesSet,
    ChildCancelRequested,
    ChildStarted,
    HookCreated,
    HookDisposed,
    ParentClose,
    Replied,
    RunCancelled,
    RunCompleted,
    RunContinued,
    RunFailed,
    StepAbandoned,
    StepRetryScheduled,
    StepScheduled,
    TimerCancelled,
    TimerStarted,
    VersionMarked,
)
from worldflow.engine.events import (
    UNRECORDED,
    Attribute,
    BaseEvent,
    Decision,
    Fact,
    Failure,
    Json,
    Parent,
    dump_fields,
)
from worldflow.engine.facts import (
    CancelRequested,
    ChildCompleted,
    ChildFailed,
    HookConflicted,
    HookResumed,
    RunForked,
    RunRestored,
    RunStarted,
    SignalReceived,
    StepCompleted,
    StepFailed,
    TerminateRequested,
    TimerFired,
    UpdateReceived,
)

__all__ = [
    "UNRECORDED",
    "AnyDecision",
    "AnyFact",
    "Applied",
    "Attribute",
    "AttributesSet",
    "BaseEvent",
    "CancelRequested",
    "ChildCancelRequested",
    "ChildCompleted",
    "ChildFailed",
    "ChildStarted",
    "Decision",
    "EndStatus",
    "Ended",
    "Event",
    "Fact",
    "Failure",
    "HookConflicted",
    "HookCreated",
    "HookDisposed",
    "HookResumed",
    "Json",
    "Parent",
    "ParentClose",
    "Replied",
    "RunCancelled",
    "RunCompleted",
    "RunContinued",
    "RunEnded",
    "RunFailed",
    "RunForked",
    "RunRestored",
    "RunStarted",
    "SignalReceived",
    "StepAbandoned",
    "StepCompleted",
    "StepFailed",
    "StepRetryScheduled",
    "StepScheduled",
    "TerminateRequested",
    "TimerCancelled",
    "TimerFired",
    "TimerStarted",
    "UpdateReceived",
    "VersionMarked",
    "dump_events",
    "dump_value",
    "end_status",
    "load_events",
]

AnyFact = (
    RunStarted
    | RunForked
    | RunRestored
    | StepCompleted
    | StepFailed
    | TimerFired
    | SignalReceived
    | HookResumed
    | HookConflicted
    | UpdateReceived
    | ChildCompleted
    | ChildFailed
    | CancelRequested
    | TerminateRequested
)
AnyDecision = (
    Applied
    | StepScheduled
    | StepRetryScheduled
    | StepAbandoned
    | TimerStarted
    | TimerCancelled
    | ChildStarted
    | ChildCancelRequested
    | HookCreated
    | HookDisposed
    | Replied
    | AttributesSet
    | VersionMarked
    | RunCompleted
    | RunFailed
    | RunCancelled
    | RunContinued
)
Event = AnyFact | AnyDecision
Ended = RunCompleted | RunFailed | RunCancelled | RunContinued
RunEnded = (RunCompleted, RunFailed, RunCancelled, RunContinued)
EndStatus = Literal["completed", "failed", "cancelled", "continued"]


def end_status(ended: Ended) -> EndStatus:
    """The status of a run that has ended in this way."""
    match ended:
        case RunCompleted():
            return "completed"
        case RunFailed():
            return "failed"
        case RunCancelled():
            return "cancelled"
        case RunContinued():
            return "continued"
        case _:
            assert_never(ended)


_DEEPEST = 150
"""Levels of a value. It stands some levels deep in messages and commits, and pydantic reads no more than 200."""


def dump_value(value: Json, *, ours: int = 0) -> bytes:
    """The JSON text of a value. Raises `ValueError` for one that could not be read again from where it will stand.

    ours: how many levels are not the user's: the arguments of a call, the signals that a generation hands on.
    """
    text = to_json(value, inf_nan_mode="constants")
    if text.count(b"[") + text.count(b"{") > _DEEPEST + ours:
        margin = 200 - _DEEPEST - ours
        from_json(b"[" * margin + text + b"]" * margin)
    return text


_KINDS: dict[str, type[Event]] = {kind.event_type: kind for kind in get_args(Event)}


def dump_events(events: Sequence[Event]) -> str:
    """The JSON text of one commit."""
    return dump_fields([event.fields() for event in events]).decode()


def load_events(text: str | bytes) -> list[Event]:
    """The events of one commit's JSON text. Raises `ValueError` for what is not one.

    The types of its fields are not checked again: whoever appended it had checked them.
    """
    try:
        return [_KINDS[fields["event_type"]].read(fields) for fields in from_json(text)]
    except (TypeError, KeyError) as error:
        raise ValueError(f"events need an event_type that this version knows, in a list: {error}") from None
