"""Pausing a workflow: its new runs wait, and begin one after the other when it is unpaused.

The history of a waiting run says that the run is started and paused. It stays so until it receives `RunUnpaused`, which
the process that unpauses the workflow sends to all waiting runs, oldest first. If that process dies, the pause is still
`ending`, and the next call that unpauses the workflow continues with the runs that are left.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from time import monotonic
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
    """The workflows that are paused, and those with waiting runs that are yet to be unpaused, by name."""
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
    """Lets runs of a workflow begin again: new runs at once, and one waiting run, oldest first, for each value that is
    requested from the iterator.

    Yields the ids of the waiting runs. At the end the pause is over. Stopped before that, call it again: it continues
    with the runs that are left. Stops by itself if the workflow is paused again. Raises `InvalidInputError`.
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


def unpause_within(world: World, workflow: str, seconds: float) -> tuple[int, bool]:
    """Unpauses a workflow for at most this long. Returns how many waiting runs continue, and whether these were all."""
    until, number = monotonic() + seconds, 0
    for number, _ in enumerate(unpause_workflow(world, workflow), 1):
        if monotonic() > until:
            return number, False
    return number, True


def interval(rate: str | None) -> float:
    """The seconds from one run to the next at a rate such as `20/1s`; 0 for None. Raises `InvalidInputError`."""
    try:
        return parse_rate(rate).interval if rate else 0.0
    except ValueError as error:
        raise InvalidInputError(str(error), [FieldError("rate", str(error))]) from None


def _waiting(world: World, workflow: str) -> Iterator[str]:
    """The runs that a pause of their workflow has stopped, without runs that were paused individually."""
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
