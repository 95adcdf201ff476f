"""The events of steps."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from worldflow.engine.history.base import Decision, Fact, Failure, Json
from worldflow.engine.usage import Entry

__all__ = [
    "StepAbandoned",
    "StepCancelRequested",
    "StepCompleted",
    "StepFailed",
    "StepRetryScheduled",
    "StepScheduled",
]


class StepScheduled(Decision):
    event_type: Literal["StepScheduled"] = "StepScheduled"
    step_id: str
    name: str = ""
    input: Json = None
    timeout: float | None = None
    """Seconds for each attempt."""
    heartbeat_timeout: float | None = None
    """Seconds from one heartbeat of an attempt to the next."""
    at_most_once: bool | None = None
    inline: bool | None = None
    """Run in the orchestrator's own turn."""
    pure: bool | None = None
    """May run again at any time, so that its result may be committed later, with others."""
    ledger: bool | None = None
    """`False`: the outcome of a task is not written to the ledger."""
    limit: dict[str, Any] | None = None
    """The call's place at a limit: `Place.dump()`."""
    cancellation: Literal["abandon", "wait"] | None = None
    """What a cancelled await means to the step, if not only that it is notified."""
    queue: str | None = None
    """The step queue, unless it is the default one."""
    entity: str | None = None
    """The run of an entity, which is called in place of a function and sends the outcome."""
    lock: str | None = None
    """The lock of that entity in which it is called."""
    waiting: list[str] | None = None
    """The runs of the entities that wait for this call of another, the one that calls last."""

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, self.step_id, self.name)

    @property
    def is_limited(self) -> bool:
        """Whether its attempts wait for a place at a limit."""
        return self.limit is not None and not self.limit.get("approximate")


class StepCompleted(Fact):
    event_type: Literal["StepCompleted"] = "StepCompleted"
    step_id: str
    attempt: int = 1
    result: Json = None
    usage: list[Entry] | None = None
    """The tokens that the attempt has recorded."""
    waited: float | None = None
    """Seconds that the attempt was in its queue before it began, by the clock of what ran it: to be shown, no more."""

    @property
    def fact_id(self) -> str:
        return f"{self.step_id}/{self.attempt}"


class StepFailed(Fact):
    event_type: Literal["StepFailed"] = "StepFailed"
    step_id: str
    attempt: int = 1
    error: Failure
    retryable: bool = True
    retry_after: float | None = None
    """Seconds, where the step asked for its own interval."""
    usage: list[Entry] | None = None
    """The tokens that the attempt had recorded by then."""
    waited: float | None = None
    """See `StepCompleted`."""

    @property
    def fact_id(self) -> str:
        return f"{self.step_id}/{self.attempt}"


class StepRetryScheduled(Decision):
    """The engine's own answer to a `StepFailed`: attempt `attempt` is due at `due`."""

    event_type: Literal["StepRetryScheduled"] = "StepRetryScheduled"
    step_id: str
    attempt: int
    due: datetime


class StepAbandoned(Decision):
    """Nobody waits for the step any more: its await was cancelled."""

    event_type: Literal["StepAbandoned"] = "StepAbandoned"
    step_id: str

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, self.step_id, "")


class StepCancelRequested(Decision):
    """The await of a step was cancelled, and lasts until the step's outcome is there."""

    event_type: Literal["StepCancelRequested"] = "StepCancelRequested"
    step_id: str

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, self.step_id, "")
