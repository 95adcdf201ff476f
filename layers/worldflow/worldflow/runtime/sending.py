"""What applications send to runs: signals, requests to cancel, to terminate and to resume."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from worldflow.engine.errors import (
    FieldError,
    InvalidInputError,
    RunEndedError,
    WorkflowNotFoundError,
)
from worldflow.engine.history import (
    CancelRequested,
    Json,
    SignalReceived,
    TerminateRequested,
)
from worldflow.engine.ids import check_id, check_name
from worldflow.engine.texts import is_text
from worldflow.engine.values.serialization import ANYTHING
from worldflow.engine.workflow.definitions import Workflow, find_workflow
from worldflow.runtime.callers import caller
from worldflow.turns.generations import newest_generation, read_record
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived, Poke
from worldflow.worlds.payloads import stash
from worldflow.worlds.records import RunRecord

REASON_LIMIT = 1_000
"""Characters of a reason, which stands in the run's record."""

_log = logging.getLogger("worldflow")


def signal(world: World, run_id: str, name: str, value: Any = None, *, signal_id: str | None = None) -> str:
    """Sends a signal to a run, in its newest generation. Returns the signal's id.

    signal_id: identifies the signal: sent twice with the same id, it is delivered once. Default: a new id.
    Raises `RunNotFoundError`, `RunEndedError`, `SerializationError`, and `InvalidInputError` for a bad name, and for a
    value that is not of the type that the workflow declares, where its code is in this process. Logs a warning for a
    name that the workflow does not declare although it declares others.
    """
    check_name(name)
    check_id(signal_id, "signal_id")
    encoded = ANYTHING.encode(value)
    record = open_run(world, run_id)
    if workflow := _known(record):
        check_declared(workflow, run_id, name, encoded)
    run_id = record.run_id
    signal_id = signal_id or uuid.uuid4().hex
    fact = SignalReceived(signal_id=signal_id, name=name, value=stash(world, run_id, encoded), traceparent=caller())
    world.send([FactArrived(run_id=run_id, fact=fact)])
    return signal_id


def check_declared(workflow: Workflow[..., Any], run_id: str, name: str, value: Json) -> None:
    """Raises `InvalidInputError` for a value of another type than the workflow declares; logs an undeclared name."""
    workflow.check_signal(name, value)
    if warning := undeclared(workflow, name):
        _log.warning("run %s: %s", run_id, warning)


def undeclared(workflow: Workflow[..., Any], name: str) -> str | None:
    """A warning for a name that is missing from the signals that a workflow declares."""
    if not workflow.signals or name in workflow.signals:
        return None
    declared = ", ".join(sorted(workflow.signals))
    return f"{workflow.name} does not declare the signal {name!r}, only {declared}; it is kept for a wait of this name"


def _known(record: RunRecord) -> Workflow[..., Any] | None:
    """The workflow of a run, where its code is in this process."""
    try:
        return find_workflow(record.workflow_name, record.version)
    except WorkflowNotFoundError:
        return None


def cancel(world: World, run_id: str, reason: str | None = None) -> None:
    """Asks a run to end: its workflow sees `asyncio.CancelledError` where it waits.

    Raises `RunNotFoundError` and `RunEndedError`.
    """
    run_id = open_run(world, run_id).run_id
    # Each request is a separate message: a second one ends a run whose code broke while it was being cancelled.
    world.send([FactArrived(run_id=run_id, fact=CancelRequested(reason=_brief(reason)), nonce=uuid.uuid4().hex)])


def terminate(world: World, run_id: str, reason: str | None = None) -> None:
    """Ends a run at once, as `cancelled`: its workflow learns nothing of it, and undoes nothing.

    Raises `RunNotFoundError` and `RunEndedError`.
    """
    fact = TerminateRequested(reason=_brief(reason))
    world.send([FactArrived(run_id=open_run(world, run_id).run_id, fact=fact, nonce=uuid.uuid4().hex)])


def _brief(reason: str | None) -> str | None:
    if reason and not is_text(reason):
        problem = f"{reason!a} cannot be encoded as UTF-8"
        raise InvalidInputError(problem, [FieldError("reason", "must be encodable as UTF-8")])
    return reason[:REASON_LIMIT] if reason else None


def resume(world: World, run_id: str) -> None:
    """Requests a turn of a run, which repeats requests that are still open: for a blocked run after its code is fixed.

    Raises `RunNotFoundError` and `RunEndedError`.
    """
    world.send([Poke(run_id=open_run(world, run_id).run_id)])


def open_run(world: World, run_id: str) -> RunRecord:
    """The record of a run that has not ended, in its newest generation. Raises `RunNotFoundError`, `RunEndedError`."""
    record = newest_generation(world, read_record(world, run_id))
    if record.ended:
        raise RunEndedError(run_id, record.status)
    return record
