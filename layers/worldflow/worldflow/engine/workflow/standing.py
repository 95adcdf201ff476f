"""Where the code of a workflow stands: what each of its tasks waits for, and on which lines.

For people. Nothing that a run does depends on it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

from worldflow.engine.unawaited import Origin
from worldflow.engine.workflow.execution import Execution

_OURS = str(Path(__file__).parents[2])
_STANDARD_LIBRARY = str(Path(field.__code__.co_filename).parent)
_DEPTH = 100
"""Coroutines that are followed, one within the other."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A line that has not returned."""

    file: str
    line: int
    function: str
    is_users: bool
    """Whether it is the user's code, and not Worldflow's or the standard library's."""


@dataclass(frozen=True, slots=True)
class TaskStanding:
    """One task: its frames, the outermost first, and the call that it waits for, if that is Worldflow's."""

    name: str
    frames: tuple[Frame, ...]
    waits_for: str | None
    """Such as `step 'charge'` or `wait_for_signal('approval')`."""


def standing(execution: Execution) -> list[TaskStanding]:
    """Where the tasks of a workflow stand that have not ended, the workflow's own first."""
    return [_standing(task) for task in execution.loop.tasks()]


def _standing(task: Any) -> TaskStanding:
    frames: list[Frame] = []
    waits_for = None
    for awaited in _chain(task.get_coro()):
        if (frame := _frame(awaited)) is None:
            continue
        frames.append(_described(frame.f_code, frame.f_lineno))
        if not frames[-1].is_users:
            waits_for = _called(frame) or waits_for
    return TaskStanding(task.get_name(), tuple(frames), waits_for)


def _called(frame: Any) -> str | None:
    """What a frame of the engine's is about, by its variables."""
    local, function = frame.f_locals, frame.f_code.co_qualname
    if isinstance(made := local.get("origin"), tuple):
        origin = Origin(*made)
        return f"{origin.kind} {origin.name!r}" if origin.kind in ("step", "workflow") else origin.name
    if function == "Inbox.wait_for_signal.<locals>.receive":
        return f"wait_for_signal({local['name']!r})"
    if function.startswith("Hook.") and "self" in local:
        return f"hook {local['self'].hook_id}"
    return "sleep()" if function in ("_sleep", "sleep") else None


def _chain(awaited: Any) -> Iterator[Any]:
    """What a coroutine awaits, what that awaits, and so on."""
    for _ in range(_DEPTH):
        if awaited is None:
            return
        yield awaited
        awaited = _next(awaited)


def _next(awaited: Any) -> Any:
    if type(awaited).__name__ == "coroutine_wrapper":  # which says nowhere else what it wraps
        return next(iter(gc.get_referents(awaited)), None)
    return _first(awaited, ("_coroutine", "cr_await", "gi_yieldfrom", "ag_await"))


def _frame(awaited: Any) -> Any:
    return _first(awaited, ("cr_frame", "gi_frame", "ag_frame"))


def _first(awaited: Any, names: Sequence[str]) -> Any:
    for name in names:
        with suppress(AttributeError):
            if (found := getattr(awaited, name)) is not None:
                return found
    return None


def _described(code: CodeType, line: int | None) -> Frame:
    file = code.co_filename
    is_users = not file.startswith((_OURS, _STANDARD_LIBRARY)) or "site-packages" in file
    return Frame(file, line or code.co_firstlineno, code.co_qualname, is_users)
