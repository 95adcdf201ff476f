"""The places of runs in traces: W3C's `traceparent`, and the ids that runs, turns and attempts have there.

A run that is started with a traceparent belongs to that trace, under the span that started it; one without has a trace
of its own. All ids follow from the run, the step and the attempt, so that whatever is done twice has one id.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span, as W3C's `traceparent` names it: its ids are 32 and 16 hexadecimal digits."""

    trace_id: str
    span_id: str
    is_sampled: bool = True

    @classmethod
    def read(cls, traceparent: str | None) -> Self | None:
        """The context of a header; None where it has none. What cannot be read is ignored, as W3C asks."""
        match = _TRACEPARENT.fullmatch(traceparent.strip()) if traceparent else None
        if match is None:
            return None
        version, trace_id, span_id, flags, more = match.groups()
        if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(span_id, 16):
            return None
        return cls(trace_id, span_id, bool(int(flags, 16) & 1))

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.is_sampled else '00'}"

    def beside(self, span_id: str) -> TraceContext:
        """Another span of the same trace."""
        return TraceContext(self.trace_id, span_id, self.is_sampled)


def valid(traceparent: str | None) -> str | None:
    """A header in the form that is recorded, if it is one."""
    context = TraceContext.read(traceparent)
    return str(context) if context else None


def run_context(run_id: str, created_at: datetime, traceparent: str | None) -> TraceContext:
    """The span of a run.

    traceparent: what it was started with; None for a run that has a trace of its own.
    """
    identity = f"{run_id}\0{created_at.astimezone(UTC).isoformat()}"
    own = TraceContext(_derived("trace", identity, 32), _derived("run", identity, 16))
    parent = TraceContext.read(traceparent)
    return parent.beside(own.span_id) if parent else own


def parent_of(run: TraceContext, traceparent: str | None) -> TraceContext | None:
    """The span under which that of a run is; None for the first of a trace."""
    parent = TraceContext.read(traceparent)
    return None if parent is None or parent == run else parent


def attempt_context(run: TraceContext, step_id: str, attempt: int) -> TraceContext:
    """The span of an attempt of a step."""
    return part_context(run, f"step\0{step_id}\0{attempt}")


def turn_context(run: TraceContext, seq: int) -> TraceContext:
    """The span of a turn, by the first event that it commits: a turn that is taken again commits the same one."""
    return part_context(run, f"turn\0{seq}")


def part_context(run: TraceContext, part: str) -> TraceContext:
    """The span of something in a run: a timer, a signal."""
    return run.beside(_derived("part", f"{run.span_id}\0{part}", 16))


def _derived(kind: str, identity: str, digits: int) -> str:
    return hashlib.sha256(f"worldflow {kind}\0{identity}".encode()).hexdigest()[:digits]
