"""What the outside asks a run's workflow: queries, which look, and updates, which it answers."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from worldflow.engine.errors import RunBlockedError, RunEndedError
from worldflow.engine.history import (
    Json,
    Replied,
    RunContinued,
    RunEnded,
    RunStarted,
    TerminateRequested,
    UpdateReceived,
)
from worldflow.engine.history.failures import decode_exception
from worldflow.engine.ids import check_id, check_name, generation, generation_id
from worldflow.engine.values.serialization import ANYTHING
from worldflow.runtime.callers import caller
from worldflow.turns.generations import newest_generation, read_record
from worldflow.worlds import reading
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived
from worldflow.worlds.payloads import fetch_event, fetch_text, stash


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
    fact = UpdateReceived(
        update_id=update_id or uuid.uuid4().hex,
        name=name,
        args=stash(world, run_id, encoded, "args"),
        traceparent=caller(),
    )
    world.send([FactArrived(run_id=run_id, fact=fact)])
    return PendingUpdate(run_id, fact.fact_id)


def look_for_answer(world: World, update: PendingUpdate) -> Replied | None:
    """The answer to an update, if there is one by now.

    Raises `RunEndedError` if there will be none, and `RunBlockedError` while there can be none.
    """
    for event in reading.find_history(world, update.run_id, update.after) or []:
        update.after = event.seq
        match event:
            case RunStarted() if update.fact_id in (event.seen or ()):
                base, number = generation(update.run_id)
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
            return _after_the_end(world, update)
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
    if update.successor is None:
        record = reading.find_run(world, update.run_id)
        raise RunEndedError(update.run_id, record.status if record else "gone")
    update.run_id, update.after = update.successor, 0
    update.successor, update.was_received = None, False
    return look_for_answer(world, update)


def answer(reply: Replied) -> Json:
    """What a handler returned. Raises what it raised."""
    if reply.error:
        raise decode_exception(reply.error)
    return reply.result
