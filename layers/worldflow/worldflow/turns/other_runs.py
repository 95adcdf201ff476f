"""What steps of the engine's own do to other runs: see `engine/workflow/other_runs.py`.

The same for applications is in `runtime/sending.py`.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from worldflow.engine.errors import FieldError, InvalidInputError, RunEndedError, WorkflowNotFoundError
from worldflow.engine.history import CancelRequested, Failure, Json, Parent, SignalReceived, UpdateReceived
from worldflow.engine.history.state import RunState
from worldflow.engine.texts import is_text
from worldflow.engine.values.serialization import ANYTHING
from worldflow.engine.workflow.definitions import Workflow
from worldflow.engine.workflow.ramps import version_for
from worldflow.turns.acts import entity_calls
from worldflow.turns.generations import newest_generation, read_record
from worldflow.worlds import items, reading
from worldflow.worlds.base import World
from worldflow.worlds.hook_beats import last_hook_beat
from worldflow.worlds.messages import FactArrived, Revival
from worldflow.worlds.payloads import stash
from worldflow.worlds.records import RunRecord

REASON_LIMIT = 1_000
"""Characters of a reason, which stands in the run's record."""

_log = logging.getLogger("worldflow")


def open_run(world: World, run_id: str) -> RunRecord:
    """The record of a run that has not ended, in its newest generation. Raises `RunNotFoundError`, `RunEndedError`."""
    record = newest_generation(world, read_record(world, run_id))
    if record.ended:
        raise RunEndedError(run_id, record.status)
    return record


def send_signal(
    world: World, run_id: str, name: str, value: Any, signal_id: str, traceparent: str | None = None
) -> None:
    """Sends a signal to a run. Raises what `sending.signal` raises."""
    encoded = ANYTHING.encode(value)
    record = open_run(world, run_id)
    if workflow := _known(record):
        check_declared(workflow, run_id, name, encoded)
    run_id = record.run_id
    fact = SignalReceived(signal_id=signal_id, name=name, value=stash(world, run_id, encoded), traceparent=traceparent)
    world.send([FactArrived(run_id=run_id, fact=fact)])


def _known(record: RunRecord) -> Workflow[..., Any] | None:
    """The workflow of a run, where its code is in this process."""
    try:
        return version_for(record.workflow_name, record.run_id, record.version)
    except WorkflowNotFoundError:
        return None


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


def send_cancel(world: World, run_id: str, reason: str | None, nonce: str) -> None:
    """Asks a run to end. Raises what `sending.cancel` raises."""
    run_id = open_run(world, run_id).run_id
    world.send([FactArrived(run_id=run_id, fact=CancelRequested(reason=brief(reason)), nonce=nonce)])


def brief(reason: str | None) -> str | None:
    """A reason as it is recorded."""
    if reason and not is_text(reason):
        problem = f"{reason!a} cannot be encoded as UTF-8"
        raise InvalidInputError(problem, [FieldError("reason", "must be encodable as UTF-8")])
    return reason[:REASON_LIMIT] if reason else None


class OtherRuns:
    """The runs of a World, for a run that asks something of them.

    It may ask again what it has asked before its process died. A run that has ended since was told all the same.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def signal(self, run_id: str, name: str, value: Any, signal_id: str) -> None:
        try:
            send_signal(self._world, run_id, name, value, signal_id)
        except RunEndedError:
            if not self._was_told(run_id, SignalReceived(signal_id=signal_id)):
                raise

    def cancel(self, run_id: str, reason: str | None, nonce: str) -> None:
        try:
            send_cancel(self._world, run_id, reason, nonce)
        except RunEndedError:
            if not self._was_told(run_id, CancelRequested()):
                raise

    def _was_told(self, run_id: str, fact: SignalReceived | CancelRequested) -> bool:
        newest = newest_generation(self._world, read_record(self._world, run_id))
        return RunState(reading.find_history(self._world, newest.run_id) or ()).has_seen(fact)

    def tell(self, workflow: str, run_id: str, operation: str, values: dict[str, Any], key: str) -> None:
        entity = entity_calls.newest(self._world, run_id)
        args = stash(self._world, entity, ANYTHING.encode(values), "args")
        fact = UpdateReceived(update_id=key, name=operation, args=args)
        self._world.send([FactArrived(run_id=entity, fact=fact, revival=Revival(workflow_name=workflow, input={}))])

    def answer_call(self, run_id: str, step_id: str, outcome: dict[str, Any]) -> None:
        if "error" in outcome:
            outcome = {"error": Failure.model_validate(outcome["error"])}
        self._world.send([entity_calls.answer(self._world, Parent(run_id=run_id, child_id=step_id), outcome)])

    def was_called(self, run_id: str, fact_id: str, since: str, caller: str, step_id: str) -> bool:
        reply = entity_calls.earlier_reply(self._world, run_id, fact_id, datetime.fromisoformat(since))
        if reply is None:
            return False
        parent = Parent(run_id=caller, child_id=step_id)
        self._world.send([entity_calls.answer(self._world, parent, entity_calls.outcome_of(reply))])
        return True

    def beat(self, run_id: str, hook_id: str) -> str | None:
        return last_hook_beat(self._world, run_id, hook_id)

    def holder(self, token: str) -> str | None:
        hook = items.get_hook(self._world, token)
        return hook.run_id if hook else None
