"""Entities from outside: references whose calls are updates, which start the entity's run."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, TypeVar

from worldflow.engine.errors import ConfigurationError
from worldflow.engine.history import Json, UpdateReceived
from worldflow.engine.ids import entity_workflow
from worldflow.engine.workflow.entities import Entity, Operation
from worldflow.runtime.callers import caller
from worldflow.runtime.update_handle import Waits, answer_to
from worldflow.runtime.updates import PendingUpdate
from worldflow.turns.acts.entity_calls import newest
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived, Revival
from worldflow.worlds.payloads import stash

E = TypeVar("E", bound=Entity)


def reference(run: Waits, entity: type[E], key: str) -> E:
    """An entity of a World, as an application calls it.

    run: the handle of the entity's run, which may not exist.
    """
    if not (isinstance(entity, type) and issubclass(entity, Entity)):
        raise ConfigurationError(f"entity() takes a class decorated with @entity, not {entity!r}")
    made = entity(key)

    async def call(operation: Operation, values: dict[str, Any], is_signal: bool) -> Any:
        encoded = operation.signature.encode(operation.signature.validate(values))
        sent = await asyncio.to_thread(send, run._world, made, operation.name, encoded)
        if is_signal:
            return None
        answer: Json = await answer_to(run, sent, operation.name, Any, None)
        return operation.signature.result.decode(answer)

    vars(made)["_outside"] = call
    return made


def send(world: World, made: Entity, operation: str, values: Json) -> PendingUpdate:
    """Sends a call to an entity, whose run is started if there is none."""
    name = entity_workflow(made._definition.name)
    run_id = newest(world, made._run_id)
    args = stash(world, run_id, values, "args")
    fact = UpdateReceived(update_id=uuid.uuid4().hex, name=operation, args=args, traceparent=caller())
    world.send([FactArrived(run_id=run_id, fact=fact, revival=Revival(workflow_name=name, input={}))])
    return PendingUpdate(run_id, fact.fact_id, revives=True)
