"""A live run, as its calls and its inbox know it."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any, Protocol

from worldflow.engine.history import AnyDecision, ChildStarted, Json, StepCompleted, StepScheduled
from worldflow.engine.own_time import OwnTime
from worldflow.engine.unawaited import Made
from worldflow.engine.values.signatures import Signature
from worldflow.engine.workflow.definitions import Workflow
from worldflow.engine.workflow.loop import WorkflowLoop


class Run(Protocol):
    """What `Calls` and `Inbox` may use of the `Execution` that they belong to."""

    run_id: str
    workflow: Workflow[..., Any]
    loop: WorkflowLoop
    jitter: random.Random
    own_time: OwnTime
    strict: bool
    replaying: bool
    recorded_ids: dict[str, str]
    recorded_steps: dict[str, StepScheduled]
    recorded_children: dict[str, ChildStarted]

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

    def replayed(self, scheduled: StepScheduled) -> StepCompleted | None:
        """The completion of a step that is being called, where a replay would come to it next."""

    def pass_over(self, completed: StepCompleted) -> None:
        """Moves the replay past a step that `replayed` answered."""

    def compare_arguments(self, call_id: str, signature: Signature, recorded: Json, now: Json, origin: Made) -> None:
        """Notes that a replay makes a call with other arguments than the history holds, if it does."""
