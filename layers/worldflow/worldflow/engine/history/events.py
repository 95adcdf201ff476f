"""The events of all nouns together: their unions, and their JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, assert_never, get_args

from pydantic_core import from_json, to_json

from worldflow.engine.history import children, gathered, limits, mail, runs, steps, streams, timers
from worldflow.engine.history.base import Json, dump_fields

__all__ = [
    "AnyDecision",
    "AnyFact",
    "EndStatus",
    "Ended",
    "Event",
    "RunEnded",
    "dump_events",
    "dump_value",
    "end_status",
    "load_events",
]

AnyFact = (
    runs.RunStarted
    | runs.RunForked
    | runs.RunRestored
    | steps.StepCompleted
    | steps.StepFailed
    | timers.TimerFired
    | mail.SignalReceived
    | mail.HookResumed
    | mail.HookConflicted
    | mail.UpdateReceived
    | children.ChildCompleted
    | children.ChildFailed
    | runs.CancelRequested
    | runs.TerminateRequested
    | runs.RunPaused
    | runs.RunUnpaused
)
AnyDecision = (
    runs.Applied
    | steps.StepScheduled
    | steps.StepRetryScheduled
    | steps.StepAbandoned
    | steps.StepCancelRequested
    | timers.TimerStarted
    | timers.TimerCancelled
    | children.ChildStarted
    | children.ChildCancelRequested
    | mail.HookCreated
    | mail.HookDisposed
    | mail.Replied
    | runs.AttributesSet
    | streams.StreamWritten
    | runs.VersionMarked
    | runs.RunCompleted
    | runs.RunFailed
    | runs.RunCancelled
    | runs.RunContinued
)
Event = AnyFact | AnyDecision
Ended = runs.RunCompleted | runs.RunFailed | runs.RunCancelled | runs.RunContinued
RunEnded = (runs.RunCompleted, runs.RunFailed, runs.RunCancelled, runs.RunContinued)
EndStatus = Literal["completed", "failed", "cancelled", "continued"]


def end_status(ended: Ended) -> EndStatus:
    """The status of a run that has ended in this way."""
    match ended:
        case runs.RunCompleted():
            return "completed"
        case runs.RunFailed():
            return "failed"
        case runs.RunCancelled():
            return "cancelled"
        case runs.RunContinued():
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


_BESIDE_RUNS: tuple[Any, ...] = (
    *get_args(streams.StreamRow),
    limits.LimitRow,
    limits.LimitNoted,
    *get_args(gathered.StartRow),
)
_KINDS: dict[str, type[Event]] = {kind.event_type: kind for kind in (*get_args(Event), *_BESIDE_RUNS)}


def dump_events(events: Sequence[Event]) -> str:
    """The JSON text of one commit."""
    return dump_fields([event.fields() for event in events]).decode()


def load_events(text: str | bytes) -> list[Event]:
    """The events of one commit's JSON text. Raises `ValueError` for what is not one.

    The types of its fields are not checked again: they were checked when it was appended.
    """
    try:
        return [_KINDS[fields["event_type"]].read(fields) for fields in from_json(text)]
    except (TypeError, KeyError) as error:
        raise ValueError(
            f"expected a list of events, each with an event_type that this version knows: {error}"
        ) from None
