"""How a run begins, continues and ends, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from worldflow.engine.history.base import UNRECORDED, Attribute, Decision, Fact, Failure, Json, Parent

__all__ = [
    "Applied",
    "AttributesSet",
    "CancelRequested",
    "RunCancelled",
    "RunCompleted",
    "RunContinued",
    "RunFailed",
    "RunForked",
    "RunPaused",
    "RunRestored",
    "RunStarted",
    "RunUnpaused",
    "TerminateRequested",
    "VersionMarked",
]


class RunStarted(Fact):
    event_type: Literal["RunStarted"] = "RunStarted"
    run_id: str = ""
    workflow_name: str = ""
    version: int | None = None
    """The version of the workflow; None in a history that is older than versions."""
    created_at: datetime = UNRECORDED
    """When the run was requested."""
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
    headers: dict[str, str] | None = None
    """Headers for interceptors, which the run passes on to its steps and children."""
    replaces: str | None = None
    """The run that ends since this one takes its place."""
    limit: dict[str, Any] | None = None
    """Its place at its workflow's limit, with its token: see `Place`."""
    restored: bool | None = None
    """The run may have begun before, in a history that was lost: see `RunRestored`."""
    start_at: datetime | None = None
    """The workflow does not begin before this. Until then what comes for the run is held."""
    execution_timeout: float | None = None
    """Seconds that the workflow may take, with all generations and attempts."""
    expires_at: datetime | None = None
    """When they are over, in a generation that follows the first."""
    attempt: int | None = None
    """Which attempt of the workflow this is, where that is tried again when it fails; None for the first."""
    max_attempts: int | None = None
    """How many there are at most, where there may be more than one."""
    first_at: datetime | None = None
    """When the first attempt began."""
    throttled: bool | None = None
    """It has taken a place among those that are throttled."""
    gathered: int | None = None
    """How many starts the run has gathered, where its workflow has a debounce or a batch."""
    notifies_schedule: str | None = None
    """The schedule to notify when the run ends, since its next run may wait for that."""

    @property
    def fact_id(self) -> str:
        return "start"


class RunForked(Fact):
    """Up to here the history is that of another run. Attempts of open steps are counted from here."""

    event_type: Literal["RunForked"] = "RunForked"
    run_id: str = ""
    after: int | None = None
    """The last event that was asked for; None for all up to the failure."""
    edit: Json = None
    """Data that stands in place of that of the other run, by the numbers that the events have there."""
    seed: str | None = None
    """What chance comes from after it, so that it is not that of the other run."""
    traceparent: str | None = None
    """The other run's span, where that is in a trace."""
    streams: list[str] | None = None
    """Those to which that run's workflow wrote after what is taken over, if this one continues that run."""

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


class CancelRequested(Fact):
    event_type: Literal["CancelRequested"] = "CancelRequested"
    reason: str | None = None
    by_parent: bool | None = None
    """Sent by the run whose child this one is. Older histories do not say."""

    @property
    def fact_id(self) -> str:
        return "cancel"


class TerminateRequested(Fact):
    """The run ends here, without its code: a forced `RunCancelled` follows."""

    event_type: Literal["TerminateRequested"] = "TerminateRequested"
    reason: str | None = None
    by_parent: bool | None = None
    """Sent by the run whose child this one is. Older histories do not say."""
    successor: str | None = None
    """The run that takes its place."""

    @property
    def fact_id(self) -> str:
        return "terminate"


class RunPaused(Fact):
    """From here on the run's code does not run, and no step of it begins. What comes for it is held."""

    event_type: Literal["RunPaused"] = "RunPaused"
    pause_id: str
    reason: str | None = None
    by: str | None = None
    """Who asked for it."""
    of_workflow: bool | None = None
    """All runs of its workflow are paused."""

    @property
    def fact_id(self) -> str:
        return f"pause/{self.pause_id}"


class RunUnpaused(Fact):
    """The run continues: with what was held, and with attempts of steps that have fallen due meanwhile."""

    event_type: Literal["RunUnpaused"] = "RunUnpaused"
    pause_id: str
    of_workflow: bool | None = None
    """Only a pause of the whole workflow is over."""

    @property
    def fact_id(self) -> str:
        return f"unpause/{self.pause_id}"


class Applied(Decision):
    """The workflow learns here of a fact that was held."""

    event_type: Literal["Applied"] = "Applied"
    fact_id: str
    version: int | None = None
    timeout: float | None = None
    execution_timeout: float | None = None
    max_attempts: int | None = None
    limit: dict[str, Any] | None = None
    """Of a `RunStarted`: what was not known while there was no code."""


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
    """The workflow starts again from the beginning, as a new run."""

    event_type: Literal["RunContinued"] = "RunContinued"
    next_run_id: str = ""
    input: Json = None
    carried: Json = None
    seen: list[str] | None = None
    expires_at: datetime | None = None
    """When the time that all generations have is over."""
    error: Failure | None = None
    """Why the workflow failed, which is tried again."""
    start_at: datetime | None = None
    attempt: int | None = None
    first_at: datetime | None = None
    """Of the next attempt."""
