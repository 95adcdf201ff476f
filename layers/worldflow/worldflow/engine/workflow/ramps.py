"""Ramps: which version of a workflow a new run has, where a version is for some of the runs only.

Each run has a place between 0 and 100, which its id decides. A version with a ramp of 10 takes the runs whose place is
below 10; those above go to the version before, and so on down to the lowest, which takes all that is left. So all
generations of an id stay on one side of a ramp, and a ramp that is raised keeps the ids that it has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from worldflow.engine.errors import ConfigurationError, WorkflowNotFoundError
from worldflow.engine.history import Applied, Event, RunStarted
from worldflow.engine.ids import generation
from worldflow.engine.workflow.definitions import Workflow, find_workflow, oldest_version, versions_of

_PLACES = 2**32


def check_ramp(ramp: object) -> float:
    """The ramp as a number. Raises `ConfigurationError`."""
    if isinstance(ramp, bool) or not isinstance(ramp, (int, float)) or not 0 <= ramp <= 100:
        raise ConfigurationError(f"@workflow(ramp=...) takes a percentage from 0 to 100, not {ramp!r}")
    return ramp


def workflow_for(name: str, run_id: str) -> Workflow[..., Any]:
    """The version of a workflow that a run of this id starts with. Raises `WorkflowNotFoundError`."""
    versions = versions_of(name)
    for version in sorted(versions, reverse=True)[:-1]:
        if versions[version].ramp == 100 or _place(name, run_id) < versions[version].ramp:
            return versions[version]
    return find_workflow(name, min(versions, default=None))


def workflow_of(history: Sequence[Event], advice: str = "") -> Workflow[..., Any]:
    """The workflow of a run that has begun, by its history. Raises `WorkflowNotFoundError`.

    advice: what to add to the error.
    """
    started = history[0]
    assert isinstance(started, RunStarted)
    name, version = started.workflow_name, started.version
    if version is None and started.held:
        known = (event for event in history if isinstance(event, Applied) and event.fact_id == started.fact_id)
        applied = next(known, None)
        if applied is None:
            return workflow_for(name, started.run_id)  # the version that it begins with when its start is applied
        version = applied.version
    return find_workflow(name, oldest_version(name) if version is None else version, advice)


def version_for(name: str, run_id: str, version: int | None) -> Workflow[..., Any]:
    """The version of a workflow that a run has, or that it starts with. Raises `WorkflowNotFoundError`."""
    return workflow_for(name, run_id) if version is None else find_workflow(name, version)


def is_limited(name: str, run_id: str, version: int | None) -> bool:
    """Whether a run of a workflow, if that is known, waits for a place at a limit."""
    with suppress(WorkflowNotFoundError):
        return version_for(name, run_id, version).starts.limit is not None
    return False


def _place(name: str, run_id: str) -> float:
    """Where a run stands between 0 and 100: elsewhere in the ramps of another workflow."""
    base, _ = generation(run_id)
    digest = hashlib.sha256(f"{name} {base}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / _PLACES * 100
