"""What a history says without running any code: what is open, what has been seen, how it ended.

The orchestrator asks it which facts are new, and what work to do again after a crash; a blocked run, whose workflow
cannot run, has only this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from worldflow.engine import history as h
from worldflow.engine.history import UNRECORDED, AnyFact, Attribute, Ended, Event, Fact
from worldflow.engine.ids import generation
from worldflow.engine.usage import Usage

CLOSED_ATTEMPTS = 100
"""Attempts of limited steps that are remembered when they are closed, in case their place was not given back."""

LATE = timedelta(minutes=1)
"""How late a wake-up may come. An attempt that fell due less than this before a pause may not have been sent, so it is
sent after the pause; a copy does not run twice. An attempt with a place at a limit has been sent.
"""

CLOSED_HOOKS = 25
"""Hooks that are remembered when they are closed, in case the process died before it could give their tokens free."""


def with_what_was_unknown(fact: h.RunStarted, applied: h.Applied) -> h.RunStarted:
    """The start of a run whose code was not there then."""
    known = {
        "version": fact.version or applied.version,
        "timeout": fact.timeout or applied.timeout,
        "execution_timeout": fact.execution_timeout or applied.execution_timeout,
        "max_attempts": fact.max_attempts or applied.max_attempts,
        "limit": applied.limit or fact.limit,  # the code may name another limit by now
    }
    return fact.model_copy(update=known)


@dataclass(slots=True)
class OpenStep:
    """A step without an outcome. `attempt` is the one that is under way, or due at `due`; None once it was answered."""

    scheduled: h.StepScheduled
    attempt: int | None = 1
    due: datetime | None = None
    origin: str | None = None
    """The run that it was scheduled in, if not this one."""
    granted: datetime | None = None
    """When its limit has let the attempt through, if this process knows: no history says."""
    put_off_by: str | None = None
    """The pause that has put it off, when that is over. Messages that came in the pause may be lost: those since are
    told from them by its id.
    """
    cancel_requested: bool = False
    """Its await is cancelled, and waits for its outcome."""

    @property
    def dispatched(self) -> datetime:
        """When the attempt was sent to the executor, or is to be."""
        return self.granted or self.due or self.scheduled.at

    @property
    def waits_for_limit(self) -> bool:
        """Whether the attempt may still wait for a place at its limit."""
        return self.scheduled.is_limited and self.granted is None

    @property
    def deadline(self) -> datetime | None:
        """When the attempt has taken too long."""
        timeout = self.scheduled.timeout
        return None if timeout is None or self.waits_for_limit else self.dispatched + timedelta(seconds=timeout)


@dataclass(slots=True)
class OpenChild:
    """A child that has not told how it ended."""

    started: h.ChildStarted
    cancel_requested: bool = False

    def is_told_by(self, fact: h.ChildCompleted | h.ChildFailed) -> bool:
        """Whether the fact is of this child, in any of its generations, and not of one that had its place before."""
        told = fact.child_run_id or self.started.child_run_id
        return generation(told)[0] == generation(self.started.child_run_id)[0]


class RunState:
    """The projection of one history. `record` it event by event."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.seq = 0
        self.at = UNRECORDED
        self.started: h.RunStarted | None = None
        self.ended: Ended | None = None
        self.cancel_requested = False
        self.steps: dict[str, OpenStep] = {}
        self.left: dict[tuple[str, int], OpenStep] = {}
        """The closed attempts of limited steps, the newest of them."""
        self.has_limits = False
        """Whether a step of it was limited."""
        self.timers: dict[str, h.TimerStarted] = {}
        self.children: dict[str, OpenChild] = {}
        self.hooks: dict[str, h.HookCreated] = {}
        self.closed_hooks: dict[str, h.HookCreated] = {}
        self.held: dict[str, AnyFact] = {}
        self.attributes: dict[str, Attribute] = {}
        self.status_text: str | None = None
        self.forked: h.RunForked | None = None
        self.paused: h.RunPaused | None = None
        self.successor: str | None = None
        self.streams: dict[str, int] = {}
        """How many values the workflow has written to each stream; that it has closed one counts as another."""
        self.streams_taken: dict[str, int] = {}
        """The same, of what a retry has taken over from the run that failed."""
        self.streams_since: int | None = None
        """The generation that has begun to write them, of those that a retry continues; None for this one."""
        self.restored: datetime | None = None
        """When it was: the step ledger may have outcomes of steps that the history has yet to schedule."""
        self.usage = Usage()
        """The tokens of all attempts, less those of a run that this one continues."""
        self._seen: set[str] = set()
        self._failed: str | None = None
        """The step that failed last, until it is known whether it is tried again."""
        for event in events:
            self.record(event)

    def accepts(self, fact: AnyFact) -> bool:
        """Whether `fact` is new: not recorded, and an answer to something open in a run that has not ended."""
        if self.ended or self.started is None:
            return self.ended is None and isinstance(fact, h.RunStarted)
        match fact:
            case h.StepCompleted() | h.StepFailed():
                step = self.steps.get(fact.step_id)
                return step is not None and step.attempt == fact.attempt
            case h.TimerFired():
                return fact.timer_id in self.timers
            case h.ChildCompleted() | h.ChildFailed():
                child = self.children.get(fact.child_id)
                return child is not None and child.is_told_by(fact)
            case h.HookConflicted():
                return fact.hook_id in self.hooks
            case h.HookResumed():
                return fact.hook_id in self.hooks and not self.has_seen(fact)
            case h.SignalReceived() | h.UpdateReceived() | h.CancelRequested():
                return not self.has_seen(fact)
            case h.TerminateRequested():
                return fact.successor != self.started.run_id  # or it was meant for the one before
            case h.RunPaused():
                return self.paused is None and not self.has_seen(fact)
            case h.RunUnpaused():
                if self.paused is None or self.has_seen(fact):
                    return False
                return (self.paused.of_workflow or False) >= (fact.of_workflow or False)
            case h.RunStarted() | h.RunForked() | h.RunRestored():
                return False
            case _:
                assert_never(fact)

    def has_seen(self, fact: AnyFact) -> bool:
        """Whether a fact that others send to the workflow is recorded, here or in a generation before."""
        return self.cancel_requested if isinstance(fact, h.CancelRequested) else fact.fact_id in self._seen

    def earliest(self, fact: AnyFact) -> datetime:
        """The earliest `at` that an accepted fact may have."""
        if isinstance(fact, h.TimerFired) and not fact.woken:
            return max(self.at, self.timers[fact.timer_id].due)
        return self.at

    def record(self, event: Event) -> OpenStep | h.TimerStarted | None:
        """Takes in the next event. Returns what it has closed, as that was: the open attempt of a step, or a timer that
        is cancelled or woken.
        """
        closed = self._closed_by(event)
        self.seq, self.at = event.seq, event.at
        if self._failed and isinstance(event, (Fact, h.Applied)):
            self._forget_failed()
        if event.held:
            self.held[event.fact_id] = event
        match event:
            case h.StepScheduled():
                self._schedule(event)
            case h.StepCompleted() | h.StepFailed():
                self._answer(event)
            case h.RunStarted():
                self._start(event)
            case h.RunRestored():
                self.restored = event.at
            case h.RunForked():
                self._fork(event)
            case h.TerminateRequested():
                self._terminate(event)
            case h.RunPaused() | h.RunUnpaused():
                self._pause(event)
            case h.SignalReceived() | h.HookResumed() | h.UpdateReceived():
                self._seen.add(event.fact_id)
            case h.CancelRequested():
                self.cancel_requested = True
            case h.StepRetryScheduled():
                self._retry(event)
            case h.StepAbandoned():
                self.steps.pop(event.step_id, None)
            case h.TimerStarted():
                self.timers[event.timer_id] = event
            case h.TimerFired() | h.TimerCancelled():
                self.timers.pop(event.timer_id, None)
            case h.ChildStarted():
                self.children[event.child_id] = OpenChild(event)
            case h.StepCancelRequested() | h.ChildCancelRequested():
                self._request_cancel(event)
            case h.ChildCompleted() | h.ChildFailed():
                self.children.pop(event.child_id, None)
            case h.HookCreated():
                self.hooks[event.hook_id] = event
            case h.HookDisposed() | h.HookConflicted():
                self._close_hook(event.hook_id)
            case h.AttributesSet():
                self._set_attributes(event)
            case h.StreamWritten():
                self.streams[event.stream] = self.streams.get(event.stream, 0) + event.entries
            case h.Applied():
                self._apply(event)
            case h.RunCompleted() | h.RunFailed() | h.RunCancelled() | h.RunContinued():
                self._end(event)
            case h.Replied() | h.VersionMarked():
                pass  # nothing that is open
            case _:
                assert_never(event)
        return closed

    def _schedule(self, event: h.StepScheduled) -> None:
        self.steps[event.step_id] = OpenStep(event)
        self.has_limits = self.has_limits or event.is_limited

    def _start(self, event: h.RunStarted) -> None:
        self.started = event
        self.has_limits = self.has_limits or event.limit is not None
        self._seen.update(event.seen or ())
        self.attributes = dict(event.attributes or {})
        self.restored = event.at if event.restored else None

    def _fork(self, event: h.RunForked) -> None:
        self.forked, self.usage, self.paused = event, Usage(), None
        for step in self.steps.values():
            step.due = event.at
            step.origin = (step.origin or event.run_id) if event.after is None else None
        if self.started and generation(event.run_id)[0] == generation(self.started.run_id)[0]:
            self.streams_taken = dict.fromkeys(event.streams or (), 0) | self.streams
            self.streams_since = self.streams_since or generation(event.run_id)[1]
        else:
            self.streams_taken, self.streams_since = {}, None

    def puts_off(self, step: OpenStep) -> bool:
        """Whether the open attempt of a step is not to begin before the run continues."""
        if self.paused is None or step.due is None:
            return False
        return step.due > (self.paused.at if step.scheduled.is_limited else self.paused.at - LATE)

    def _terminate(self, event: h.TerminateRequested) -> None:
        self._seen.add(event.fact_id)
        self.successor = event.successor

    def _pause(self, event: h.RunPaused | h.RunUnpaused) -> None:
        self._seen.add(event.fact_id)
        if isinstance(event, h.RunPaused):
            self.paused = event
            return
        for step in self.steps.values():
            if self.paused and step.due and self.puts_off(step):
                step.due, step.put_off_by = max(step.due, event.at), self.paused.pause_id
        self.paused = None

    def _end(self, event: Ended) -> None:
        self.ended = event
        self.successor = event.next_run_id if isinstance(event, h.RunContinued) else self.successor

    def _retry(self, event: h.StepRetryScheduled) -> None:
        step = self.steps[event.step_id]
        step.attempt, step.due, step.granted, step.put_off_by = event.attempt, event.due, None, None

    def _request_cancel(self, event: h.StepCancelRequested | h.ChildCancelRequested) -> None:
        call: OpenStep | OpenChild | None
        if isinstance(event, h.StepCancelRequested):
            call = self.steps.get(event.step_id)
        else:
            call = self.children.get(event.child_id)
        if call:
            call.cancel_requested = True

    def _close_hook(self, hook_id: str) -> None:
        if hook := self.hooks.pop(hook_id, None):
            self.closed_hooks[hook_id] = hook
            if len(self.closed_hooks) > CLOSED_HOOKS:
                del self.closed_hooks[next(iter(self.closed_hooks))]

    def _apply(self, event: h.Applied) -> None:
        fact = self.held.pop(event.fact_id)
        if isinstance(fact, h.StepFailed):
            self._failed = fact.step_id
        if isinstance(fact, h.RunStarted):
            self.started = with_what_was_unknown(fact, event)
            self.has_limits = self.has_limits or self.started.limit is not None

    def _closed_by(self, event: Event) -> OpenStep | h.TimerStarted | None:
        match event:
            case h.StepCompleted() | h.StepFailed() | h.StepAbandoned():
                step = self.steps.get(event.step_id)
                if step and step.attempt and step.scheduled.is_limited:
                    self._leave(step, step.attempt)
                return replace(step) if step and step.attempt else None
            case h.TimerCancelled() | h.TimerFired(woken=True):
                return self.timers.get(event.timer_id)
        return None

    def _leave(self, step: OpenStep, attempt: int) -> None:
        self.left[step.scheduled.step_id, attempt] = replace(step)
        if len(self.left) > CLOSED_ATTEMPTS:
            del self.left[next(iter(self.left))]

    def _forget_failed(self) -> None:
        step_id, self._failed = self._failed, None
        step = self.steps.get(step_id) if step_id else None
        if step_id and step and step.attempt is None:
            del self.steps[step_id]

    def _answer(self, fact: h.StepCompleted | h.StepFailed) -> None:
        if fact.usage:
            self.usage.add(fact.usage)
        if isinstance(fact, h.StepCompleted):
            del self.steps[fact.step_id]
        else:
            self.steps[fact.step_id].attempt = None  # a StepRetryScheduled that follows opens the next one
            self._failed = None if fact.held else fact.step_id

    def _set_attributes(self, event: h.AttributesSet) -> None:
        merged = {**self.attributes, **event.attributes}
        self.attributes = {name: value for name, value in merged.items() if value is not None}
        self.status_text = self.status_text if event.status_text is None else event.status_text
