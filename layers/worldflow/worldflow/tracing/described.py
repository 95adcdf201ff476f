"""The spans of runs, as OpenTelemetry is to be told of them: from a history, or from what has just happened.

Names have no ids in them, and attributes none of the user's data. Of an error only its type is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from worldflow.engine.history import (
    Ended,
    Event,
    Failure,
    RunEnded,
    RunFailed,
    RunForked,
    RunStarted,
    end_status,
)
from worldflow.engine.history.failures import is_benign
from worldflow.engine.history.spans import Attempt, Span, spans_of
from worldflow.engine.traceparent import (
    TraceContext,
    attempt_context,
    parent_of,
    part_context,
    run_context,
    turn_context,
)
from worldflow.engine.usage import Entry

Attributes = Mapping[str, str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedSpan:
    """A span that is over."""

    name: str
    context: TraceContext
    parent: TraceContext | None
    begin: datetime
    end: datetime
    attributes: Attributes
    links: Sequence[TraceContext] = ()
    error: str | None = None
    """The type of what it failed of."""


@dataclass(frozen=True, slots=True)
class TracedRun:
    """What the spans of a run have in common."""

    run_id: str
    workflow: str
    context: TraceContext
    parent: TraceContext | None = None
    created_at: datetime | None = None
    forked: RunForked | None = None

    @classmethod
    def of(
        cls, run_id: str, started: RunStarted, forked: RunForked | None = None, traceparent: str | None = None
    ) -> TracedRun:
        """
        traceparent: the span that the run is under, where its history has none.
        """
        traceparent = started.traceparent or traceparent
        context = run_context(run_id, started.created_at, traceparent)
        parent = parent_of(context, traceparent)
        return cls(run_id, started.workflow_name, context, parent, started.created_at, forked)

    @property
    def attributes(self) -> Attributes:
        return {"worldflow.run_id": self.run_id, "worldflow.workflow": self.workflow}

    def span(self, ended: Ended) -> TracedSpan:
        """The run's own span."""
        forked = self.forked
        source = TraceContext.read(forked.traceparent) if forked else None
        attributes = {**self.attributes, "worldflow.status": end_status(ended)}
        if forked:
            attributes["worldflow.fork_of"] = forked.run_id
        return TracedSpan(
            name=f"run {self.workflow}",
            context=self.context,
            parent=self.parent,
            begin=min(self.created_at or ended.at, ended.at),
            end=ended.at,
            attributes=attributes,
            links=[source] if source and source.trace_id != self.context.trace_id else [],
            error=error_type(ended.error) if isinstance(ended, RunFailed) else None,
        )

    def turn(self, events: Sequence[Event], count: int, begin: datetime, end: datetime) -> TracedSpan:
        """The span of a turn.

        events: what it has committed first.
        count: how many events it has committed.
        """
        senders = [TraceContext.read(getattr(event, "traceparent", None)) for event in events if _is_sent(event)]
        return TracedSpan(
            name=f"turn {self.workflow}",
            context=turn_context(self.context, events[0].seq),
            parent=self.context,
            begin=begin,
            end=end,
            attributes={**self.attributes, "worldflow.seq": events[0].seq, "worldflow.events": count},
            links=[sender for sender in senders if sender],
        )

    def attempt(self, step: Span, attempt: Attempt, end: datetime) -> TracedSpan:
        """The span of an attempt of a step."""
        return TracedSpan(
            name=f"step {step.name}",
            context=attempt_context(self.context, step.id, attempt.number),
            parent=self.context,
            begin=attempt.began,
            end=end,
            attributes={
                **attempt_attributes(self.run_id, step.id, step.name, attempt.number),
                **wait_attributes(attempt.waited.total_seconds()),
                **usage_attributes(attempt.usage),
            },
            error=error_type(attempt.error) or (attempt.outcome if attempt.outcome == "abandoned" else None),
        )

    def part(self, span: Span, end: datetime) -> TracedSpan:
        """The span of anything else that a history has."""
        kind = "hook value" if span.kind == "value" else span.kind
        has_name = span.kind in ("signal", "update")
        sender = TraceContext.read(span.traceparent)
        own = {"worldflow.id": span.id, **({f"worldflow.{span.kind}": span.name} if has_name else {})}
        return TracedSpan(
            name=f"{kind} {span.name}" if has_name else kind,
            context=part_context(self.context, f"{span.kind}\0{span.id}"),
            parent=self.context,
            begin=span.begin,
            end=end,
            attributes={**self.attributes, **own},
            links=[sender] if sender else [],
            error=error_type(span.error) or (span.outcome if span.outcome == "refused" else None),
        )


def attempt_attributes(run_id: str, step_id: str, name: str, attempt: int) -> Attributes:
    return {
        "worldflow.run_id": run_id,
        "worldflow.step_id": step_id,
        "worldflow.step": name,
        "worldflow.attempt": attempt,
    }


def wait_attributes(waited: float | None) -> Attributes:
    """How long an attempt was in its queue, if that was noticeable."""
    return {"worldflow.queued_ms": round(waited * 1000)} if waited else {}


def usage_attributes(usage: Sequence[Entry]) -> Attributes:
    """The tokens of an attempt, by the names of OpenTelemetry's conventions; the model, where it is one."""
    counts: dict[str, int] = {}
    for entry in usage:
        for name, count in entry.items():
            if isinstance(count, int):
                name = "gen_ai.usage." + _OF_TOKENS.sub(r".\1", name)
                counts[name] = counts.get(name, 0) + count
    return {"gen_ai.request.model": str(usage[0]["model"]), **counts} if len(usage) == 1 else counts


_OF_TOKENS = re.compile(r"_((?:input|output)_tokens)$")
"""`cache_read_input_tokens` is `cache_read.input_tokens` there."""


def error_type(error: Failure | None) -> str | None:
    """`module.qualname`, as OpenTelemetry's `error.type` has it. None for a failure that is no error."""
    if error is None or is_benign(error):
        return None
    return error.type.replace(":", ".", 1).removeprefix("builtins.")


def trace_of(run: TracedRun, history: Sequence[Event]) -> Iterator[TracedSpan]:
    """The spans of a history, less those that are open still, and those of a run that it continues.

    A child's is that of its own run. Of turns a history knows only when they were over, so they have none.
    """
    ended = next((event for event in history if isinstance(event, RunEnded)), None)
    for span in spans_of(history):
        if span.is_inherited or span.kind == "child":
            continue
        for attempt in span.attempts:
            end = attempt.end or (ended.at if ended else None)
            if end and attempt.begin <= end:
                yield run.attempt(span, attempt, end)
        end = span.end or (ended.at if ended else None)
        if end and span.kind != "step":
            yield run.part(span, end)
    if ended:
        yield run.span(ended)


def _is_sent(event: Event) -> bool:
    """Whether others have sent it: what begins a run has its parent's traceparent."""
    return not isinstance(event, (RunStarted, RunForked))
