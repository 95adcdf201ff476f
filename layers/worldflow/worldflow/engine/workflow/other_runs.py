"""What a workflow asks of other runs: to signal and to cancel them, and who holds a hook's token.

Each is an inline step of the engine's own. So it is done after the commit that asks for it, again if the process dies,
and its outcome stands in the history. What a run is sent has the step's key as its id, and so is delivered once.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from worldflow.engine.errors import FieldError, InvalidInputError, RunError, SerializationError
from worldflow.engine.ids import check_name
from worldflow.engine.texts import is_text
from worldflow.engine.workflow.context import _execution, step_info
from worldflow.engine.workflow.definitions import Step, _steps
from worldflow.engine.workflow.retry import RetryPolicy
from worldflow.engine.workflow.run import OtherRuns

_PATIENT = RetryPolicy(
    max_attempts=20, max_interval="1m", non_retryable=(RunError, InvalidInputError, SerializationError)
)
"""What keeps a message from being sent is an outage."""


def _own(function: Callable[..., Any], name: str) -> Step[..., Any]:
    return _steps.add_own(Step(function, f"worldflow.{name}", retry=_PATIENT, inline=True))


def _others() -> OtherRuns:
    return step_info()._others()


def _signal(run_id: str, name: str, value: Any) -> None:
    _others().signal(run_id, name, value, step_info().idempotency_key)


def _cancel(run_id: str, reason: str | None) -> None:
    _others().cancel(run_id, reason, step_info().idempotency_key)


def _holder(token: str) -> str | None:
    return _others().holder(token)


_SIGNAL, _CANCEL, _HOLDER = _own(_signal, "signal_run"), _own(_cancel, "cancel_run"), _own(_holder, "hook_holder")


def signal_run(run_id: str, name: str, value: Any = None) -> Coroutine[object, None, None]:
    """Sends a signal to another run, in its newest generation. It is delivered once, also if a process dies.

    Raises `RunNotFoundError`, `RunEndedError`, `SerializationError`, and `InvalidInputError` for a bad name or
    a value that does not match the type that the other workflow declares.
    """
    run = _execution("signal_run()")
    check_name(name)
    return run.call_step(_SIGNAL, (_checked(run_id), name, value), {})


def cancel_run(run_id: str, reason: str | None = None) -> Coroutine[object, None, None]:
    """Cancels another run: its workflow gets `asyncio.CancelledError` where it waits. Does not wait for its end.

    Raises `RunNotFoundError` and `RunEndedError`.
    """
    run = _execution("cancel_run()")
    return run.call_step(_CANCEL, (_checked(run_id), reason), {})


def hook_holder(token: str) -> Coroutine[object, None, str | None]:
    """The run that holds a token."""
    return _execution("get_conflict()").call_step(_HOLDER, (token,), {})


def _checked(run_id: str) -> str:
    if not isinstance(run_id, str) or not run_id or not is_text(run_id):
        rule = "the id of a run"
        raise InvalidInputError(f"{run_id!r} is not {rule}", [FieldError("run_id", f"must be {rule}")])
    return run_id
