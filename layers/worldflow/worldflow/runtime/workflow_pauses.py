"""Pausing a workflow: its new runs wait, and begin one after the other when it is unpaused.

A waiting run is begun and paused by its history, and stays so until it is told. Whoever unpauses the workflow tells
them all, oldest first. If that process dies, the pause is still ending, and the next one that unpauses the workflow
tells those that are left.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import RunPaused, RunUnpaused
from worldflow.engine.ids import check_name
from worldflow.engine.workflow.definitions import Workflow
from worldflow.engine.workflow.limits import parse_rate
from worldflow.turns.other_runs import brief
from worldflow.worlds import workflow_pauses as pauses
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived
from worldflow.worlds.records import Status
from worldflow.worlds.workflow_pauses import WorkflowPause


def paused_workflows(world: World) -> list[WorkflowPause]:
    """The workflows that are paused, and those whose waiting runs are not all told that they are no more, by name."""
    return sorted(pauses.read(world).values(), key=lambda pause: pause.workflow)


def pause_workflow(
    world: World,
    workflow: Workflow[..., Any] | str,
    reason: str | None = None,
    *,
    by: str | None = None,
    open_runs: bool = False,
) -> WorkflowPause:
    """Lets no further run of a workflow begin. One that is paused stays so.

    open_runs: pauses its open runs, too.
    Raises `InvalidInputError`.
    """
    pause = pauses.pause(world, _name(workflow), brief(reason), brief(by))
    for run_id in _runs(world, pause.workflow, "running", "blocked") if open_runs else ():
        fact = RunPaused(pause_id=pause.id_in(run_id), reason=pause.reason, by=pause.by, of_workflow=True)
        world.send([FactArrived(run_id=run_id, fact=fact)])
    return pause


def unpause_workflow(world: World, workflow: Workflow[..., Any] | str) -> Iterator[str]:
    """Lets runs of a workflow begin again: at once those that are started from now on, and each time the next value is
    asked for one of those that wait, oldest first.

    Yields the ids of those. At the end the pause is over; until then the call can be made again, and goes on with those
    that are left. Stops if the workflow is paused again. Raises `InvalidInputError`.
    """
    name = _name(workflow)
    if not pauses.begin_to_end(world, name):
        return
    for run_id in _waiting(world, name):
        pause = pauses.read(world).get(name)
        if pause and not pause.ending:
            return
        fact = RunUnpaused(pause_id=uuid.uuid4().hex, of_workflow=True)
        world.send([FactArrived(run_id=run_id, fact=fact)])
        yield run_id
    pauses.end(world, name)


def interval(rate: str | None) -> float:
    """The seconds from one run to the next at a rate such as `20/1s`; 0 for None. Raises `InvalidInputError`."""
    try:
        return parse_rate(rate).interval if rate else 0.0
    except ValueError as error:
        raise InvalidInputError(str(error), [FieldError("rate", str(error))]) from None


def _waiting(world: World, workflow: str) -> Iterator[str]:
    """The runs that a pause of their workflow has stopped, not those that are paused by themselves."""
    for run_id in _runs(world, workflow, "paused"):
        record = world.get_run(run_id)
        if record and record.paused and record.paused.of_workflow:
            yield run_id


def _runs(world: World, workflow: str, *statuses: Status) -> list[str]:
    """The runs of a workflow, oldest first."""
    found = (record for status in statuses for record in world.walk_runs(status))
    return [
        run_id for _, run_id in sorted((one.created_at, one.run_id) for one in found if one.workflow_name == workflow)
    ]


def _name(workflow: Workflow[..., Any] | str) -> str:
    name = workflow.name if isinstance(workflow, Workflow) else workflow
    check_name(name, "workflow")
    return name
