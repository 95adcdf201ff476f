"""Starting runs of workflows with a `debounce` or a `batch`."""

from __future__ import annotations

from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import Json
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime.callers import caller
from worldflow.worlds.base import World
from worldflow.worlds.gathering import asked_of, gather
from worldflow.worlds.records import RunRecord


def start_gathered(world: World, run_id: str, workflow: Workflow[..., object], values: Json) -> tuple[RunRecord, bool]:
    """Adds a start to the run that gathers them, or makes it that run. Returns the record of the run that will run, and
    whether it is new.

    Raises what the policy's `key` raises.
    """
    asked = asked_of(workflow, run_id, values, caller())
    record, created = gather(world, asked)
    return record.model_copy(update={"status": "pending"}) if record.seq == 0 else record, created


def refuse_options(workflow: Workflow[..., object], **options: object) -> None:
    """Raises `InvalidInputError` for options that a start of such a workflow cannot have."""
    for option, value in options.items():
        if value not in (None, "return_existing"):
            kind = "debounce" if workflow.starts.debounce else "batch"
            problem = f"a start of {workflow.name}, which has a {kind}, cannot have {option}: leave it out"
            raise InvalidInputError(problem, [FieldError(option, f"must not be given for a workflow with a {kind}")])
