"""Other data in place of what a history holds, for a run that continues from it.

Data that came from outside can be edited: the input of the run, results of steps and children, signals, updates, values
of hooks; and the arguments of a step or child that is open, which runs again with the others.

Where the edited fact is the last that the workflow has learned of, what was decided on it is dropped, and the fact is
held: the code decides again. Facts and decisions after an earlier one stay: the code must make the same calls again,
whose arguments may be others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from worldflow.engine import history as h
from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import Event, Fact, Json
from worldflow.engine.history.state import RunState

Edits = Mapping[int, Json]
"""Data by the number of the event that holds it."""

_NAMED = 20
"""Events that an error names."""


def edited(kept: Sequence[Event], edits: Edits) -> list[Event]:
    """The events with other data. Raises `InvalidInputError` for what cannot be edited, and names what can."""
    again = _decided_again(kept, edits)
    possible = editable(again)
    if wrong := [seq for seq in edits if seq not in possible]:
        dropped = next((seq for seq in wrong if seq in editable(kept)), None)
        if dropped is not None:
            problem = f"event {dropped} is decided again, since the event that led to it is edited too"
        else:
            named = ", ".join(f"{seq} ({what})" for seq, what in list(possible.items())[-_NAMED:])
            problem = f"event {wrong[0]} cannot be edited; what can: {named or 'nothing up to that event'}"
        raise InvalidInputError("the history cannot be edited like this", [FieldError("edit", problem)])
    return [_with(event, edits[event.seq]) if event.seq in edits else event for event in again]


def editable(events: Sequence[Event]) -> dict[int, str]:
    """The events of a history that is about to be continued that can be edited, and what of each."""
    state = RunState(events)
    retried = {(event.step_id, event.attempt) for event in events if isinstance(event, h.StepRetryScheduled)}
    names = {event.step_id: event.name for event in events if isinstance(event, h.StepScheduled)}
    names |= {event.child_id: event.workflow_name for event in events if isinstance(event, h.ChildStarted)}
    found: dict[int, str] = {}
    for event in events:
        match event:
            case h.RunStarted():
                found[event.seq] = "the input of the run"
            case h.StepCompleted(step_id=id) | h.ChildCompleted(child_id=id):
                found[event.seq] = f"the result of {names.get(id, '')} ({id})"
            case h.StepFailed(step_id=id) if (id, event.attempt + 1) not in retried:
                found[event.seq] = f"the result of {names.get(id, '')} ({id})"
            case h.ChildFailed(child_id=id):
                found[event.seq] = f"the result of {names.get(id, '')} ({id})"
            case h.SignalReceived() | h.UpdateReceived():
                found[event.seq] = f"the {'signal' if isinstance(event, h.SignalReceived) else 'update'} {event.name}"
            case h.HookResumed():
                found[event.seq] = f"the value of hook {event.hook_id}"
            case h.StepScheduled() if (step := state.steps.get(event.step_id)) and step.attempt is not None:
                found[event.seq] = f"the arguments of {event.name} ({event.step_id})"
            case h.ChildStarted() if event.child_id in state.children and not event.detached:
                found[event.seq] = f"the arguments of {event.workflow_name} ({event.child_id})"
    return found


def decides_again(kept: Sequence[Event], edits: Edits) -> bool:
    """Whether the last fact that the workflow has learned of is edited."""
    return _last_learned(kept)[1] in edits


def _decided_again(kept: Sequence[Event], edits: Edits) -> list[Event]:
    """The events, less what was decided on the last fact that the workflow has learned of, if that is edited."""
    place, seq = _last_learned(kept)
    if seq not in edits:
        return list(kept)
    last = kept[place]
    again = [] if isinstance(last, h.Applied) else [_held(last)]  # one that is applied is held already
    return [*kept[:place], *again, *(event for event in kept[place + 1 :] if isinstance(event, Fact))]


def _last_learned(kept: Sequence[Event]) -> tuple[int, int]:
    """Where the workflow has learned of a fact last, and the number of the fact."""
    held: dict[str, int] = {}
    last = -1, 0
    for place, event in enumerate(kept):
        if isinstance(event, h.Applied):
            last = place, held.get(event.fact_id, 0)
        elif isinstance(event, Fact) and event.held:
            held[event.fact_id] = event.seq
        elif isinstance(event, Fact):
            last = place, event.seq
    return last


def _held(fact: Event) -> Event:
    anew = {"version": None, "timeout": None} if isinstance(fact, h.RunStarted) else {}
    return fact.model_copy(update={"held": True, **anew})


def _with(event: Event, data: Json) -> Event:
    match event:
        case h.RunStarted() | h.StepScheduled() | h.ChildStarted():
            return event.model_copy(update={"input": data})
        case h.UpdateReceived():
            return event.model_copy(update={"args": data})
        case h.SignalReceived():
            return event.model_copy(update={"value": data})
        case h.HookResumed():
            return event.model_copy(update={"value": data, "error": None})
        case h.StepCompleted() | h.ChildCompleted():
            return event.model_copy(update={"result": data})
        case h.StepFailed():
            completed = h.StepCompleted(step_id=event.step_id, attempt=event.attempt, result=data)
            return completed.model_copy(update={"held": event.held}).recorded(event.seq, event.at)
        case h.ChildFailed():
            done = h.ChildCompleted(child_id=event.child_id, child_run_id=event.child_run_id, result=data)
            return done.model_copy(update={"held": event.held}).recorded(event.seq, event.at)
        case _:
            raise TypeError(f"{type(event).__name__} has nothing to edit")
