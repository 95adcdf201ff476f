"""The record with which a run was asked for, as its history tells it."""

from __future__ import annotations

from worldflow.engine import history as h
from worldflow.engine.traceparent import parent_of, run_context
from worldflow.worlds.records import RunRecord


def record_of(run_id: str, started: h.RunStarted) -> RunRecord:
    """The record of a run that has not begun."""
    # One that begins a trace was started without a traceparent.
    parent = parent_of(run_context(run_id, started.created_at, started.traceparent), started.traceparent)
    return RunRecord(
        run_id=run_id,
        workflow_name=started.workflow_name,
        created_at=started.created_at,
        updated_at=started.created_at,
        input=started.input,
        parent=started.parent,
        attributes=started.attributes or {},
        carried=started.carried,
        seen=started.seen or [],
        traceparent=str(parent) if parent else None,
        start_at=started.start_at,
        attempt=started.attempt,
        first_at=started.first_at,
        expires_at=started.expires_at,
    )


def uncounted(started: h.RunStarted) -> list[str]:
    """What a run has asked for before it began, and its history does not tell."""
    if started.gathered:
        return ["requests with which starts are gathered: not counted"]
    return []
