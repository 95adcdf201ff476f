"""Exceptions to data and back, so that a workflow catches what its step raised.

An exception is rebuilt from its type, arguments and attributes, without calling `__init__`, as pickle does. Only a type
that the running code has loaded already is used: nothing is imported because a message names it. Whether the
data rebuilds the same exception is tried when it is recorded; what fails becomes a `StepError` there and on every
replay.
"""

from __future__ import annotations

import sys
import traceback
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from worldflow.engine.errors import StepError
from worldflow.engine.history import Failure, Json

_TRACEBACK_LIMIT = 8_000
_MESSAGE_LIMIT = 16_000
_DEPTH_LIMIT = 8
_SIZE_LIMIT = 100_000
"""Bytes of a failure: it travels in messages and stands in the record of a run."""


def encode_exception(error: BaseException) -> Failure:
    """`error` as data, with its notes, its cause and, for a group, its members."""
    failure = _encode(error, depth=0)
    if len(failure.model_dump_json()) > _SIZE_LIMIT:
        failure = Failure(type=failure.type, message=failure.message, traceback=failure.traceback)
    return failure


def _encode(error: BaseException, depth: int) -> Failure:
    cause = error.__cause__
    members = error.exceptions if isinstance(error, BaseExceptionGroup) and depth < _DEPTH_LIMIT else ()
    failure = Failure(
        type=f"{type(error).__module__}:{type(error).__qualname__}",
        message=_message(error),
        args=_arguments(error),
        state=_state(error),
        notes=[str(note) for note in getattr(error, "__notes__", [])],
        cause=_encode(cause, depth + 1) if cause and depth < _DEPTH_LIMIT else None,
        members=[_encode(member, depth + 1) for member in members],
        traceback="" if depth else "".join(traceback.format_exception(error))[-_TRACEBACK_LIMIT:],
    )
    if failure.args is not None:
        copy = _rebuild(failure)
        if type(copy) is not type(error) or _message(copy) != failure.message:
            failure = failure.model_copy(update={"args": None, "state": {}})
    return failure


def decode_exception(failure: Failure) -> BaseException:
    """The exception that `failure` describes, or a `StepError` where its type cannot be rebuilt in this process."""
    error = _rebuild(failure) if failure.args is not None else None
    if error is None:
        error = StepError(failure.message, failure.type, failure.traceback)
    if failure.notes:
        error.__notes__ = list(failure.notes)
    if failure.cause:
        error.__cause__ = decode_exception(failure.cause)
    return error


def _rebuild(failure: Failure) -> BaseException | None:
    cls = _loaded_class(failure.type)
    if cls is None:
        return None
    args: list[Any] = list(failure.args or [])
    if issubclass(cls, BaseExceptionGroup):
        args = [failure.args[0] if failure.args else "", [decode_exception(member) for member in failure.members]]
    try:
        error = cls.__new__(cls, *args)
        error.args = tuple(args)
        if cls.__init__ in (Exception.__init__, BaseException.__init__) or cls.__module__ == "builtins":
            error.__init__(*args)  # type: ignore[misc]
        error.__dict__.update(failure.state)
        str(error)
    except Exception:
        return None
    return error


def _loaded_class(name: str) -> type[BaseException] | None:
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def _message(error: BaseException | None) -> str:
    try:
        text = str(error)
    except Exception as broken:
        text = f"<its message cannot be read: {type(broken).__name__}>"
    return text[:_MESSAGE_LIMIT]


def _arguments(error: BaseException) -> list[Json] | None:
    args = error.args[:1] if isinstance(error, BaseExceptionGroup) else error.args
    values = [_json(arg) for arg in args]
    return values if all(value == arg for value, arg in zip(values, args, strict=True)) else None


def _state(error: BaseException) -> dict[str, Json]:
    """The attributes that survive JSON unchanged; the others are left out."""
    attributes = {name: value for name, value in vars(error).items() if name != "__notes__"}
    values = {name: _json(value) for name, value in attributes.items()}
    return {name: value for name, value in values.items() if value == attributes[name]}


def _json(value: Any) -> Json:
    """`value` after a way through JSON, or a value that equals nothing."""
    try:
        return from_json(to_json(value, inf_nan_mode="constants"))
    except (PydanticSerializationError, ValidationError, ValueError, TypeError, RecursionError):
        return float("nan")
