"""What the outside asks a run's workflow: queries, which look, and updates, which it answers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worldflow.engine.errors import RunBlockedError, RunEndedError
from worldflow.engine.history import (
    Event,
    Json,
    Replied,
    RunContinued,
    RunEnded,
    RunStarted,
    TerminateRequested,
    UpdateReceived,
    VersionMarked,
)
from worldflow.engine.history.failures import decode_exception
from worldflow.engine.ids import (
    check_entity,
    check_id,
    check_name,
    generation,
    generation_id,
    is_entity,
    next_generation,
)
from worldflow.engine.values.serialization import ANYTHING
from worldflow.engine.workflow import validators
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime.callers import caller
from worldflow.runtime.starting import encode_input, start
from worldflow.turns.generations import newest_generation, read_record
from worldflow.worlds import items, reading
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived, Revival
from worldflow.worlds.payloads import check_size, fetch_event, fetch_text, stash
from worldflow.worlds.refusals import get_refusal


@dataclass(slots=True)
class PendingUpdate:
    """An update that was sent, and where its answer is looked for."""

    run_id: str
    fact_id: str
    after: int = 0
    was_received: bool = False
    successor: str | None = None
    """The run that continues in place of this one."""
    is_past: bool = False
    """Only this generation is asked, and those before it."""
    revives: bool = False
    """A run is started for it, if this one ends before it receives it."""
    may_be_refused: bool = False
    """The workflow has validators: see `worlds/refusals.py`."""


def send_update(
    world: World, run_id: str, name: str, args: tuple[Any, ...], *, update_id: str | None = None
) -> PendingUpdate:
    """Sends an update to a run.

    update_id: identifies the update, so that one that is sent twice is done once and gets one answer.
    Raises `RunNotFoundError`, `RunEndedError`, `SerializationError`, and `InvalidInputError` for a bad name.
    """
    check_name(name)
    check_id(update_id, "update_id")
    encoded = ANYTHING.encode(list(args))
    record = newest_generation(world, read_record(world, run_id))
    if record.ended and update_id is None:
        raise RunEndedError(run_id, record.status)
    run_id = record.run_id
    if record.ended:
        return PendingUpdate(run_id, f"update/{update_id}")  # it may have been answered before the end
    return _send(world, run_id, name, encoded, update_id)


def update_with_start(
    world: World,
    run_id: str,
    workflow: Workflow[..., Any] | str,
    input: Mapping[str, Any] | None,
    *,
    name: str,
    args: Sequence[Any] = (),
    update_id: str | None = None,
) -> PendingUpdate:
    """Sends an update to a run, which is started if there is none of this id, or if the last has ended.

    So also where it ends before the update comes to it: then a run is started for the update. One that the last run has
    received, by its id, starts nothing. Raises as `start` and `send_update` do.
    """
    check_name(name)
    check_id(update_id, "update_id")
    encoded = ANYTHING.encode(list(args))
    check_size(encoded, "args")  # before a run is started for it
    if update_id is not None and (received := _received(world, run_id, f"update/{update_id}")):
        return received
    name_of_workflow, values = encode_input(workflow, input)
    check_entity(run_id, name_of_workflow)
    record, _ = start(world, run_id, workflow, input, reuse="allow")
    revival = Revival(workflow_name=record.workflow_name, input=stash(world, record.run_id, values, "input"))
    return _send(world, record.run_id, name, encoded, update_id, revival)


def _received(world: World, run_id: str, fact_id: str) -> PendingUpdate | None:
    """An update that the last run of an id has received, if it has ended."""
    record = reading.find_run(world, run_id)
    if record is None or not (record := newest_generation(world, record)).ended:
        return None
    history = reading.find_history(world, record.run_id) or ()
    return PendingUpdate(record.run_id, fact_id) if any(_receives(event, fact_id) for event in history) else None


def _send(
    world: World, run_id: str, name: str, args: Json, update_id: str | None, revival: Revival | None = None
) -> PendingUpdate:
    stored = stash(world, run_id, args, "args")
    fact = UpdateReceived(update_id=update_id or uuid.uuid4().hex, name=name, args=stored, traceparent=caller())
    world.send([FactArrived(run_id=run_id, fact=fact, revival=revival)])
    return PendingUpdate(run_id, fact.fact_id, revives=revival is not None)


def is_accepted(world: World, update: PendingUpdate) -> bool:
    """Whether a run has received an update, which is then answered in time. Raises its refusal, and as
    `look_for_answer` does.
    """
    try:
        reply = look_for_answer(world, update)
    except RunBlockedError:
        if not update.was_received:
            raise
        return True
    if reply and not update.was_received:
        answer(reply)
    return update.was_received


def look_for_answer(world: World, update: PendingUpdate) -> Replied | None:
    """The answer to an update, if there is one by now.

    Raises `RunEndedError` if there will be none, and `RunBlockedError` while there can be none.
    """
    for event in reading.find_history(world, update.run_id, update.after) or []:
        update.after = event.seq
        match event:
            case VersionMarked(change_id=validators.ARE_USED):
                update.may_be_refused = True
            case RunStarted() if update.fact_id in (event.seen or ()):
                update.was_received = True
                base, number = generation(update.run_id)
                if number == 1:
                    continue  # it was started for the update
                before = PendingUpdate(generation_id(base, number - 1), update.fact_id, is_past=True)
                if reply := look_for_answer(world, before):
                    return reply
            case UpdateReceived() if event.fact_id == update.fact_id:
                update.was_received = True
            case Replied() if event.fact_id == update.fact_id:
                return fetch_event(world, event)
            case TerminateRequested() if not update.was_received:
                update.successor = event.successor
            case RunContinued():
                update.successor = event.next_run_id
        if isinstance(event, RunEnded):
            return _refusal(world, update) or _after_the_end(world, update)
    if refusal := _refusal(world, update):
        return refusal
    record = world.get_run(update.run_id)
    if record and record.status == "blocked":
        waits = "the update waits until the run continues, and can be retried with its id"
        reason = fetch_text(world, record.blocked_reason)
        raise RunBlockedError(f"run {update.run_id!r} is blocked; {waits}: {reason}", update.run_id)
    return None


def _after_the_end(world: World, update: PendingUpdate) -> Replied | None:
    """The answer of the successor of a run that has ended without an answer."""
    if update.is_past:
        return None
    if update.successor is None and update.revives and not update.was_received:
        base, number = generation(update.run_id)
        if items.get_generation(world, base) == number:
            record = reading.find_run(world, update.run_id)
            if record and record.status == "failed" and is_entity(record.workflow_name):
                raise RunEndedError(update.run_id, record.status)  # and no turn starts another
            update.after -= 1  # look at the end again: the turn that gets the message starts the next one
            return None
        update.successor = next_generation(update.run_id)
    if update.successor is None and not update.was_received:
        update.successor = _received_later(world, update)
    if update.successor is None:
        record = reading.find_run(world, update.run_id)
        raise RunEndedError(update.run_id, record.status if record else "gone")
    update.run_id, update.after = update.successor, 0
    update.successor, update.was_received = None, False
    return look_for_answer(world, update)


def _received_later(world: World, update: PendingUpdate) -> str | None:
    """The later run of the same id that has received an update, if there is one."""
    base, number = generation(update.run_id)
    for later in range(number + 1, items.get_generation(world, base) + 1):
        run_id = generation_id(base, later)
        if any(_receives(event, update.fact_id) for event in reading.find_history(world, run_id) or ()):
            return run_id
    return None


def _receives(event: Event, fact_id: str) -> bool:
    """Whether an event says that a run, or one that it continues, has received an update."""
    if isinstance(event, RunStarted):
        return fact_id in (event.seen or ())
    return isinstance(event, UpdateReceived) and event.fact_id == fact_id


def _refusal(world: World, update: PendingUpdate) -> Replied | None:
    """The answer of a validator, where the workflow has one."""
    if not update.may_be_refused or update.was_received:
        return None
    return get_refusal(world, update.run_id, update.fact_id)


def answer(reply: Replied) -> Json:
    """What a handler returned. Raises what it raised."""
    if reply.error:
        raise decode_exception(reply.error)
    return reply.result
