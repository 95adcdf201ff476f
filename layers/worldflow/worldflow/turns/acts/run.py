"""The run that acts are of, as its history stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from worldflow.engine.history import ChildStarted, Json, StepScheduled
from worldflow.engine.history.state import RunState
from worldflow.engine.traceparent import run_context
from worldflow.worlds import reading
from worldflow.worlds.base import World
from worldflow.worlds.payloads import Whole, has_borrowed

REMEMBERED = timedelta(days=35)
"""The step ledger keeps the outcomes of steps for this long after a run was restored."""


@dataclass(frozen=True, slots=True)
class ActingRun:
    """A run, and the world that its acts reach."""

    world: World
    id: str
    state: RunState

    def input_of(self, call: StepScheduled | ChildStarted) -> Json | Whole:
        """The arguments of an open call, as they are stored; `Whole` where they have borrowed parts."""
        if has_borrowed(call.input):  # of a history that was not replayed
            return reading.history_of(self.world, self.id).whole(call).input
        return call.input

    @property
    def headers(self) -> dict[str, str] | None:
        return self.state.started.headers if self.state.started else None

    def traceparent(self) -> str | None:
        """The span of this run, where it is in a trace."""
        started = self.state.started
        if started is None or started.traceparent is None:
            return None
        return str(run_context(self.id, started.created_at, started.traceparent))


def starts_restored(state: RunState, now: datetime) -> bool | None:
    """Whether the step ledger may have outcomes of a run that this one is about to start: outcomes from before this one
    was restored.
    """
    return True if state.restored and now - state.restored < REMEMBERED else None
