"""A live run: what its calls and its inbox know of it, what its workflow may know, and what it needs itself."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from worldflow.engine.history import AnyDecision
from worldflow.engine.own_time import OwnTime
from worldflow.engine.workflow.awaitables import Call
from worldflow.engine.workflow.definitions import Step, Workflow
from worldflow.engine.workflow.loop import WorkflowLoop
from worldflow.engine.workflow.recorded import Recorded


@dataclass(frozen=True, slots=True)
class WorkflowInfo:
    """What a workflow can learn about its run."""

    run_id: str
    workflow_name: str
    started_at: datetime
    version: int = 1
    parent_run_id: str | None = None
    """The run that started this one as its child."""
    history_length: int = 0
    """Number of events so far. A long-lived workflow calls `continue_as_new()` when there are many."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Those that the run was started with, or its parent."""


@dataclass(slots=True)
class EntityUse:
    """The entities that a workflow uses, by the ids of their runs."""

    locks: dict[str, str] = field(default_factory=dict)
    """The locks that it holds."""
    locking: set[str] = field(default_factory=set)
    """Those whose locks it waits for."""
    waiting: list[str] = field(default_factory=list)
    """In the run of an entity: the entities that wait for the running operation, this one last."""

    def lose_locks(self) -> None:
        """In a fork: the locks belong to the original run, so calls within their blocks are refused."""
        self.locks = dict.fromkeys(self.locks, "")


class Webhooks(Protocol):
    """Where webhooks are reached."""

    def token(self, run_id: str, hook_id: str, expires: datetime) -> str:
        """The token of a new one."""

    def url(self, token: str) -> str:
        """Where requests to it go."""


class OtherRuns(Protocol):
    """What a run may ask of others."""

    def signal(self, run_id: str, name: str, value: Any, signal_id: str) -> None:
        """Sends a signal."""

    def cancel(self, run_id: str, reason: str | None, nonce: str) -> None:
        """Sends a request to cancel, which is a copy of others with this `nonce`."""

    def tell(self, workflow: str, run_id: str, operation: str, values: dict[str, Any], key: str) -> None:
        """Sends a call of an entity that is not answered."""

    def answer_call(self, run_id: str, step_id: str, outcome: dict[str, Any]) -> None:
        """Sends the outcome of a call of an entity to the run that waits for it."""

    def was_called(self, run_id: str, fact_id: str, since: str, caller: str, step_id: str) -> bool:
        """Whether an earlier generation of an entity has received a call; then its answer is sent once more."""

    def holder(self, token: str) -> str | None:
        """The run that holds a hook's token."""

    def beat(self, run_id: str, hook_id: str) -> str | None:
        """The time of the last heartbeat of a hook, in ISO format; None if there is none."""


class Run(Protocol):
    """What `Calls` and `Inbox` may use of the `Execution` that they belong to."""

    run_id: str
    workflow: Workflow[..., Any]
    loop: WorkflowLoop
    jitter: random.Random
    own_time: OwnTime
    strict: bool
    replaying: bool
    recorded: Recorded

    @property
    def decisions(self) -> list[AnyDecision]:
        """What was decided since the last fact."""

    def call_step(self, step: Step[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Call[Any]:
        """Calls a step."""

    def decide(self, decision: AnyDecision) -> None:
        """Takes a decision of the workflow's."""

    def now(self) -> datetime:
        """The time in the workflow."""

    def due(self, delay: float) -> datetime:
        """`delay` seconds from now."""

    def patched(self, change_id: str, *, deprecated: bool = False) -> bool:
        """Whether the run goes the new way of a change."""

    def webhook_url(self, hook_id: str, life: float) -> str:
        """The URL of a webhook, good for `life` seconds."""
