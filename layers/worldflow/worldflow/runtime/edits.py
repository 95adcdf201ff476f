"""Edits of a run's history on their way from a caller: whole, as JSON, and checked.

What does not fit is said here as far as the code of the workflow is in this process. Elsewhere the steps and the turn
that get the data say it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

from pydantic import ValidationError

from worldflow.engine import history as h
from worldflow.engine.errors import (
    FieldError,
    InvalidInputError,
    NonDeterminismError,
    SerializationError,
    StepNotFoundError,
    WorkflowNotFoundError,
    WorldflowError,
)
from worldflow.engine.history import Event, Fact, Json
from worldflow.engine.history.forking import forked
from worldflow.engine.history.state import RunState
from worldflow.engine.values.serialization import ANYTHING, explain
from worldflow.engine.values.signatures import Signature
from worldflow.engine.workflow.definitions import find_step, find_workflow, oldest_version
from worldflow.engine.workflow.execution import Execution
from worldflow.turns.watchdog import watched
from worldflow.turns.webhook_tokens import WebhooksOf
from worldflow.worlds.base import World
from worldflow.worlds.payloads import fetch_event

Edit: TypeAlias = Mapping[int, Any] | Mapping[str, Any]
"""Data in place of that of an event, by the event's number; `"input"` is the number of the run's start."""


def by_number(edit: Edit) -> dict[int, Any]:
    """The data by the numbers of events. Raises `InvalidInputError` for what is no number."""
    numbers: dict[int, Any] = {}
    for key, data in edit.items():
        text = "1" if key == "input" else str(key)
        if isinstance(key, bool) or not (text.isascii() and text.isdecimal() and len(text) < 10):
            problem = f"{key!r} is neither the number of an event nor 'input'"
            raise InvalidInputError("an edit names events by their numbers", [FieldError("edit", problem)])
        if int(text) in numbers:
            raise InvalidInputError("an event has one edit", [FieldError("edit", f"names event {text} twice")])
        numbers[int(text)] = data
    return numbers


def read_edits(
    world: World, run_id: str, history: Sequence[Event], after: int, edit: Mapping[int, Any]
) -> dict[int, Json]:
    """The data that events have in the fork `run_id`: of arguments those that are not edited too.

    Raises `InvalidInputError` for what cannot be edited, or does not fit, and `SerializationError` for what is no JSON.
    """
    held = {fact.seq for fact in RunState(forked(history, run_id, after, dict.fromkeys(edit))).held.values()}
    edits = {event.seq: _data(world, history, event, edit[event.seq]) for event in history if event.seq in edit}
    if any(isinstance(event, Fact) and event.seq in edits and event.seq not in held for event in history):
        problem = _other_way(world, run_id, forked(history, run_id, after, edits))
        if problem:
            advice = f"{problem}. Fork after an earlier event: what was decided on the last one is decided again"
            raise InvalidInputError("the run cannot continue with this edit", [FieldError("edit", advice)])
    return edits


def _data(world: World, history: Sequence[Event], event: Event, data: Any) -> Json:
    """What an event is to hold."""
    with _naming(event):
        match event:
            case h.RunStarted() | h.ChildStarted() | h.StepScheduled():
                return _arguments(fetch_event(world, event).input or {}, data, _signature(event))
            case h.StepCompleted(step_id=id) | h.StepFailed(step_id=id):
                return _result(data, _called(history, id))
            case h.ChildCompleted(child_id=id) | h.ChildFailed(child_id=id):
                return _result(data, _called(history, id))
            case h.SignalReceived():
                value = ANYTHING.encode(data)
                if isinstance(started := history[0], h.RunStarted):
                    with suppress(WorkflowNotFoundError):
                        _workflow(started).check_signal(event.name, value)
                return value
            case h.UpdateReceived() if not isinstance(data, (list, tuple)):
                raise InvalidInputError("the edit does not fit", [FieldError("args", "must be a list of arguments")])
            case _:
                return ANYTHING.encode(data)


@contextmanager
def _naming(event: Event) -> Iterator[None]:
    """Says of what does not fit which edit it is of."""
    try:
        yield
    except InvalidInputError as error:
        fields = [FieldError(f"edit.{event.seq}.{field.field}", field.message) for field in error.fields]
        raise InvalidInputError(error.summary, fields) from None


def _arguments(recorded: Mapping[str, Json], data: Any, signature: Signature | None) -> Json:
    """The arguments of a call by name, of which some are others."""
    if not isinstance(data, Mapping):
        problem = "must be an object of the arguments that are to be others, by name"
        raise InvalidInputError("the edit does not fit", [FieldError("input", problem)])
    given = ANYTHING.encode(dict(data))
    if signature is None:
        return {**recorded, **given}
    fitting = signature.encode(signature.parse({**recorded, **given}))
    return {name: recorded[name] if _is_left(name, recorded, given) else value for name, value in fitting.items()}


def _is_left(name: str, recorded: Mapping[str, Json], given: Mapping[str, Json]) -> bool:
    return name in recorded and name not in given and given.keys() <= recorded.keys()


def _result(data: Any, signature: Signature | None) -> Json:
    value = ANYTHING.encode(data)
    if signature is None:
        return value
    try:
        return signature.result.encode(signature.result.parse(value))
    except ValidationError as error:
        problem = explain(error, "result")
    except SerializationError as error:
        problem = str(error)
    raise InvalidInputError("the edit does not fit", [FieldError("result", problem)])


def _called(history: Sequence[Event], id: str) -> Signature | None:
    """What a step or child is a call of."""
    calls = (event for event in history if isinstance(event, (h.StepScheduled, h.ChildStarted)))
    return next((_signature(call) for call in calls if call.identity[1] == id), None)


def _signature(call: h.RunStarted | h.ChildStarted | h.StepScheduled) -> Signature | None:
    """What is called, where its code is in this process."""
    with suppress(WorkflowNotFoundError, StepNotFoundError):
        return find_step(call.name).signature if isinstance(call, h.StepScheduled) else _workflow(call).signature
    return None


def _workflow(call: h.RunStarted | h.ChildStarted) -> Any:
    version = oldest_version(call.workflow_name) if call.version is None else call.version
    return find_workflow(call.workflow_name, version)


def _other_way(world: World, run_id: str, events: Sequence[Event]) -> str | None:
    """Where the workflow's code goes another way before these events end, as far as that can be said here."""
    started = events[0]
    assert isinstance(started, h.RunStarted)
    with suppress(WorldflowError):  # whatever else there is, the turn will say
        execution = Execution(run_id, _workflow(started), webhooks=WebhooksOf(world))
        try:
            full = [fetch_event(world, event) for event in events]
            watched(execution, lambda: execution.replay(full, adopted=True))
        except NonDeterminismError as error:
            return str(error)
        finally:
            execution.dispose()
    return None
