"""The family of a run: those that started it, and those that it started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from worldflow.engine.errors import RunNotFoundError
from worldflow.engine.history.spans import Span, spans_of
from worldflow.worlds import reading
from worldflow.worlds.base import World
from worldflow.worlds.records import RunRecord

CHILDREN = 50
"""Children of a run that are shown."""
DEPTH = 3
"""Generations of children that are shown."""
_ANCESTORS = 10


@dataclass(frozen=True, slots=True)
class Member:
    run_id: str
    workflow: str
    status: str
    how: str = ""
    children: Sequence[Member] = ()
    left_out: int = 0


def family(world: World, record: RunRecord, spans: Sequence[Span]) -> Member:
    """The oldest ancestor of a run, with its line down to the run, and the run with its children."""
    member = _member(world, record, spans, DEPTH)
    for _ in range(_ANCESTORS):
        if record.parent is None:
            break
        parent = reading.find_run(world, record.parent.run_id)
        if parent is None:
            return Member(record.parent.run_id, "", "gone", children=[member])
        member = Member(parent.run_id, parent.workflow_name, parent.status, children=[member])
        record = parent
    if record.fork_of:
        member = replace(member, how=f"continues {record.fork_of.run_id}")
    return member


def _member(world: World, record: RunRecord, spans: Sequence[Span], depth: int) -> Member:
    started = [span for span in spans if span.kind == "child" and span.child_run_id]
    children = [_child(world, span, depth - 1) for span in started[:CHILDREN]] if depth else []
    left_out = len(started) - len(children)
    return Member(record.run_id, record.workflow_name, record.status, children=children, left_out=left_out)


def _child(world: World, span: Span, depth: int) -> Member:
    run_id = span.child_run_id or ""
    try:
        record = reading.stored_run(world, run_id)
    except RunNotFoundError:
        return Member(run_id, span.name, span.outcome or "pending")
    spans = spans_of(reading.find_history(world, run_id) or []) if depth else ()
    return _member(world, record, spans, depth)
