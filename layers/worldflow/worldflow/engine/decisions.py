"""The decisions of a history: what the workflow asked for. See `history.py`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Literal

from worldflow.engine.events import Attribute, Decision, Failure, Json


class Applied(Decision):
    """The workflow learns here of a fact that was held."""

    event_type: Literal["Applied"] = "Applied"
    fact_id: str
    version: int | None = None
    timeout: float | None = None
    """Of a `RunStarted`: what was not known while there was no code."""


class StepScheduled(Decision):
    event_type: Literal["StepScheduled"] = "StepScheduled"
    data_fields: ClassVar[tuple[str, ...]] = ("input",)
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

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, self.step_id, self.name)


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


class TimerStarted(Decision):
    event_type: Literal["TimerStarted"] = "TimerStarted"
    timer_id: str
    due: datetime

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, self.timer_id, "")


class TimerCancelled(Decision):
    event_type: Literal["TimerCancelled"] = "TimerCancelled"
    timer_id: str

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, self.timer_id, "")


ParentClose = Literal["cancel", "terminate", "abandon"]


class ChildStarted(Decision):
    event_type: Literal["ChildStarted"] = "ChildStarted"
    data_fields: ClassVar[tuple[str, ...]] = ("input",)
    child_id: str
    child_run_id: str = ""
    workflow_name: str = ""
    version: int | None = None
    input: Json = None
    parent_close: ParentClose = "cancel"
    """What becomes of it when its parent ends first."""
    detached: bool | None = None
    """Nobody awaits it."""

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, self.child_id, self.workflow_name)


class ChildCancelRequested(Decision):
    event_type: Literal["ChildCancelRequested"] = "ChildCancelRequested"
    child_id: str

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, self.child_id, "")


class HookCreated(Decision):
    event_type: Literal["HookCreated"] = "HookCreated"
    data_fields: ClassVar[tuple[str, ...]] = ("metadata",)
    hook_id: str
    token: str = ""
    metadata: Json = None
    webhook: bool | None = None
    """Reached by a signed URL: nobody looks its token up."""
    answers: bool | None = None
    """The workflow answers its requests itself."""

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, self.hook_id, "")


class HookDisposed(Decision):
    event_type: Literal["HookDisposed"] = "HookDisposed"
    hook_id: str

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, self.hook_id, "")


class Replied(Decision):
    """The workflow's answer to an update, or to a request that came through a webhook."""

    event_type: Literal["Replied"] = "Replied"
    data_fields: ClassVar[tuple[str, ...]] = ("result",)
    fact_id: str
    result: Json = None
    error: Failure | None = None

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, self.fact_id, "")


class AttributesSet(Decision):
    event_type: Literal["AttributesSet"] = "AttributesSet"
    attributes: Mapping[str, Attribute | None] = {}
    """None takes an attribute away."""
    status_text: str | None = None


class VersionMarked(Decision):
    """The workflow went the new way of a change: see `patched()`. Replay looks for it by its id, and not in order."""

    event_type: Literal["VersionMarked"] = "VersionMarked"
    change_id: str
    deprecated: bool | None = None
    """Code that does not ask for it any more may replay this history."""

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, self.change_id, "")


class RunCompleted(Decision):
    event_type: Literal["RunCompleted"] = "RunCompleted"
    data_fields: ClassVar[tuple[str, ...]] = ("result",)
    result: Json = None


class RunFailed(Decision):
    event_type: Literal["RunFailed"] = "RunFailed"
    error: Failure
    forced: bool | None = None
    """Decided without the workflow's code."""


class RunCancelled(Decision):
    event_type: Literal["RunCancelled"] = "RunCancelled"
    reason: str | None = None
    forced: bool | None = None
    """Decided without the workflow's code."""


class RunContinued(Decision):
    """The workflow begins anew, as a run of its own."""

    event_type: Literal["RunContinued"] = "RunContinued"
    data_fields: ClassVar[tuple[str, ...]] = ("input", "carried")
    next_run_id: str = ""
    input: Json = None
    carried: Json = None
    seen: list[str] | None = None
