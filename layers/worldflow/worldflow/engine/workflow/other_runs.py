"""What a workflow asks of other runs: to signal and to cancel them.

Each is an inline step of the engine's own: see `own_steps.py`.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.ids import check_name
from worldflow.engine.texts import is_text
from worldflow.engine.workflow.context import _execution
from worldflow.engine.workflow.own_steps import CANCEL, SIGNAL


def signal_run(run_id: str, name: str, value: Any = None) -> Coroutine[object, None, None]:
    """Sends a signal to another run, in its newest generation. It is delivered once, also if a process dies.

    Raises `RunNotFoundError`, `RunEndedError`, `SerializationError`, and `InvalidInputError` for a bad name or
    a value that does not match the type that the other workflow declares.
    """
    run = _execution("signal_run()")
    check_name(name)
    return run.call_step(SIGNAL, (_checked(run_id), name, value), {})


def cancel_run(run_id: str, reason: str | None = None) -> Coroutine[object, None, None]:
    """Cancels another run: its workflow gets `asyncio.CancelledError` where it waits. Does not wait for its end.

    Raises `RunNotFoundError` and `RunEndedError`.
    """
    run = _execution("cancel_run()")
    return run.call_step(CANCEL, (_checked(run_id), reason), {})


def _checked(run_id: str) -> str:
    if not isinstance(run_id, str) or not run_id or not is_text(run_id):
        rule = "the id of a run"
        raise InvalidInputError(f"{run_id!r} is not {rule}", [FieldError("run_id", f"must be {rule}")])
    return run_id
