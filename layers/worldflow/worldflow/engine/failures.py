"""Exceptions to data and back, so that a workflow catches what its step raised.

An exception is rebuilt from its type, arguments and attributes, and no code of the type runs: neither `__init__` nor a
`__new__` of its own. The type is looked up among the modules that are loaded already, and only as a class that is
defined under its very name: nothing is imported, and no `__getattr__` of a module is asked, because a message names it.
Whether the data rebuilds the same exception is tried when it is recorded; what fails becomes a `StepError` there and on
every replay. So does what would mean something to asyncio, to the engine or to Python itself: `CancelledError`,
`ContinueAsNew`, `StopIteration`, `SystemExit`.
"""

from __future__ import annotations

import base64
import copy
import sys
import traceback
from asyncio import CancelledError
from collections.abc import Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any

from pydantic import ValidationError
from pydantic_core import (
    InitErrorDetails,
    PydanticCustomError,
    PydanticKnownError,
    PydanticSerializationError,
    from_json,
)

from worldflow.engine.errors import ContinueAsNew, StepError
from worldflow.engine.history import Failure, Json, dump_value
from worldflow.engine.privacy import is_redacting, redacted

_TRACEBACK_LIMIT = 8_000
_MESSAGE_LIMIT = 16_000
_DEPTH_LIMIT = 8
_SIZE_LIMIT = 100_000
"""Bytes of a failure: it travels in messages and stands in the record of a run."""

_BYTES = "$bytes"
_OF_ALL = (Exception, BaseException, object)
_ARGUMENTS: Any = BaseException.args
_OWN = frozenset(dir(BaseException))
"""Attributes that every exception has, and that none has as its own."""
_NOT_FOR_US = (CancelledError, ContinueAsNew, GeneratorExit, KeyboardInterrupt, StopIteration, SystemExit)


def encode_exception(error: BaseException) -> Failure:
    """`error` as data, with its notes, its cause and, for a group, its members."""
    try:
        failure = _encode(error, depth=0)
        if len(failure.model_dump_json().encode()) <= _SIZE_LIMIT:
            return failure
    except Exception:  # an attribute whose `==` raises, say
        failure = Failure(type=_name(error))
    return Failure(type=failure.type, message=_message(error), traceback=failure.traceback)


def decode_exception(failure: Failure) -> BaseException:
    """The exception that `failure` describes, or a `StepError` where its type cannot be rebuilt in this process.

    It shares nothing with `failure`, which the code that catches it may not change.
    """
    error = _rebuild(failure)
    if error is None or isinstance(error, _NOT_FOR_US):
        error = StepError(failure.message, failure.type, failure.traceback)
    if failure.notes:
        error.__notes__ = list(failure.notes)
    if failure.cause:
        error.__cause__ = decode_exception(failure.cause)
    return error


def _encode(error: BaseException, depth: int) -> Failure:
    cause = error.__cause__
    members = error.exceptions if isinstance(error, BaseExceptionGroup) and depth < _DEPTH_LIMIT else ()
    failure = Failure(
        type=_name(error),
        message=_message(error),
        args=_encode_arguments(error),
        state=_state(error),
        bases=[_class_name(cls) for cls in type(error).__mro__[1:] if cls not in _OF_ALL],
        notes=[redacted(_text(note)) for note in getattr(error, "__notes__", [])],
        cause=_encode(cause, depth + 1) if cause and depth < _DEPTH_LIMIT else None,
        members=[_encode(member, depth + 1) for member in members],
        # Redacted before it is cut: half a number is not known for one.
        traceback="" if depth else redacted(_text("".join(traceback.format_exception(error))))[-_TRACEBACK_LIMIT:],
    )
    copy = _rebuild(failure)
    same = type(copy) is type(error) and (_message(copy) == failure.message or isinstance(error, ValidationError))
    if not same:
        return failure.model_copy(update={"args": None, "state": {}})
    return _with_data_redacted(failure) if is_redacting() else failure


def _name(error: BaseException) -> str:
    return _class_name(type(error))


def _class_name(cls: type[Any]) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _rebuild(failure: Failure) -> BaseException | None:
    cls = _loaded_class(failure.type)
    if cls is None or failure.args is None:
        return None
    try:
        args = [_decode_argument(copy.deepcopy(arg)) for arg in failure.args]
        if issubclass(cls, ValidationError):
            return cls.from_exception_data(args[0], [_validation_detail(detail) for detail in args[1]])
        if issubclass(cls, BaseExceptionGroup):
            args.append([decode_exception(member) for member in failure.members])
        error: BaseException = _builtin(cls).__new__(cls, *args)
        if cls.__init__ is Exception.__init__ or cls.__module__ == "builtins":
            error.__init__(*args)  # type: ignore[misc]
        else:
            _ARGUMENTS.__set__(error, tuple(args))
        state = {name: value for name, value in failure.state.items() if name not in _OWN}
        error.__dict__.update(copy.deepcopy(state))
        str(error)
    except Exception:
        return None
    return error


def _loaded_class(name: str) -> type[BaseException] | None:
    """The exception class of this name. Looks into dictionaries only, which runs nobody's code."""
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        if not isinstance(found, (ModuleType, type)):
            return None
        found = object.__getattribute__(found, "__dict__").get(part)
    is_one = isinstance(found, type) and issubclass(found, BaseException) and _class_name(found) == name
    return found if is_one else None


def _builtin(cls: type[BaseException]) -> type[BaseException]:
    """The builtin exception that `cls` derives from: what makes its objects."""
    return next(base for base in cls.__mro__ if base.__module__ == "builtins" and issubclass(base, BaseException))


# --- messages and arguments ---


def _with_data_redacted(failure: Failure) -> Failure:
    state = {name: _with_texts_redacted(value) for name, value in failure.state.items()}
    return failure.model_copy(update={"args": _with_texts_redacted(failure.args), "state": state})


def _with_texts_redacted(value: Json) -> Json:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, list):
        return [_with_texts_redacted(part) for part in value]
    if isinstance(value, dict):
        return {redacted(name): _with_texts_redacted(part) for name, part in value.items()}
    return value


def _message(error: BaseException | None) -> str:
    try:
        return redacted(_text(error))[:_MESSAGE_LIMIT]
    except Exception as broken:
        return f"<its message cannot be read: {type(broken).__name__}>"


def _text(value: object) -> str:
    """Text that UTF-8 can carry: a file's name, say, may hold bytes that are none."""
    return str(value).encode("utf-8", "backslashreplace").decode()


def _encode_arguments(error: BaseException) -> list[Json] | None:
    """What to rebuild the exception from; None if that cannot be carried."""
    args: Sequence[Any] = error.args
    if isinstance(error, BaseExceptionGroup):
        args = args[:1]
    elif isinstance(error, OSError) and error.filename is not None:
        args = (error.errno, error.strerror, error.filename, None, error.filename2)
    elif isinstance(error, ValidationError):
        args = (error.title, [_carried_detail(detail) for detail in error.errors(include_url=False)])
    carried = [{_BYTES: base64.b64encode(arg).decode()} if isinstance(arg, bytes) else _json(arg) for arg in args]
    back = [_decode_argument(arg) for arg in carried]
    return carried if back == list(args) else None


def _decode_argument(value: Json) -> Any:
    is_bytes = isinstance(value, dict) and value.keys() == {_BYTES}
    return base64.b64decode(value[_BYTES]) if is_bytes else value


def _carried_detail(detail: Any) -> dict[str, Json]:
    carried = {name: detail[name] for name in ("type", "loc", "msg")}
    context = detail.get("ctx", {})
    return {**carried, "loc": list(detail["loc"]), "input": _json(detail["input"]), "ctx": _same(context)}


def _validation_detail(detail: dict[str, Json]) -> InitErrorDetails:
    loc = tuple(detail["loc"])
    with suppress(KeyError, TypeError):
        PydanticKnownError(detail["type"], detail["ctx"])
        return InitErrorDetails(type=detail["type"], loc=loc, input=detail["input"], ctx=detail["ctx"] or {})
    message = detail["msg"].replace("{", "{{").replace("}", "}}")
    return InitErrorDetails(type=PydanticCustomError(detail["type"], message), loc=loc, input=detail["input"])


def _state(error: BaseException) -> dict[str, Json]:
    """The attributes that survive JSON unchanged; the others are left out."""
    attributes = {name: value for name, value in getattr(error, "__dict__", {}).items() if name != "__notes__"}
    values = {name: _same(value) for name, value in attributes.items()}
    return {name: value for name, value in values.items() if value is not None or attributes[name] is None}


def _same(value: Any) -> Json:
    """`value` if JSON carries it unchanged, else None."""
    carried = _json(value)
    return carried if carried == value else None


def _json(value: Any) -> Json:
    """`value` after a way through JSON; None if that does not carry it."""
    try:
        return from_json(dump_value(value))
    except (PydanticSerializationError, ValueError, TypeError, RecursionError):
        return None
