"""What a history says without running any code: what is open, what has been seen, how it ended.

The orchestrator asks it which facts are new, and what work to do again after a crash; a blocked run, whose workflow
cannot run, has only this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from worldflow.engine.history import (
    UNRECORDED,
    AnyFact,
    Applied,
    CancelRequested,
    Event,
    Fact,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStarted,
    SignalReceived,
    StepAbandoned,
    StepCompleted,
    StepFailed,
    StepRetryScheduled,
    StepScheduled,
    TimerCancelled,
    TimerFired,
    TimerStarted,
)


@dataclass(slots=True)
class OpenStep:
    """A step without an outcome. `attempt` is the one that is under way, or due at `due`; None once it was answered."""

    scheduled: StepScheduled
    attempt: int | None = 1
    due: datetime | None = None


class RunState:
    """The projection of one history. `record` it event by event."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.seq = 0
        self.at = UNRECORDED
        self.started: RunStarted | None = None
        self.ended: RunCompleted | RunFailed | RunCancelled | None = None
        self.cancel_requested = False
        self.steps: dict[str, OpenStep] = {}
        self.timers: dict[str, TimerStarted] = {}
        self.held: dict[str, AnyFact] = {}
        self._signal_ids: set[str] = set()
        for event in events:
            self.record(event)

    def accepts(self, fact: AnyFact) -> bool:
        """Whether `fact` is new: not recorded, and an answer to something open in a run that has not ended."""
        if self.ended or self.started is None:
            return self.ended is None and isinstance(fact, RunStarted)
        match fact:
            case StepCompleted() | StepFailed():
                step = self.steps.get(fact.step_id)
                return step is not None and step.attempt == fact.attempt
            case TimerFired():
                return fact.timer_id in self.timers
            case SignalReceived():
                return fact.signal_id not in self._signal_ids
            case CancelRequested():
                return not self.cancel_requested
            case _:
                return False

    def earliest(self, fact: AnyFact) -> datetime:
        """The earliest `at` that an accepted fact may have."""
        return max(self.at, self.timers[fact.timer_id].due) if isinstance(fact, TimerFired) else self.at

    def record(self, event: Event) -> None:
        self.seq, self.at = event.seq, event.at
        if isinstance(event, Fact) and event.held:
            self.held[event.fact_id] = event
        match event:
            case RunStarted():
                self.started = event
            case SignalReceived():
                self._signal_ids.add(event.signal_id)
            case CancelRequested():
                self.cancel_requested = True
            case StepCompleted() | StepFailed():
                self._answer(event)
            case StepScheduled():
                self.steps[event.step_id] = OpenStep(event)
            case StepRetryScheduled():
                step = self.steps[event.step_id]
                step.attempt, step.due = event.attempt, event.due
            case StepAbandoned():
                self.steps.pop(event.step_id, None)
            case TimerStarted():
                self.timers[event.timer_id] = event
            case TimerFired() | TimerCancelled():
                self.timers.pop(event.timer_id, None)
            case Applied():
                del self.held[event.fact_id]
            case RunCompleted() | RunFailed() | RunCancelled():
                self.ended = event

    def _answer(self, fact: StepCompleted | StepFailed) -> None:
        step = self.steps[fact.step_id]
        if isinstance(fact, StepFailed):
            step.attempt = None  # a StepRetryScheduled that follows opens the next one
        else:
            del self.steps[fact.step_id]
