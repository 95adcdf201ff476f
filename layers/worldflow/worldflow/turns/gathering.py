"""A run that gathers starts: when it begins, and its input then."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from worldflow.engine.errors import WorkflowNotFoundError
from worldflow.engine.history import CancelRequested, Json, TerminateRequested
from worldflow.engine.history.gathered import StartAdded, StartsClosed
from worldflow.engine.ids import generation
from worldflow.engine.privacy import loggable
from worldflow.engine.workflow.ramps import version_for
from worldflow.worlds import gathering
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived, RunMessage, Start
from worldflow.worlds.payloads import fetch, stash
from worldflow.worlds.records import Gathers, RunRecord

_log = logging.getLogger("worldflow")


def joined(world: World, record: RunRecord) -> RunRecord:
    """The record of a run that has not begun. If it was started by a process without the workflow's code, where starts
    are gathered, the record of the run that gathers: this one, or that which its start has been added to.
    """
    is_start = generation(record.run_id)[1] == 1 and not (record.parent or record.fork_of or record.start_at)
    if record.gathers or not is_start:
        return record
    try:
        workflow = version_for(record.workflow_name, record.run_id, record.version)
    except WorkflowNotFoundError:
        return record
    if workflow.starts.gather is None:
        return record
    values = fetch(world, record.input) or {}
    try:
        asked = gathering.asked_of(workflow, record.run_id, values, record.traceparent)
    except Exception as error:
        # An input that does not fit fails the run when it begins. Here it must not stop its turn.
        _log.error("run %s: starts of %s", record.run_id, workflow.name, exc_info=loggable(error))
        return record
    return gathering.gather(world, asked)[0]


def gathered(world: World, record: RunRecord, messages: Sequence[RunMessage], now: datetime) -> RunRecord:
    """The record of a run that has not begun. If it begins now, with the input of all starts, which are closed; else
    with the time at which it begins, if no other start comes.

    A signal or an update begins it at once. One that is to be cancelled is closed, and stays early.
    """
    gathers = record.gathers
    if gathers is None or record.gathered:  # it already has all inputs, and waits for its throttle
        return record
    facts = [message.fact for message in messages if isinstance(message, FactArrived)]
    ends = any(isinstance(fact, (CancelRequested, TerminateRequested)) for fact in facts)
    while True:
        rows = gathering.load(world, record.run_id)
        added = [row for row in rows if isinstance(row, StartAdded)]
        due = gathers.closes_at(record.created_at, added[-1].at if added else record.created_at)
        if rows and isinstance(rows[-1], StartsClosed):
            break
        is_due = due <= now or any(isinstance(one, Start) and one.due and one.due >= due for one in messages)
        items, size = (added[-1].items, added[-1].bytes) if added else (gathers.items, 0)
        is_full = gathering.is_full(gathers, len(added), items, size)
        if not (is_due or is_full or facts):
            return record.model_copy(update={"start_at": due})
        if gathering.close(world, gathers, record.run_id, len(rows), now):
            break
    gathering.forget_window(world, gathers, record.run_id)
    changes = {
        "input": _input(world, record, gathers, added),
        "start_at": due if ends and due > now else None,
        "gathered": len(added) + 1,
    }
    return record.model_copy(update=changes)


def _input(world: World, record: RunRecord, gathers: Gathers, added: Sequence[StartAdded]) -> Json:
    """The input of the run, as it is stored."""
    if not added:
        return record.input
    if gathers.parameter is None:
        return added[-1].input
    parts = [fetch(world, record.input), *(fetch(world, row.input) for row in added)]
    items = [item for part in parts for item in part[gathers.parameter]]
    return stash(world, record.run_id, {gathers.parameter: items}, "input")
