"""Spans with ids that were derived, by OpenTelemetry's API.

The API chooses ids at random. What chooses them in the SDK is asked of each tracer, so that this one's has a choice of
its own, and no other tracer of the process is touched.
"""

from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, datetime

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, StatusCode, TraceFlags

from worldflow.engine.traceparent import TraceContext
from worldflow.tracing.described import Attributes, TracedSpan

SCOPE = "worldflow"
"""The name of the tracer."""

_derived: ContextVar[TraceContext] = ContextVar("worldflow_derived_ids")


class DerivedIds:
    """The SDK's source of ids: those of the span that is being made."""

    def generate_span_id(self) -> int:
        return int(_derived.get().span_id, 16)

    def generate_trace_id(self) -> int:
        return int(_derived.get().trace_id, 16)

    def is_trace_id_random(self) -> bool:
        return True  # as good as: its bits are those of a hash


def tracer_of(provider: trace.TracerProvider) -> trace.Tracer:
    """A tracer for `begin`. Without an SDK it is one that does nothing."""
    tracer = provider.get_tracer(SCOPE)
    if hasattr(tracer, "id_generator"):
        tracer.id_generator = DerivedIds()
    return tracer


def begin(
    tracer: trace.Tracer,
    name: str,
    context: TraceContext,
    parent: TraceContext | None,
    at: datetime | None = None,
    attributes: Attributes | None = None,
    links: list[Link] | None = None,
) -> trace.Span:
    """Begins the span `context` under `parent`. Whether it is recorded is the sampler's decision.

    at: the start time. Default: now.
    """
    within = trace.set_span_in_context(NonRecordingSpan(_span_context(parent)), Context()) if parent else Context()
    token = _derived.set(context)
    try:
        return tracer.start_span(
            name, context=within, start_time=_nanoseconds(at), attributes=dict(attributes or {}), links=links
        )
    finally:
        _derived.reset(token)


def end(span: trace.Span, error: str | None = None, at: datetime | None = None) -> None:
    """Ends a span.

    error: the type of what it failed of.
    """
    if error:
        span.set_attribute("error.type", error)
        span.set_status(StatusCode.ERROR)
    span.end(_nanoseconds(at))


def emit(tracer: trace.Tracer, span: TracedSpan, links: list[Link] | None = None) -> None:
    """Tells of a span that is over."""
    links = [*(Link(_span_context(link)) for link in span.links), *(links or ())]
    end(
        begin(tracer, span.name, span.context, span.parent, span.begin, span.attributes, links),
        span.error,
        span.end,
    )


def _span_context(context: TraceContext) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if context.is_sampled else TraceFlags.DEFAULT)
    return SpanContext(int(context.trace_id, 16), int(context.span_id, 16), is_remote=True, trace_flags=flags)


_EPOCH = datetime.fromtimestamp(0, UTC)


def _nanoseconds(at: datetime | None) -> int | None:
    if at is None:
        return None
    passed = at - _EPOCH
    return ((passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds) * 1_000
