"""The calls that a history holds, and which of them answers a call that is made now."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

from pydantic_core import to_json

from worldflow.engine import history as h
from worldflow.engine.errors import StepNotFoundError
from worldflow.engine.history import Event, Json
from worldflow.engine.workflow.definitions import find_step

Outcome = h.StepCompleted | h.StepFailed | h.ChildCompleted | h.ChildFailed


@dataclass(slots=True)
class RecordedCall:
    """A call of a step or of a child workflow."""

    name: str
    input: Json
    outcome: Outcome | None
    """The last; None where the history ends before it, or the workflow did not wait for it."""
    took: timedelta
    is_used: bool = False


class RecordedCalls:
    """
    in_order: patterns of the names of calls that are answered in order if none was made with the same arguments.
    """

    def __init__(self, history: Sequence[Event], in_order: Collection[str]) -> None:
        self._in_order = in_order
        calls: dict[str, tuple[h.StepScheduled | h.ChildStarted, Outcome | None]] = {}
        for event in history:
            match event:
                case h.StepScheduled(step_id=id) | h.ChildStarted(child_id=id):
                    calls[id] = event, None
                case h.StepCompleted(step_id=id) | h.StepFailed(step_id=id):
                    calls[id] = calls[id][0], event
                case h.ChildCompleted(child_id=id) | h.ChildFailed(child_id=id):
                    calls[id] = calls[id][0], event
        self._calls = [
            RecordedCall(_name(call), call.input, outcome, (outcome or call).at - call.at)
            for call, outcome in calls.values()
        ]

    def find(self, name: str, arguments: Json) -> RecordedCall | None:
        """The call that was made with these arguments: one that has answered none yet, if there is one."""
        named = [call for call in self._calls if call.name == name]
        wanted = _essence(name, arguments)
        same = [call for call in named if _essence(name, call.input) == wanted]
        found = next((call for call in same if not call.is_used), same[-1] if same else None)
        if found is None and any(fnmatchcase(name, pattern) for pattern in self._in_order):
            found = next((call for call in named if not call.is_used), None)
        if found:
            found.is_used = True
        return found

    def arguments_of(self, name: str) -> list[Json]:
        """The arguments of all calls of this name."""
        return [call.input for call in self._calls if call.name == name]


def _name(call: h.StepScheduled | h.ChildStarted) -> str:
    return call.name if isinstance(call, h.StepScheduled) else call.workflow_name


def _essence(name: str, arguments: Json) -> bytes:
    """What two calls have in common that are the same. A step may say which of its arguments tell, by `told_by`: of an
    agent's tool those that the model gave, and not the conversation so far.
    """
    with suppress(StepNotFoundError):
        told_by: Collection[str] | None = getattr(find_step(name).function, "told_by", None)
        if told_by and isinstance(arguments, dict):
            arguments = {key: value for key, value in arguments.items() if key in told_by}
    return to_json(_sorted(arguments), inf_nan_mode="constants")


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(part) for part in value] if isinstance(value, list) else value
