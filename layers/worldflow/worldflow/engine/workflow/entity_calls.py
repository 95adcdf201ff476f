"""Calls of entities by workflows.

A call is a step with `entity`: no process runs it, the entity's run sends its outcome. What needs no answer is sent by
an inline step of the engine's own.
"""

from __future__ import annotations

import asyncio
import copy
import sys
from typing import Any

from worldflow.engine.errors import EntityLockLostError, WorldflowError
from worldflow.engine.history import Json
from worldflow.engine.ids import entity_workflow, generation
from worldflow.engine.unawaited import Made
from worldflow.engine.workflow.entities import UNLOCK, Entity, Operation
from worldflow.engine.workflow.execution import Execution
from worldflow.engine.workflow.own_steps import _others, _own
from worldflow.engine.workflow.step_info import step_info


def _tell(workflow: str, run_id: str, operation: str, values: dict[str, Any]) -> None:
    _others().tell(workflow, run_id, operation, values, step_info().idempotency_key)


TELL = _own(_tell, "tell_entity")


async def call(
    run: Execution,
    reference: Entity,
    operation: Operation,
    values: dict[str, Any],
    origin: Made,
    lock_id: str | None = None,
) -> Any:
    """Calls an entity and returns the outcome. Within a lock, as its holder.

    lock_id: the lock that the call asks for, if it is a call of `lock`.
    """
    check_other(run, reference)
    if reference._run_id in run.entities.waiting:
        here = run.entities.waiting[-1]
        raise WorldflowError(f"{here} cannot call {reference._run_id}, whose operation waits for it to end")
    step: Any = copy.copy(operation.step)
    step.entity, step.lock = reference._run_id, lock_id or run.entities.locks.get(reference._run_id)
    step.waiting = run.entities.waiting or None
    return await run.calls.call_bound(step, values, origin)


async def tell(run: Execution, reference: Entity, operation: Operation, values: dict[str, Any], origin: Made) -> None:
    """Sends a call of which nobody awaits the outcome."""
    check_other(run, reference)
    await _send(run, reference, operation.name, operation.signature.encode(values))


async def lock(run: Execution, reference: Entity, lease: float) -> str:
    """Waits until the entity is locked for this run. Returns the id of the lock."""
    if reference._run_id in run.entities.locks or reference._run_id in run.entities.locking:
        raise WorldflowError(f"this workflow already holds the lock of {reference._run_id}, or waits for it")
    new = f"{run.run_id}/{run.uuid4().hex}"
    # In a history that is another run's the lock has that run's id.
    lock_id = run.recorded.ids.get(run.calls.next_id) or new
    run.entities.locking.add(reference._run_id)
    frame = sys._getframe()
    origin = ("step", f"{reference._run_id}.lock", frame.f_code, frame.f_lasti)
    try:
        await call(run, reference, reference._definition.lock, {"lock": lock_id, "lease": lease}, origin, lock_id)
    except (asyncio.CancelledError, Exception):
        await unlock(run, reference, lock_id)  # it may be granted yet
        raise
    finally:
        run.entities.locking.discard(reference._run_id)
    run.entities.locks[reference._run_id] = lock_id
    return lock_id


async def unlock(run: Execution, reference: Entity, lock_id: str) -> None:
    """Ends a lock, whether it is granted yet, held or over. A fork does not end the locks of the original run."""
    if run.entities.locks.pop(reference._run_id, lock_id):
        await _send(run, reference, UNLOCK, {"lock": lock_id})


async def _send(run: Execution, reference: Entity, operation: str, values: dict[str, Json]) -> None:
    name = entity_workflow(reference._definition.name)
    await run.call_step(TELL, (name, reference._run_id, operation, values), {})


def check_other(run: Execution, reference: Entity) -> None:
    """Raises `WorldflowError` for an entity that calls itself, which would wait for itself."""
    if generation(run.run_id)[0] == reference._run_id:
        raise WorldflowError(f"{reference._run_id} cannot call itself by its key: call the method of self")


def lost(name: str) -> EntityLockLostError:
    return EntityLockLostError(f"the lease of the lock of {name} has ended, so this call was not made")
