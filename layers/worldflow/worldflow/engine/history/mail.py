"""The events of signals, hooks and updates, and of the workflow's replies to them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from worldflow.engine.history.base import Decision, Fact, Failure, Json, Parent

__all__ = [
    "HookConflicted",
    "HookCreated",
    "HookDisposed",
    "HookResumed",
    "Replied",
    "SignalReceived",
    "UpdateReceived",
]


class SignalReceived(Fact):
    event_type: Literal["SignalReceived"] = "SignalReceived"
    signal_id: str
    name: str = ""
    value: Json = None
    traceparent: str | None = None
    """The span that sent it."""

    @property
    def fact_id(self) -> str:
        return f"signal/{self.signal_id}"


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


class HookResumed(Fact):
    event_type: Literal["HookResumed"] = "HookResumed"
    hook_id: str
    resume_id: str
    value: Json = None
    error: Failure | None = None
    """In place of a value: awaiting the hook raises it."""
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


class HookDisposed(Decision):
    event_type: Literal["HookDisposed"] = "HookDisposed"
    hook_id: str

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, self.hook_id, "")


class UpdateReceived(Fact):
    """A signal that asks for an answer."""

    event_type: Literal["UpdateReceived"] = "UpdateReceived"
    update_id: str
    name: str = ""
    args: Json = None
    """A list, or of a call of an entity by a workflow an object by name."""
    traceparent: str | None = None
    """The span that sent it."""
    caller: Parent | None = None
    """The run that called an entity, and its step that waits for the outcome."""
    called_at: datetime | None = None
    """When that step was scheduled."""
    lock: str | None = None
    """The lock of the entity that the caller holds."""
    waiting: list[str] | None = None
    """The runs of the entities that wait for the outcome, the caller last."""

    @property
    def fact_id(self) -> str:
        return f"update/{self.update_id}"


class Replied(Decision):
    """The workflow's answer to an update, or to a request that came through a webhook."""

    event_type: Literal["Replied"] = "Replied"
    fact_id: str
    result: Json = None
    error: Failure | None = None

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, self.fact_id, "")
