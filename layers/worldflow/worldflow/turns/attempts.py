"""How an attempt of a step fails, as the events that say so."""

from __future__ import annotations

from asyncio import CancelledError

from worldflow.engine.errors import StepInterruptedError, StepTimeoutError
from worldflow.engine.history import Event, StepFailed
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.history.state import OpenStep
from worldflow.engine.usage import Entry
from worldflow.engine.workflow.retry import retry_after
from worldflow.worlds.messages import StepTask

_TIMEOUT = f"{StepTimeoutError.__module__}:{StepTimeoutError.__qualname__}"


def failed(task: StepTask, error: BaseException, *, retryable: bool, usage: list[Entry] | None = None) -> StepFailed:
    """The failure of the attempt that a task asks for."""
    return StepFailed(
        step_id=task.step_id,
        attempt=task.attempt,
        error=encode_exception(error),
        retryable=retryable,
        retry_after=retry_after(error),
        usage=usage or None,
    )


def died(step: OpenStep, error: Exception) -> StepFailed:
    """The failure of an open attempt that no process can report any more. One that runs at most once is not retried,
    since it may have had its effect, or may still be running.
    """
    assert step.attempt is not None
    return StepFailed(
        step_id=step.scheduled.step_id,
        attempt=step.attempt,
        error=encode_exception(error),
        retryable=not step.scheduled.at_most_once,
    )


def timed_out(step: OpenStep, why: str) -> StepFailed:
    return died(step, StepTimeoutError(f"step {step.scheduled.name!r}, attempt {step.attempt}: {why}"))


def is_timeout(event: Event) -> bool:
    return isinstance(event, StepFailed) and event.error.type == _TIMEOUT


def interruption(name: str) -> StepInterruptedError:
    """The error of a step that runs at most once, has begun, and left no outcome."""
    return StepInterruptedError(f"{name!r} started but its outcome is unknown")


def unbegun(name: str) -> CancelledError:
    """The error of a step whose await was cancelled before it began."""
    return CancelledError(f"{name!r} was cancelled before it began")


def never_begun(step: OpenStep) -> StepFailed:
    """The failure of an attempt that was cancelled before any process could begin it."""
    assert step.attempt is not None
    error = encode_exception(unbegun(step.scheduled.name))
    return StepFailed(step_id=step.scheduled.step_id, attempt=step.attempt, error=error, retryable=False)
