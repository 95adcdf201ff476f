"""Starting runs of workflows with a `debounce` or a `batch`."""

from __future__ import annotations

from worldflow.engine.durations import seconds
from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import Json
from worldflow.engine.workflow.definitions import Workflow
from worldflow.engine.workflow.gathering import Batch
from worldflow.runtime.callers import caller
from worldflow.worlds.base import World
from worldflow.worlds.gathering import Asked, gather, window_key
from worldflow.worlds.records import Gathers, RunRecord


def start_gathered(world: World, run_id: str, workflow: Workflow[..., object], values: Json) -> tuple[RunRecord, bool]:
    """Adds a start to the run that gathers them, or makes it that run. Returns the record of the run that will run, and
    whether it is new.

    Raises what the policy's `key` raises.
    """
    policy = workflow.starts.gather
    assert policy is not None
    arguments = workflow.signature.decode(values)
    parameter, items = policy.items_of(workflow.name, workflow.signature, arguments)
    key = policy.key_of(workflow.signature, arguments)
    window = window_key(workflow.name, key)
    if isinstance(policy, Batch):
        gathers = Gathers(
            window=window, max_wait=seconds(policy.wait), size=policy.size, parameter=parameter, items=items
        )
    else:
        longest = None if policy.max_wait is None else seconds(policy.max_wait)
        gathers = Gathers(window=window, period=seconds(policy.period), max_wait=longest)
    asked = Asked(
        start_id=run_id,
        workflow_name=workflow.name,
        key=key,
        values=values,
        items=items,
        gathers=gathers,
        traceparent=caller(),
    )
    record, created = gather(world, asked)
    return record.model_copy(update={"status": "pending"}) if record.seq == 0 else record, created


def refuse_options(workflow: Workflow[..., object], **options: object) -> None:
    """Raises `InvalidInputError` for options that a start of such a workflow cannot have."""
    for option, value in options.items():
        if value not in (None, "return_existing"):
            kind = "debounce" if workflow.starts.debounce else "batch"
            problem = f"a start of {workflow.name}, which has a {kind}, cannot have {option}: leave it out"
            raise InvalidInputError(problem, [FieldError(option, f"must not be given for a workflow with a {kind}")])
