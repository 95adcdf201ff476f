"""The acts of children: starting them, cancelling them, and telling a parent how its child ended."""

from __future__ import annotations

import logging

from worldflow.engine.errors import RunCancelledError, RunExistsError
from worldflow.engine.history import (
    CancelRequested,
    ChildCompleted,
    ChildFailed,
    ChildStarted,
    Parent,
    TerminateRequested,
)
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.history.state import OpenChild
from worldflow.engine.ids import generation
from worldflow.turns.acts.run import ActingRun, starts_restored
from worldflow.worlds.messages import FactArrived, Outgoing, Start
from worldflow.worlds.payloads import adopt_event, given_to
from worldflow.worlds.records import RunRecord

_log = logging.getLogger("worldflow")


def start(run: ActingRun, child: OpenChild, *, redo: bool) -> list[Outgoing]:
    """Creates the child's run, unless it exists, and starts it."""
    started = child.started
    parent = Parent(run_id=run.id, child_id=started.child_id)
    existing = run.world.get_run(started.child_run_id) if redo else None
    if redo and existing is None and (archived := _archived(run, started, parent)):
        return [archived]
    existing = existing or _create(run, started, parent)
    if existing and not _is_same_call(run, existing.parent, parent):
        run_id = started.child_run_id
        error = RunExistsError(f"run {run_id!r} already exists, and was not started by this call", run_id)
        _log.warning("run %s could not start a child: %s", run.id, error)
        fact = ChildFailed(child_id=started.child_id, error=encode_exception(error))
        return [FactArrived(run_id=run.id, fact=fact, nonce="refused")]
    # Also where the child exists: the process that created it may have died before this, and one that has ended
    # notifies the parent again.
    return [Start(run_id=started.child_run_id, asked_by=parent)]


def start_again(run: ActingRun, child: OpenChild) -> list[Outgoing]:
    return [*start(run, child, redo=True), *([cancel(run, child)] if child.cancel_requested else [])]


def _create(run: ActingRun, started: ChildStarted, parent: Parent) -> RunRecord | None:
    run_id, now = started.child_run_id, run.world.now()
    return run.world.create_run(
        RunRecord(
            run_id=run_id,
            workflow_name=started.workflow_name,
            version=started.version,
            created_at=now,
            updated_at=now,
            input=given_to(run.world, run_id, run.input_of(started)),
            parent=parent,
            restored=starts_restored(run.state, now),
            traceparent=run.traceparent(),
            headers=run.headers,
        )
    )


def _archived(run: ActingRun, started: ChildStarted, parent: Parent) -> FactArrived | None:
    """The outcome of a child that is archived. No turn of the child reports it any more, and it must not run again."""
    from worldflow.turns.generations import archived_outcome  # which hardly any turn needs

    record = archived_outcome(run.world, started.child_run_id)
    if record is None or not _is_same_call(run, record.parent, parent):
        return None
    fact = outcome(started.child_id, record)
    if fact is None:
        return None
    fact = adopt_event(run.world, run.id, fact)
    return FactArrived(run_id=run.id, fact=fact, nonce=f"{record.run_id}:archived")


def _is_same_call(run: ActingRun, one: Parent | None, other: Parent) -> bool:
    """Whether a child belongs to a call: also to that of a run which this one is a retry of."""
    if one is None or one.child_id != other.child_id:
        return False
    return one.run_id == other.run_id or (_continues(run) and generation(one.run_id)[0] == generation(other.run_id)[0])


def _continues(run: ActingRun) -> bool:
    """Whether a run does again what one before it has failed to do."""
    return run.state.forked is not None or bool(run.state.started and run.state.started.attempt)


def cancel(run: ActingRun, child: OpenChild) -> FactArrived:
    fact = CancelRequested(reason=f"its parent {run.id} no longer waits for it", by_parent=True)
    return FactArrived(run_id=child.started.child_run_id, fact=fact, nonce="parent")


def close(run: ActingRun, child: OpenChild) -> FactArrived | None:
    """The message to a child whose parent has ended: it cancels it, terminates it, or leaves it alone."""
    reason = f"its parent {run.id} has ended"
    match child.started.parent_close:
        case "cancel":
            fact: CancelRequested | TerminateRequested = CancelRequested(reason=reason, by_parent=True)
        case "terminate":
            fact = TerminateRequested(reason=reason, by_parent=True)
        case _:
            return None
    return FactArrived(run_id=child.started.child_run_id, fact=fact, nonce="parent")


def notify_parent(run: ActingRun, parent: Parent, child: RunRecord, *, nonce: str) -> list[Outgoing]:
    """The message that tells a parent how its child has ended.

    nonce: the child's id, since calls of other runs of one id may have the same number.
    """
    fact = outcome(parent.child_id, child)
    if fact is None:
        return []
    return [FactArrived(run_id=parent.run_id, fact=adopt_event(run.world, parent.run_id, fact), nonce=nonce)]


def outcome(child_id: str, child: RunRecord) -> ChildCompleted | ChildFailed | None:
    """How a child has ended; None for one that continues, whose successor reports it."""
    match child.status:
        case "completed":
            return ChildCompleted(child_id=child_id, child_run_id=child.run_id, result=child.result)
        case "failed":
            assert child.error is not None
            return ChildFailed(child_id=child_id, child_run_id=child.run_id, error=child.error)
        case "cancelled":
            because = f": {child.reason}" if child.reason else ""
            error = RunCancelledError(f"run {child.run_id!r} was cancelled{because}", child.run_id)
            return ChildFailed(child_id=child_id, child_run_id=child.run_id, error=encode_exception(error))
    return None
