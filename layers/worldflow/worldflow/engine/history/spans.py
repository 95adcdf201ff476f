"""What was open in a run, from when to when: steps with their attempts, timers, children, hooks, signals and updates.

The timeline draws these as bars, and a trace has a span for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, assert_never

from worldflow.engine import history as h
from worldflow.engine.history import Event, Failure
from worldflow.engine.usage import Entry

SpanKind = Literal["step", "timer", "child", "hook", "webhook", "value", "signal", "update"]
Outcome = Literal["completed", "failed", "abandoned", "cancelled", "refused"]


@dataclass(slots=True)
class Attempt:
    """An attempt of a step, from when it is due. One without an end is open."""

    number: int
    begin: datetime
    """When it came into its queue."""
    end: datetime | None = None
    outcome: Outcome | None = None
    error: Failure | None = None
    usage: Sequence[Entry] = ()
    """The tokens that it has recorded."""
    waited: timedelta = timedelta()
    """How long it was in its queue, where its outcome says so."""

    @property
    def began(self) -> datetime:
        """When it left its queue, as far as that is known: the clocks of two machines measure the attempt."""
        began = self.begin + self.waited
        return began if self.end is None else min(began, max(self.begin, self.end))


@dataclass(slots=True)
class Span:
    """One without an end is open."""

    kind: SpanKind
    id: str
    name: str
    begin: datetime
    end: datetime | None = None
    outcome: Outcome | None = None
    error: Failure | None = None
    attempts: list[Attempt] = field(default_factory=list)
    """Of a step."""
    due: datetime | None = None
    """Of a timer."""
    child_run_id: str | None = None
    asked_to_end: bool = False
    """Of a child."""
    traceparent: str | None = None
    """Of a signal, an update or a value: the span that sent it."""
    is_inherited: bool = False
    """It was over in the run that this one continues."""

    def close(self, end: datetime, outcome: Outcome, error: Failure | None = None) -> None:
        self.end, self.outcome, self.error = end, outcome, error

    def close_attempt(self, fact: h.StepCompleted | h.StepFailed) -> None:
        error = fact.error if isinstance(fact, h.StepFailed) else None
        self.close(fact.at, "failed" if error else "completed", error)
        last = self.attempts[-1]
        last.number, last.end, last.outcome, last.error = fact.attempt, self.end, self.outcome, error
        last.usage = fact.usage or ()
        last.waited = timedelta(seconds=fact.waited or 0)

    def retry(self, attempt: int, begin: datetime) -> None:
        self.end = self.outcome = self.error = None
        self.attempts.append(Attempt(attempt, begin))

    def abandon(self, end: datetime) -> None:
        self.close(end, "abandoned")
        last = self.attempts[-1]
        if last.end is None and last.begin > end:
            self.attempts.pop()  # it never began
        elif last.end is None:
            last.end, last.outcome = end, "abandoned"


def spans_of(events: Iterable[Event]) -> list[Span]:
    """The spans of a history, in the order in which they began."""
    spans: dict[str, Span] = {}
    hooks: dict[str, Span] = {}
    for event in events:
        match event:
            case h.StepScheduled():
                spans[event.step_id] = Span(
                    "step", event.step_id, event.name, event.at, attempts=[Attempt(1, event.at)]
                )
            case h.StepCompleted() | h.StepFailed():
                spans[event.step_id].close_attempt(event)
            case h.StepRetryScheduled():
                spans[event.step_id].retry(event.attempt, max(event.due, event.at))
            case h.StepAbandoned():
                spans[event.step_id].abandon(event.at)
            case h.StepCancelRequested():
                spans[event.step_id].asked_to_end = True
            case h.TimerStarted():
                spans[event.timer_id] = Span("timer", event.timer_id, event.timer_id, event.at, due=event.due)
            case h.TimerFired():
                spans[event.timer_id].close(event.at, "completed")
            case h.TimerCancelled():
                spans[event.timer_id].close(event.at, "cancelled")
            case h.ChildStarted():
                span = Span("child", event.child_id, event.workflow_name, event.at, child_run_id=event.child_run_id)
                spans[event.child_id] = span
            case h.ChildCompleted():
                spans[event.child_id].close(event.at, "completed")
            case h.ChildFailed():
                spans[event.child_id].close(event.at, "failed", event.error)
            case h.ChildCancelRequested():
                spans[event.child_id].asked_to_end = True
            case h.HookCreated():
                hook = Span("webhook" if event.webhook else "hook", event.hook_id, event.hook_id, event.at)
                spans[event.hook_id] = hooks[event.hook_id] = hook
            case h.HookConflicted() | h.HookDisposed():
                if hook_span := hooks.pop(event.hook_id, None):
                    hook_span.close(event.at, "refused" if isinstance(event, h.HookConflicted) else "completed")
            case h.HookResumed() | h.SignalReceived():
                spans[event.fact_id] = received(event)
            case h.UpdateReceived(update_id=id, traceparent=sender):
                spans[event.fact_id] = Span("update", id, event.name, event.at, traceparent=sender)
            case h.Replied():
                if update := spans.get(event.fact_id):
                    update.close(event.at, "failed" if event.error else "completed", event.error)
            case h.RunForked():
                _fork(spans.values(), event.at)
            case h.RunCompleted() | h.RunFailed() | h.RunCancelled() | h.RunContinued():
                for hook in hooks.values():  # which end with their run
                    hook.close(event.at, "completed")
            case h.RunPaused() | h.RunUnpaused():
                pass
            case h.RunStarted() | h.RunRestored() | h.CancelRequested() | h.TerminateRequested():
                pass  # the run's own, and of one moment
            case h.Applied() | h.AttributesSet() | h.StreamWritten() | h.VersionMarked():
                pass
            case _:
                assert_never(event)
    return list(spans.values())


def received(event: h.HookResumed | h.SignalReceived) -> Span:
    """What a run was told, at one moment."""
    if isinstance(event, h.SignalReceived):
        return Span(
            "signal", event.signal_id, event.name, event.at, event.at, "completed", traceparent=event.traceparent
        )
    span = Span("value", event.resume_id, event.hook_id, event.at, traceparent=event.traceparent)
    span.close(event.at, "failed" if event.error else "completed", event.error)
    return span


def _fork(spans: Iterable[Span], at: datetime) -> None:
    """What was over is the other run's; attempts that are open are counted from here."""
    for span in spans:
        span.is_inherited = span.end is not None
        if span.attempts and not span.is_inherited:
            span.attempts = [Attempt(span.attempts[-1].number, at)]
