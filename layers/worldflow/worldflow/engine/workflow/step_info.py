"""What a step may know of its attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NoReturn

from worldflow.engine.errors import OutsideError
from worldflow.engine.history import Json
from worldflow.engine.usage import Entry, Usage
from worldflow.engine.values.serialization import ANYTHING
from worldflow.engine.workflow.outlets import Nowhere, Outlet
from worldflow.engine.workflow.run import OtherRuns


def _nobody() -> NoReturn:
    raise OutsideError("a step of the engine's own only works inside a step that a workflow called")


@dataclass(frozen=True, slots=True)
class StepInfo:
    """The attempt of a step that is running. `attempt` counts from 1."""

    run_id: str
    step_id: str
    attempt: int
    heartbeat_details: Any = None
    """The details of the last heartbeat of earlier attempts."""
    origin: str | None = None
    """The run in which the step was first called, if this one continues it."""
    name: str = ""
    """The name under which it was called. A dynamic step has many."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Those of the run."""
    _beat: Callable[[Json], bool] = field(default=lambda _: True, repr=False, compare=False)
    _usage: Usage = field(default_factory=Usage, repr=False, compare=False)
    _open: Callable[[str, bool], Outlet] = field(default=lambda name, _: Nowhere(), repr=False, compare=False)
    """Opens a stream, to begin it anew or to go on with what earlier attempts wrote."""
    _others: Callable[[], OtherRuns] = field(default=_nobody, repr=False, compare=False)
    """For steps of the engine's own."""

    def heartbeat(self, details: Any = None) -> None:
        """Reports that the attempt is still running, for steps with a `heartbeat_timeout`. Each call is one write.

        details: JSON that the next attempt finds as `heartbeat_details` if this one fails.
        Raises `asyncio.CancelledError` if the workflow no longer needs the step.
        """
        if not self._beat(ANYTHING.encode(details)):
            raise asyncio.CancelledError("the workflow no longer needs this step")

    @property
    def usage(self) -> list[Entry]:
        """The tokens that this attempt has recorded so far, one entry for each model; see `record_usage`."""
        return self._usage.entries()

    @property
    def idempotency_key(self) -> str:
        """A key for the services that the step calls: the same for every attempt, also when a failed run is retried."""
        return f"{self.origin or self.run_id}/{self.step_id}"


current_step: ContextVar[StepInfo] = ContextVar("worldflow_step")


def step_info() -> StepInfo:
    """The attempt of the step that this code runs in. Raises `OutsideError` elsewhere."""
    try:
        return current_step.get()
    except LookupError:
        raise OutsideError("step_info() only works inside a step that a workflow called") from None
