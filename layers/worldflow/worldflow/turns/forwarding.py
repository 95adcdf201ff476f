"""What becomes of messages for a run that has ended: they go to the run that follows it, or start one."""

from __future__ import annotations

from pydantic_core import from_json

from worldflow.engine.errors import (
    RunArchivedError,
)
from worldflow.engine.history import (
    UNRECORDED,
    AnyFact,
    SignalReceived,
    dump_events,
)
from worldflow.engine.ids import next_generation
from worldflow.turns.generations import create_generation, read_record
from worldflow.worlds.base import World
from worldflow.worlds.messages import Revival, Start
from worldflow.worlds.payloads import adopt, fetch_event, stash
from worldflow.worlds.records import RunRecord


def revive(world: World, run_id: str, revival: Revival, fact: AnyFact) -> str | None:
    """Starts the run that follows one that has ended, for a signal that came too late, which it begins with.

    Returns the id of the run that the signal is to be sent to, where another than this one follows.
    """
    record = _revived(world, next_generation(run_id), revival, fact)
    existing = create_generation(world, read_record(world, run_id), record)
    return _begin_with(world, record, existing, fact)


def start_anew(world: World, run_id: str, revival: Revival, fact: AnyFact) -> str | None:
    """Starts a run for a signal that came when the one that it was sent to was archived: see `revive`.

    Raises `RunArchivedError` as long as that is under way.
    """
    record = _revived(world, run_id, revival, fact)
    existing = world.create_run(record)
    if existing and existing.archived_at:
        raise RunArchivedError(f"run {run_id!r} is being archived", run_id)
    return _begin_with(world, record, existing, fact)


def _revived(world: World, run_id: str, revival: Revival, fact: AnyFact) -> RunRecord:
    now = world.now()
    unread = dump_events([fetch_event(world, fact).recorded(0, UNRECORDED)])
    return RunRecord(
        run_id=run_id,
        workflow_name=revival.workflow_name,
        created_at=now,
        updated_at=now,
        input=adopt(world, run_id, revival.input),
        carried=stash(world, run_id, from_json(unread), "carried"),
        seen=[fact.fact_id],
        traceparent=fact.traceparent if isinstance(fact, SignalReceived) else None,
    )


def _begin_with(world: World, record: RunRecord, existing: RunRecord | None, fact: AnyFact) -> str | None:
    if existing and fact.fact_id not in existing.seen:
        return record.run_id
    world.send([Start(run_id=record.run_id)])
    return None
