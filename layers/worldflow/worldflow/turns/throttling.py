"""Throttled workflows: a run that is about to begin waits for its place.

Here and not where runs are started, so that it holds for each way of starting, also for children. What a run continues
or tries again has its place already.
"""

from __future__ import annotations

import logging
from datetime import datetime

from worldflow.engine.errors import WorkflowNotFoundError
from worldflow.engine.ids import generation, generation_id
from worldflow.engine.privacy import loggable
from worldflow.engine.workflow.definitions import Workflow, find_workflow
from worldflow.engine.workflow.starts import Throttle
from worldflow.worlds.base import World
from worldflow.worlds.payloads import fetch
from worldflow.worlds.records import RunRecord
from worldflow.worlds.throttling import reserve

_log = logging.getLogger("worldflow")


def throttled(world: World, record: RunRecord, now: datetime) -> RunRecord:
    """The record of a run that is about to begin, with the time of its place if it is throttled and has to wait."""
    if record.throttled or record.fork_of or record.attempt:
        return record
    try:
        workflow = find_workflow(record.workflow_name, record.version)
    except WorkflowNotFoundError:
        return record
    throttle = workflow.starts.throttle
    if throttle is None or continues(world, record.run_id):
        return record
    at = reserve(world, workflow.name, _key(world, workflow, throttle, record), throttle.rate, now)
    if at <= now and workflow.starts.limit is None:  # at a limit it may have to wait, and its place is good then
        return record.model_copy(update={"throttled": True})
    waiting = record.model_copy(update={"start_at": at, "throttled": True, "updated_at": now})
    world.update_run(waiting)
    return waiting


def _key(world: World, workflow: Workflow[..., object], throttle: Throttle, record: RunRecord) -> str:
    try:
        return throttle.key_of(workflow.signature, workflow.signature.decode(fetch(world, record.input) or {}))
    except Exception as error:
        # An input that does not fit fails the run when it begins. Here it must not stop its turn.
        _log.error("run %s: throttle key of %s", record.run_id, workflow.name, exc_info=loggable(error))
        return ""


def continues(world: World, run_id: str) -> bool:
    """Whether a run is another's next generation, by `continue_as_new` or as its next attempt."""
    base, number = generation(run_id)
    before = world.get_run(generation_id(base, number - 1)) if number > 1 else None
    return before is not None and before.status == "continued"
