"""What Pydantic AI takes from the clock and from chance, in workflows from the run.

It stamps messages with the time, and gives ids to runs, conversations and tool calls. In a workflow these must be the
same on every replay: they are in the arguments of steps. Its modules import the functions below from each other by
name, so what is replaced is their code.
"""

from __future__ import annotations

import types
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from pydantic_ai import _utils, _uuid

import worldflow

F = TypeVar("F", bound=Callable[..., Any])


def _original(function: F) -> F:
    """A function that does what another does until its code is replaced. The first one, if this module is reloaded."""
    if not hasattr(function, "__worldflow_original__"):
        original = types.FunctionType(function.__code__, function.__globals__, function.__name__)
        function.__worldflow_original__ = original  # type: ignore[attr-defined]
    return function.__worldflow_original__  # type: ignore[attr-defined, no-any-return]


_now_utc = _original(_utils.now_utc)
_uuid7 = _original(_uuid.uuid7)
_tool_call_id = _original(_utils.generate_tool_call_id)


def now_utc() -> datetime:
    return worldflow.now() if worldflow.in_workflow() else _now_utc()


def uuid7() -> uuid.UUID:
    return worldflow.uuid4() if worldflow.in_workflow() else _uuid7()


def generate_tool_call_id() -> str:
    return f"{_utils.TOOL_CALL_ID_PREFIX}{worldflow.uuid4().hex}" if worldflow.in_workflow() else _tool_call_id()


def _call_now_utc() -> Any:
    from worldflow.ai.pydantic import chance

    return chance.now_utc()


def _call_uuid7() -> Any:
    from worldflow.ai.pydantic import chance

    return chance.uuid7()


def _call_generate_tool_call_id() -> Any:
    from worldflow.ai.pydantic import chance

    return chance.generate_tool_call_id()


_utils.now_utc.__code__ = _call_now_utc.__code__
_uuid.uuid7.__code__ = _call_uuid7.__code__
_utils.generate_tool_call_id.__code__ = _call_generate_tool_call_id.__code__
