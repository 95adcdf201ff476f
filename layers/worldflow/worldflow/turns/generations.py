"""Which run follows which under one id: generations, also of runs that are archived."""

from __future__ import annotations

from worldflow.engine.errors import (
    RunNotFoundError,
)
from worldflow.engine.history import (
    RunStarted,
)
from worldflow.engine.ids import generation, generation_id, next_generation
from worldflow.worlds import items, reading
from worldflow.worlds.archives import load_archive
from worldflow.worlds.base import World
from worldflow.worlds.payloads import adopt
from worldflow.worlds.records import RunRecord


def newest_generation(world: World, record: RunRecord) -> RunRecord:
    """The newest run of those that follow each other under one id."""
    if not record.ended:
        return record
    base, number = generation(record.run_id)
    newest = items.get_generation(world, base)
    found = world.get_run(generation_id(base, newest)) if newest > number else _newest_archived(world, record)
    return found or record


def _newest_archived(world: World, record: RunRecord) -> RunRecord | None:
    """The newest generation of a run that is archived: the first knows which that is."""
    if record.archived_at is None:
        return None
    base, number = generation(record.run_id)
    first = record if number == 1 else reading.find_run(world, base)
    newest = first.newest_run_id if first else None
    return reading.find_run(world, newest) if newest and newest != record.run_id else None


def continues(world: World, run_id: str) -> bool:
    """Whether the run before it has continued as this one, as its next generation or next attempt."""
    base, number = generation(run_id)
    before = world.get_run(generation_id(base, number - 1)) if number > 1 else None
    return before is not None and before.status == "continued"


def create_generation(world: World, before: RunRecord, record: RunRecord) -> RunRecord | None:
    """Creates the run that follows `before`, as `record` describes it. Returns None, or the run that is there."""
    run_id = next_generation(before.run_id)
    adopted = record.model_copy(update={"run_id": run_id, "input": adopt(world, run_id, record.input)})
    existing = world.create_run(adopted)
    # Also where it exists: the process that created it may have died before this line.
    items.put_generation(world, *generation(run_id))
    return existing


def read_record(world: World, run_id: str) -> RunRecord:
    """The record of a run, also of one that is archived. Raises `RunNotFoundError`."""
    record = reading.find_run(world, run_id)
    if record is None:
        raise RunNotFoundError(run_id)
    return record


def archived_outcome(world: World, run_id: str) -> RunRecord | None:
    """The record of a run that is archived; where others continued it, of the one that ended without."""
    record = first = _archived_record(world, run_id)
    if first and first.next_run_id and first.newest_run_id:
        newest = _archived_record(world, first.newest_run_id)
        if newest and newest.parent == first.parent and newest.next_run_id is None:
            return newest
    while record and record.next_run_id:
        record = _archived_record(world, record.next_run_id)
    return record


def not_archived(world: World, run_id: str, started: RunStarted | None) -> str:
    """The first run that is not archived, of those that continue each other from `run_id` on."""
    base, _ = generation(run_id)
    newest = world.get_run(generation_id(base, items.get_generation(world, base)))
    if newest and started and newest.parent == started.parent is not None:
        return newest.run_id  # the end of the same line: nobody else has that parent
    while world.get_run(run_id) is None and (record := _archived_record(world, run_id)) and record.next_run_id:
        run_id = record.next_run_id
    return run_id


def _archived_record(world: World, run_id: str) -> RunRecord | None:
    data = world.archive.get(run_id)
    return load_archive(data)[0] if data else None
