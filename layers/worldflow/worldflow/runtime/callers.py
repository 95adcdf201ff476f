"""The span of the caller, as W3C's `traceparent`: runs belong to the trace in which they are started.

It is that of the request which is being answered; elsewhere the current span, in a process that uses OpenTelemetry,
which is not imported for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from worldflow.engine.traceparent import TraceContext, valid

_given: ContextVar[tuple[str | None] | None] = ContextVar("worldflow_caller", default=None)


@contextmanager
def asked_by(traceparent: str | None) -> Iterator[None]:
    """Within it the caller is the one of this header: nobody, where there is none or it is not valid."""
    token = _given.set((valid(traceparent),))
    try:
        yield
    finally:
        _given.reset(token)


def caller() -> str | None:
    """The traceparent of the caller, if there is a span."""
    if given := _given.get():
        return given[0]
    opentelemetry: Any = sys.modules.get("opentelemetry.trace")
    if opentelemetry is None or not hasattr(opentelemetry, "get_current_span"):
        return None
    span = opentelemetry.get_current_span().get_span_context()
    if not span.is_valid:
        return None
    return str(TraceContext(f"{span.trace_id:032x}", f"{span.span_id:016x}", bool(span.trace_flags & 1)))
