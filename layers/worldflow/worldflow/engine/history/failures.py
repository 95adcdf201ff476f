"""Exceptions to data and back, so that a workflow catches what its step raised.

An exception is rebuilt from its type, arguments and attributes, and no code of the type runs: neither `__init__` nor a
`__new__` of its own. The type is looked up among the modules that are loaded already, and only as a class that is
defined under its very name: nothing is imported, and no `__getattr__` of a module is asked, because a message names it.
Whether the data rebuilds the same exception is tried when it is recorded; what fails becomes a `StepError` there and on
every replay, and so does what could not be shown or logged any more. So does what would mean something to asyncio, to
the engine or to Python itself: `CancelledError`, `ContinueAsNew`, `StopIteration`, `SystemExit`.
"""

from __future__ import annotations

import base64
import copy
import sys
import traceback
from asyncio import CancelledError
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from types import ModuleType
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import (
    InitErrorDetails,
    PydanticCustomError,
    PydanticKnownError,
    PydanticSerializationError,
    from_json,
)

from worldflow.engine.errors import BenignError, ContinueAsNew, StepError
from worldflow.engine.history import Failure, Json, dump_value
from worldflow.engine.privacy import is_redacting, notes_of, redacted
from worldflow.engine.texts import escaped, is_text

T = TypeVar("T")

_TRACEBACK_LIMIT = 8_000
_MESSAGE_LIMIT = 16_000
_DEPTH_LIMIT = 8
_SIZE_LIMIT = 100_000
"""Bytes of a failure: it travels in messages and stands in the record of a run."""

_BYTES = "$bytes"
_ENUM = "$enum"
_OF_ALL = (Exception, BaseException, object)
_ARGUMENTS: Any = BaseException.args
_CAUSE: Any = BaseException.__cause__
_OWN = frozenset(dir(BaseException))
"""Attributes that every exception has, and that none has as its own."""
_NOT_FOR_US = (CancelledError, ContinueAsNew, GeneratorExit, KeyboardInterrupt, StopIteration, SystemExit)


_BENIGN = f"{BenignError.__module__}:{BenignError.__qualname__}"


def is_benign(failure: Failure) -> bool:
    """Whether a failure is no error to those who watch."""
    return _BENIGN in (failure.type, *failure.bases)


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
    # By no `__setattr__` of its own: that of a frozen dataclass, say, would refuse it.
    if failure.notes:
        error.__dict__["__notes__"] = list(failure.notes)
    if failure.cause:
        _CAUSE.__set__(error, decode_exception(failure.cause))
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
        notes=[redacted(escaped(note)) for note in notes_of(error)],
        cause=_encode_other(cause, depth + 1) if cause is not None and depth < _DEPTH_LIMIT else None,
        members=[_encode_other(member, depth + 1) for member in members],
        # Redacted before it is cut: half a number is not known for one.
        traceback="" if depth else redacted(escaped(_traceback(error)))[-_TRACEBACK_LIMIT:],
    )
    copy = _rebuild(failure)
    same = type(copy) is type(error) and (_message(copy) == failure.message or isinstance(error, ValidationError))
    if not same:
        return failure.model_copy(update={"args": None, "state": {}})
    return _with_data_redacted(failure) if is_redacting() else failure


def _encode_other(error: BaseException, depth: int) -> Failure:
    """The cause or a member of an exception, which has no part in what becomes of that."""
    try:
        return _encode(error, depth)
    except Exception:
        return Failure(type=_name(error), message=_message(error))


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception:  # an exception whose attributes cannot be read, or one that has such a cause
        return "".join([*traceback.format_tb(error.__traceback__), f"{_name(error)}: {_message(error)}\n"])


def _name(error: BaseException) -> str:
    return _class_name(type(error))


def _class_name(cls: type[Any]) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _rebuild(failure: Failure) -> BaseException | None:
    cls = _loaded_class(failure.type, BaseException)
    if cls is None or failure.args is None:
        return None
    try:
        args = [_decode_value(copy.deepcopy(arg)) for arg in failure.args]
        if issubclass(cls, ValidationError):
            return cls.from_exception_data(args[0], [_validation_detail(detail) for detail in args[1]])
        if issubclass(cls, BaseExceptionGroup):
            args.append([decode_exception(member) for member in failure.members])
        error: BaseException = _builtin(cls).__new__(cls, *args)
        if cls.__init__ is Exception.__init__ or cls.__module__ == "builtins":
            error.__init__(*args)  # type: ignore[misc]
        else:
            _ARGUMENTS.__set__(error, tuple(args))
        for name, value in failure.state.items():
            if name not in _OWN:
                with suppress(LookupError):  # of a type that is not loaded here
                    error.__dict__[name] = _decode_value(copy.deepcopy(value))
        _show(error)
    except Exception:
        return None
    return error


def _show(error: BaseException) -> None:
    """Does what is done to every exception sooner or later. Raises whatever that raises."""
    str(error), repr(error), getattr(error, "__notes__", None)
    traceback.format_exception_only(error)


def _loaded_class(name: str, base: type[T]) -> type[T] | None:
    """The class of this name, where it derives from `base`. Looks into dictionaries only, which runs nobody's code."""
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        if not isinstance(found, (ModuleType, type)):
            return None
        found = object.__getattribute__(found, "__dict__").get(part)
    is_one = isinstance(found, type) and issubclass(found, base) and _class_name(found) == name
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
        return redacted(escaped(error))[:_MESSAGE_LIMIT]
    except Exception as broken:
        return f"<message unavailable: str() raised {type(broken).__name__}>"


def _encode_arguments(error: BaseException) -> list[Json] | None:
    """What to rebuild the exception from; None if that cannot be carried."""
    args: Sequence[Any] = error.args
    if isinstance(error, BaseExceptionGroup):
        args = args[:1]
    elif isinstance(error, OSError) and error.filename is not None:
        args = (error.errno, error.strerror, error.filename, None, error.filename2)
    elif isinstance(error, ValidationError):
        args = (error.title, [_carried_detail(detail) for detail in error.errors(include_url=False)])
    carried = [_encode_value(arg) for arg in args]
    return carried if all(map(_is_carried, carried, args)) else None


def _encode_value(value: Any) -> Json:
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode()}
    if isinstance(value, Enum):
        return {_ENUM: [_class_name(type(value)), value.name]}
    return _json(value)


def _decode_value(value: Json) -> Any:
    """Raises `LookupError` for a member of an enumeration that is not loaded here."""
    if not (isinstance(value, dict) and len(value) == 1):
        return value
    if _BYTES in value:
        return base64.b64decode(value[_BYTES])
    if _ENUM in value:
        name, member = value[_ENUM]
        cls: Any = _loaded_class(name, Enum)
        if cls is None:
            raise LookupError(name)
        return vars(cls)["_member_map_"][member]
    return value


def _is_carried(carried: Json, value: Any) -> bool:
    """Whether a value comes back as what it is."""
    try:
        return _identical(_decode_value(carried), value)
    except Exception:
        return False


def _identical(one: Any, other: Any) -> bool:
    """Whether two values are the same, of the same types: an `IntEnum`, say, is no `int`."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            key in other and type(key) is str and _identical(part, other[key]) for key, part in one.items()
        )
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_identical, one, other))
    return bool(one == other or (one != one and other != other))


def _carried_detail(detail: Any) -> dict[str, Json]:
    kept = {name: detail[name] for name in ("type", "loc", "msg")}
    given = detail.get("ctx", {})
    context = _json(given)
    if not _is_carried(context, given):
        context = None
    return {**kept, "loc": list(detail["loc"]), "input": _json(detail["input"]), "ctx": context}


def _validation_detail(detail: dict[str, Json]) -> InitErrorDetails:
    loc = tuple(detail["loc"])
    with suppress(KeyError, TypeError):
        PydanticKnownError(detail["type"], detail["ctx"])
        return InitErrorDetails(type=detail["type"], loc=loc, input=detail["input"], ctx=detail["ctx"] or {})
    message = detail["msg"].replace("{", "{{").replace("}", "}}")
    return InitErrorDetails(type=PydanticCustomError(detail["type"], message), loc=loc, input=detail["input"])


def _state(error: BaseException) -> dict[str, Json]:
    """The attributes that survive JSON unchanged; the others are left out."""
    state = {}
    for name, value in getattr(error, "__dict__", {}).items():
        carried = _encode_value(value)
        if name != "__notes__" and is_text(name) and _is_carried(carried, value):
            state[name] = carried
    return state


def _json(value: Any) -> Json:
    """`value` after a way through JSON; None if that does not carry it."""
    try:
        return from_json(dump_value(value))
    except (PydanticSerializationError, ValueError, TypeError, RecursionError):
        return None
