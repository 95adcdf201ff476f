"""What may be said of the user's data, in logs and in what is kept of an exception.

An exception's text may hold anything that the user's code has in hand: an address, a card's number. So no log has it,
unless the process is set to log it, or nothing is set and it has a LocalWorld open: on a developer's own machine the
log is what errors are read in. What is logged without it is the exception's type, its causes, and the files and lines
that it came from. The text of the engine's own errors, which is made of ids and names, is logged always.

How the process is set, and what may be said of errors of other systems, is registered by `worldflow/logs.py`.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from worldflow.engine import errors
from worldflow.engine.texts import escaped

_OWN_TEXT = frozenset(
    {
        errors.ConfigurationError,
        errors.ConflictError,
        errors.HistoryLimitError,
        errors.LimitExceededError,
        errors.LimitNotFoundError,
        errors.NonDeterminismError,
        errors.OutsideError,
        errors.PayloadCodecError,
        errors.PayloadTooLargeError,
        errors.QueryNotFoundError,
        errors.RunEndedError,
        errors.RunExistsError,
        errors.RunNotFoundError,
        errors.ScheduleExistsError,
        errors.ScheduleNotFoundError,
        errors.StepCrashedError,
        errors.StepInterruptedError,
        errors.StepNotFoundError,
        errors.StepTimeoutError,
        errors.StreamClosedError,
        errors.StreamLimitError,
        errors.UnawaitedCallError,
        errors.UnsupportedOperationError,
        errors.WorldClosedError,
        errors.WorkflowNotFoundError,
        errors.WorkflowStuckError,
    }
)
"""Errors whose text has ids and names, and nothing that a run carries."""

_HIDDEN = "message not logged: see WORLDFLOW_LOG_PAYLOADS"
_DEPTH_LIMIT = 8

_redactor: Callable[[str], str] | None = None

_setting: Callable[[], bool | None] | None = None
_summary: Callable[[BaseException], str | None] | None = None

_local: weakref.WeakSet[object] = weakref.WeakSet()
"""The worlds that are open in this process and are its own, and not a cloud's."""


def set_rules(setting: Callable[[], bool | None], summary: Callable[[BaseException], str | None]) -> None:
    """Registers what this module asks its surroundings.

    setting: whether logs may have the user's data; None where nothing is set.
    summary: what may always be logged of an error that is not the engine's own; None for nothing.
    """
    global _setting, _summary
    _setting, _summary = setting, summary


def set_redactor(redact: Callable[[str], str] | None) -> None:
    """Has every text of an exception go through `redact` before it is logged, or recorded as what a step or run failed
    of.

    For data that must not even stand in a history: to mask the numbers of cards, say. Set it where the module of your
    workflows is imported. None takes it away.
    """
    global _redactor
    _redactor = redact


def redacted(text: str) -> str:
    """`text` as the user wants it kept."""
    if _redactor is None or not text:
        return text
    try:
        return escaped(_redactor(text))
    except Exception as error:
        return f"<omitted: the redactor raised {type(error).__name__}>"


def notes_of(error: BaseException) -> list[Any]:
    """The notes of an exception, whatever its own way to find attributes says of them."""
    notes = getattr(error, "__dict__", {}).get("__notes__")
    return list(notes) if isinstance(notes, (list, tuple)) else []


def is_redacting() -> bool:
    return _redactor is not None


def logs_payloads() -> bool:
    """Whether logs may have the user's data."""
    setting = _setting() if _setting else None
    return len(_local) > 0 if setting is None else setting


def open_locally(world: object) -> None:
    """Logs may have the user's data, unless it is forbidden, as long as this world is there and is not closed."""
    _local.add(world)


def close_locally(world: object) -> None:
    _local.discard(world)


def described(error: BaseException) -> str:
    """The type of an exception, and its text where that may be logged."""
    return f"{type(error).__name__}: {_text(error)}".removesuffix(f": {_HIDDEN}")


def loggable(error: BaseException) -> BaseException:
    """An exception to log in place of `error`: of a type of the same name, from the same lines, with the same causes,
    and with the text that may be logged.
    """
    return error if logs_payloads() and not is_redacting() and _is_true(error) else _stand_in(error, 0)


def _is_true(error: BaseException) -> bool:
    """Whether `logging` sees that it was given an exception, which it asks in this way."""
    try:
        return bool(error)
    except Exception:
        return False


def log_context(log: logging.Logger, where: str, context: Mapping[str, Any]) -> None:
    """Logs what asyncio tells an exception handler."""
    message, error = str(context.get("message")), context.get("exception")
    if not logs_payloads() and "callback" in message:
        message = "Exception in callback"  # which goes on with the arguments
    log.error("%s: %s", where, redacted(message), exc_info=None if error is None else loggable(error))


def _text(error: BaseException) -> str:
    if type(error) in _OWN_TEXT or logs_payloads():
        try:
            return redacted(str(error))
        except Exception as broken:
            return f"<message unavailable: str() raised {type(broken).__name__}>"
    return (_summary(error) if _summary else None) or _HIDDEN


def _stand_in(error: BaseException, depth: int) -> BaseException:
    text = _text(error)
    if isinstance(error, BaseExceptionGroup) and depth < _DEPTH_LIMIT:
        members = [_stand_in(member, depth + 1) for member in error.exceptions]
        base: type[Any] = ExceptionGroup if isinstance(error, ExceptionGroup) else BaseExceptionGroup
        found: BaseException = _like(type(error), base)(text, members)
    else:
        found = _like(type(error), Exception if isinstance(error, Exception) else BaseException)(text)
    found.__traceback__ = error.__traceback__
    if logs_payloads():
        found.__notes__ = [redacted(str(note)) for note in notes_of(error)]
    if depth < _DEPTH_LIMIT:
        if error.__cause__ is not None:
            found.__cause__ = _stand_in(error.__cause__, depth + 1)
        elif error.__context__ is not None and not error.__suppress_context__:
            found.__context__ = _stand_in(error.__context__, depth + 1)
    found.__suppress_context__ = error.__suppress_context__
    return found


def _like(cls: type[Any], base: type[Any]) -> type[Any]:
    return type(cls.__name__, (base,), {"__module__": cls.__module__, "__qualname__": cls.__qualname__})
