"""The events of a run's history: facts, and the decisions that the workflow took in answer.

A history is one ordered list. A *fact* says what happened; the *decisions* that follow it are what the workflow asked
for when it learned of it. Replay feeds the facts and compares the decisions (see `execution.py`).

On the wire an event is one flat JSON object: `event_type`, `seq`, `at`, and its own fields. Unknown fields are kept and
every field beyond those that identify the event has a default, so that histories of older and newer versions load.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic_core import from_json, to_json

Json = Any
"""A value made of dict, list, str, int, float, bool and None."""

Attribute = str | int | float | bool
"""The value of an attribute of a run."""

UNRECORDED = datetime.fromtimestamp(0, UTC)


class Failure(BaseModel):
    """An exception as data: see `failures.py`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str
    """`module:qualname`"""
    message: str = ""
    args: list[Json] | None = None
    """The arguments and attributes to rebuild it from; None where it cannot be rebuilt."""
    state: dict[str, Json] = {}
    notes: list[str] = []
    bases: list[str] = []
    """The names of the classes that its type derives from, less those that all exceptions do."""
    cause: Failure | None = None
    members: list[Failure] = []
    """The exceptions of a group."""
    traceback: str = ""


class BaseEvent(BaseModel):
    """What all events share. `seq` and `at` are 0 and 1970 until the event is recorded."""

    model_config = ConfigDict(extra="allow", frozen=True, ser_json_inf_nan="constants")

    data_fields: ClassVar[tuple[str, ...]] = ()
    """The fields that hold the user's own data, which may be large."""

    event_type: str
    seq: int = 0
    at: datetime = UNRECORDED

    @property
    def payload(self) -> dict[str, Any]:
        """The event's own fields, as JSON values."""
        return self.model_dump(mode="json", exclude={"event_type", "seq", "at"}, exclude_none=True)

    def recorded(self, seq: int, at: datetime) -> Any:
        """This event at its place in the history."""
        return self.model_copy(update={"seq": seq, "at": at})


class Fact(BaseEvent):
    """Something that happened. Delivered at least once, so each has an id that is recorded once."""

    held: bool | None = None
    """Recorded while the workflow's code could not run; an `Applied` event marks where the workflow learned of it."""

    @property
    def fact_id(self) -> str:
        raise TypeError(f"{type(self).__name__} has no fact id")


class Decision(BaseEvent):
    """Something that the workflow asked for, or that the engine decided for it."""

    @property
    def identity(self) -> tuple[str, str, str]:
        """What a replay compares: kind, id and name."""
        return (self.event_type, "", "")


# --- facts ---------------------------------------------------------------------------------------------------------


class Parent(BaseModel):
    """The run, and its call, that started a child."""

    model_config = ConfigDict(extra="allow", frozen=True)

    run_id: str
    child_id: str


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

    @property
    def fact_id(self) -> str:
        return "start"


class RunForked(Fact):
    """Up to here the history is that of another run. Attempts of open steps are counted from here."""

    event_type: Literal["RunForked"] = "RunForked"
    run_id: str = ""
    after: int | None = None
    """The last event that was asked for; None for all up to the failure."""

    @property
    def fact_id(self) -> str:
        return "fork"


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

    @property
    def fact_id(self) -> str:
        return f"signal/{self.signal_id}"


class HookResumed(Fact):
    event_type: Literal["HookResumed"] = "HookResumed"
    data_fields: ClassVar[tuple[str, ...]] = ("value",)
    hook_id: str
    resume_id: str
    value: Json = None

    @property
    def fact_id(self) -> str:
        return f"hook/{self.resume_id}"


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

    @property
    def fact_id(self) -> str:
        return f"update/{self.update_id}"


class ChildCompleted(Fact):
    event_type: Literal["ChildCompleted"] = "ChildCompleted"
    data_fields: ClassVar[tuple[str, ...]] = ("result",)
    child_id: str
    result: Json = None

    @property
    def fact_id(self) -> str:
        return self.child_id


class ChildFailed(Fact):
    event_type: Literal["ChildFailed"] = "ChildFailed"
    child_id: str
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

    @property
    def fact_id(self) -> str:
        return "terminate"


# --- decisions -----------------------------------------------------------------------------------------------------


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
    attributes: dict[str, Attribute | None] = {}
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


AnyFact = (
    RunStarted
    | RunForked
    | StepCompleted
    | StepFailed
    | TimerFired
    | SignalReceived
    | HookResumed
    | HookConflicted
    | UpdateReceived
    | ChildCompleted
    | ChildFailed
    | CancelRequested
    | TerminateRequested
)
AnyDecision = (
    Applied
    | StepScheduled
    | StepRetryScheduled
    | StepAbandoned
    | TimerStarted
    | TimerCancelled
    | ChildStarted
    | ChildCancelRequested
    | HookCreated
    | HookDisposed
    | Replied
    | AttributesSet
    | VersionMarked
    | RunCompleted
    | RunFailed
    | RunCancelled
    | RunContinued
)
Event = AnyFact | AnyDecision
Ended = RunCompleted | RunFailed | RunCancelled | RunContinued
RunEnded = (RunCompleted, RunFailed, RunCancelled, RunContinued)

_DEEPEST = 150
"""Levels of a value. It stands some levels deep in messages and commits, and pydantic reads no more than 200."""


def dump_value(value: Json) -> bytes:
    """The JSON text of a value. Raises `ValueError` for one that could not be read again from where it will stand."""
    text = to_json(value, inf_nan_mode="constants")
    if text.count(b"[") + text.count(b"{") > _DEEPEST:
        margin = 200 - _DEEPEST
        from_json(b"[" * margin + text + b"]" * margin)
    return text


_events: TypeAdapter[list[Event]] = TypeAdapter(
    list[Annotated[Event, Field(discriminator="event_type")]], config=ConfigDict(ser_json_inf_nan="constants")
)


def dump_events(events: Sequence[Event]) -> str:
    """The JSON text of one commit."""
    return _events.dump_json(list(events), exclude_none=True).decode()


def load_events(text: str | bytes) -> list[Event]:
    """The events of one commit's JSON text. Raises pydantic's `ValidationError` for what is not one."""
    return _events.validate_json(text)
