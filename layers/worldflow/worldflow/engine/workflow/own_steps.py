"""Inline steps of the engine's own, which ask something of other runs.

Each is done after the commit that asks for it, again if the process dies, and has its outcome in the history. What a
run is sent has the step's key as its id, and so is delivered once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from worldflow.engine.errors import InvalidInputError, RunError, SerializationError
from worldflow.engine.workflow.definitions import Step, _steps
from worldflow.engine.workflow.registry import OWN
from worldflow.engine.workflow.retry import RetryPolicy
from worldflow.engine.workflow.run import OtherRuns
from worldflow.engine.workflow.step_info import step_info

_PATIENT = RetryPolicy(
    max_attempts=20, max_interval="1m", non_retryable=(RunError, InvalidInputError, SerializationError)
)
"""What keeps a message from being sent is an outage."""


def _own(function: Callable[..., Any], name: str, retry: RetryPolicy = _PATIENT) -> Step[..., Any]:
    return _steps.add_own(Step(function, f"{OWN}{name}", retry=retry, inline=True))


def _others() -> OtherRuns:
    return step_info()._others()


def _signal(run_id: str, name: str, value: Any) -> None:
    _others().signal(run_id, name, value, step_info().idempotency_key)


def _cancel(run_id: str, reason: str | None) -> None:
    _others().cancel(run_id, reason, step_info().idempotency_key)


def _holder(token: str) -> str | None:
    return _others().holder(token)


def _beat(run_id: str, hook_id: str) -> str | None:
    return _others().beat(run_id, hook_id)


SIGNAL, CANCEL, HOLDER = _own(_signal, "signal_run"), _own(_cancel, "cancel_run"), _own(_holder, "hook_holder")
BEAT = _own(_beat, "hook_heartbeat")
