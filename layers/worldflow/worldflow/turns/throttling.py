"""Throttled workflows: a run that is about to begin waits for its place.

Here and not where runs are started, so that it holds for each way of starting, also for children. What a run continues
or tries again has its place already.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from worldflow.engine.errors import WorkflowNotFoundError
from worldflow.engine.history import Json
from worldflow.engine.privacy import loggable
from worldflow.engine.workflow.definitions import Workflow
from worldflow.engine.workflow.ramps import version_for
from worldflow.engine.workflow.starts import Throttle
from worldflow.turns.generations import continues
from worldflow.worlds.base import World
from worldflow.worlds.outages import OutageError, is_outage
from worldflow.worlds.payloads import fetch
from worldflow.worlds.records import RunRecord
from worldflow.worlds.throttling import reserve

_log = logging.getLogger("worldflow")


def throttled(world: World, record: RunRecord, now: datetime) -> RunRecord:
    """The record of a run that is about to begin, with the time of its place if it is throttled and has to wait."""
    if record.throttled or record.fork_of or record.attempt:
        return record
    try:
        workflow = version_for(record.workflow_name, record.run_id, record.version)
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


def input_of(world: World, recorded: Json) -> Mapping[str, Json]:
    """The input of a run that has not begun. Raises `OutageError` if it cannot be read at the moment."""
    try:
        return fetch(world, recorded) or {}
    except Exception as error:
        if is_outage(error):
            raise OutageError("the input of a run cannot be read at the moment") from error
        raise


def _key(world: World, workflow: Workflow[..., object], throttle: Throttle, record: RunRecord) -> str:
    try:
        return throttle.key_of(workflow.signature, workflow.signature.decode(input_of(world, record.input)))
    except OutageError:
        raise
    except Exception as error:
        # An input that does not fit fails the run when it begins. Here it must not stop its turn.
        _log.error("run %s: throttle key of %s", record.run_id, workflow.name, exc_info=loggable(error))
        return ""
