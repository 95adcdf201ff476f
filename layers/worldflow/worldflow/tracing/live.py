"""Spans of turns and attempts as they happen, and of a run when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from opentelemetry import trace
from opentelemetry.trace import Link

from worldflow import clock
from worldflow.engine.history import StepFailed
from worldflow.engine.traceparent import TraceContext, attempt_context, run_context
from worldflow.tracing.described import TracedRun, attempt_attributes, error_type, usage_attributes, wait_attributes
from worldflow.tracing.emitting import begin, emit, end, tracer_of
from worldflow.turns.observer import Attempt, Commit, Observer, TurnReport


@dataclass(slots=True)
class _Committed:
    """What a turn has committed so far."""

    run: TracedRun
    first: Commit
    count: int = 0


class TracingObserver(Observer):
    """Tells OpenTelemetry of the runs that are in a trace by their histories: from when it is in use, all that begin.

    A turn has a span if it has committed something, so that neither a replay nor a message that came twice has one.
    A step runs with the span of its attempt as the current one. What surrounds either (the invocation of a function)
    is linked.

    tracer: see `tracer_of`. Default: of the provider that the process has set.
    now: the clock.
    """

    def __init__(self, tracer: trace.Tracer | None = None, now: Callable[[], datetime] = clock.now) -> None:
        self._tracer = tracer or tracer_of(trace.get_tracer_provider())
        self._now = now
        self._turns: dict[int, _Committed | None] = {}

    def traceparent(self, run_id: str, created_at: datetime) -> str | None:
        return str(run_context(run_id, created_at, None))

    @contextmanager
    def turn(self, turn: TurnReport) -> Iterator[None]:
        self._turns[id(turn)] = None
        try:
            yield
        finally:
            if committed := self._turns.pop(id(turn)):
                self._tell(committed)

    def committed(self, commit: Commit) -> None:
        if commit.started.traceparent is None:
            return
        turn, run = id(commit.turn), TracedRun.of(commit.run_id, commit.started, commit.forked)
        committed = self._turns.get(turn) or _Committed(run, commit)
        committed.count += len(commit.events) - commit.adopted
        if turn in self._turns:
            self._turns[turn] = committed
        else:
            self._tell(committed)  # it became durable with what others wrote, when the turn was over
        if ended := commit.ended:
            emit(self._tracer, run.span(ended))

    def _tell(self, committed: _Committed) -> None:
        first, turn = committed.first, committed.first.turn
        span = committed.run.turn(
            first.events[first.adopted :], committed.count, turn.began_at, max(self._now(), turn.began_at)
        )
        emit(self._tracer, span, _surroundings())

    @contextmanager
    def attempt(self, attempt: Attempt) -> Iterator[None]:
        task = attempt.task
        run = TraceContext.read(task.traceparent)
        if run is None:
            yield
            return
        span = begin(
            self._tracer,
            f"step {task.name}",
            attempt_context(run, task.step_id, task.attempt),
            run,
            attempt.began_at,
            {
                **attempt_attributes(task.run_id, task.step_id, task.name, task.attempt),
                **wait_attributes(attempt.waited),
            },
            _surroundings(),
        )
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            yield
        # One that is cut off is run again, with the same id.
        if outcome := attempt.outcome:
            if usage := outcome.usage:
                span.set_attributes(dict(usage_attributes(usage)))
            failed = error_type(outcome.error) if isinstance(outcome, StepFailed) else None
            end(span, failed, max(self._now(), attempt.began_at))


def _surroundings() -> list[Link]:
    """A link to the current span, if there is one."""
    context = trace.get_current_span().get_span_context()
    return [Link(context)] if context.is_valid else []
