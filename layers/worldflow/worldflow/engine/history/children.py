"""The events of child workflows, as their parent's history has them."""

from __future__ import annotations

from typing import Literal

from worldflow.engine.history.base import Decision, Fact, Failure, Json

__all__ = [
    "ChildCancelRequested",
    "ChildCompleted",
    "ChildFailed",
    "ChildStarted",
    "ParentClose",
]


ParentClose = Literal["cancel", "terminate", "abandon"]


class ChildStarted(Decision):
    event_type: Literal["ChildStarted"] = "ChildStarted"
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


class ChildCompleted(Fact):
    event_type: Literal["ChildCompleted"] = "ChildCompleted"
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


class ChildCancelRequested(Decision):
    event_type: Literal["ChildCancelRequested"] = "ChildCancelRequested"
    child_id: str

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, self.child_id, "")
