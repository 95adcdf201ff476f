"""The facts of a history: what happened. See `history.py`."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from worldflow.engine.events import UNRECORDED, Attribute, Fact, Failure, Json, Parent


class RunStarted(Fact):
    event_type: Literal["RunStarted"] = "RunStarted"
    data_fields: ClassVar[tuple[str, ...]] = ("input", "carried")
    run_id: str = ""
    workflow_name: str = ""
    version: int | None = None
    """The version of the workflow; None in a history that is older than versions."""
    created_at: datetime = UNRECORDED
    """When somebody asked for the run."""
    input: Json = None
    timeout: float | None = None
    """Seconds that the workflow may take."""
    seed: str | None = None
    """What chance in the workflow comes from; the run's id in a history that has none."""
    parent: Parent | None = None
    attributes: dict[str, Attribute] | None = None
    """Those that the run begins with."""
    carried: Json = None
    """The signals and updates that the generation before left unread: their events."""
    seen: list[str] | None = None
    """The ids of facts that generations before have received."""
    traceparent: str | None = None
    """The span that the run is under; or its own, where it begins a trace. None where nobody traces it."""
    restored: bool | None = None
    """The run may have begun before, in a history that was lost: see `RunRestored`."""

    @property
    def fact_id(self) -> str:
        return "start"


class RunForked(Fact):
    """Up to here the history is that of another run. Attempts of open steps are counted from here."""

    event_type: Literal["RunForked"] = "RunForked"
    run_id: str = ""
    after: int | None = None
    """The last event that was asked for; None for all up to the failure."""
    seed: str | None = None
    """What chance comes from after it, so that it is not that of the other run."""
    traceparent: str | None = None
    """The other run's span, where that is in a trace."""

    @property
    def fact_id(self) -> str:
        return "fork"


class RunRestored(Fact):
    """The history ends where it was restored to. What the run did after this point is lost, except what the step ledger
    still has of it. The workflow does not learn of it.
    """

    event_type: Literal["RunRestored"] = "RunRestored"

    @property
    def fact_id(self) -> str:
        return "restored"


class StepCompleted(Fact):
    event_type: Literal["StepCompleted"] = "StepCompleted"
    data_fields: ClassVar[tuple[str, ...]] = ("result",)
    step_id: str
    attempt: int = 1
    result: Json = None

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

    @property
    def fact_id(self) -> str:
        return f"{self.step_id}/{self.attempt}"


class TimerFired(Fact):
    event_type: Literal["TimerFired"] = "TimerFired"
    timer_id: str

    @property
    def fact_id(self) -> str:
        return self.timer_id


class SignalReceived(Fact):
    event_type: Literal["SignalReceived"] = "SignalReceived"
    data_fields: ClassVar[tuple[str, ...]] = ("value",)
    signal_id: str
    name: str = ""
    value: Json = None
    traceparent: str | None = None
    """The span that sent it."""

    @property
    def fact_id(self) -> str:
        return f"signal/{self.signal_id}"


class HookResumed(Fact):
    event_type: Literal["HookResumed"] = "HookResumed"
    data_fields: ClassVar[tuple[str, ...]] = ("value",)
    hook_id: str
    resume_id: str
    value: Json = None
    traceparent: str | None = None
    """The span that sent it."""

    @property
    def fact_id(self) -> str:
        return f"hook/{self.hook_id}/{self.resume_id}"


class HookConflicted(Fact):
    """Another live run holds the token that the workflow asked for."""

    event_type: Literal["HookConflicted"] = "HookConflicted"
    hook_id: str

    @property
    def fact_id(self) -> str:
        return self.hook_id


class UpdateReceived(Fact):
    """A signal that asks for an answer."""

    event_type: Literal["UpdateReceived"] = "UpdateReceived"
    data_fields: ClassVar[tuple[str, ...]] = ("args",)
    update_id: str
    name: str = ""
    args: Json = None
    traceparent: str | None = None
    """The span that sent it."""

    @property
    def fact_id(self) -> str:
        return f"update/{self.update_id}"


class ChildCompleted(Fact):
    event_type: Literal["ChildCompleted"] = "ChildCompleted"
    data_fields: ClassVar[tuple[str, ...]] = ("result",)
    child_id: str
    child_run_id: str | None = None
    result: Json = None

    @property
    def fact_id(self) -> str:
        return self.child_id


class ChildFailed(Fact):
    event_type: Literal["ChildFailed"] = "ChildFailed"
    child_id: str
    child_run_id: str | None = None
    error: Failure

    @property
    def fact_id(self) -> str:
        return self.child_id


class CancelRequested(Fact):
    event_type: Literal["CancelRequested"] = "CancelRequested"
    reason: str | None = None

    @property
    def fact_id(self) -> str:
        return "cancel"


class TerminateRequested(Fact):
    """The run ends here, without its code: a forced `RunCancelled` follows."""

    event_type: Literal["TerminateRequested"] = "TerminateRequested"
    reason: str | None = None
    successor: str | None = None
    """The run that takes its place."""

    @property
    def fact_id(self) -> str:
        return "terminate"
