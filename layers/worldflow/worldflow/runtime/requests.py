"""What the outside asks of runs: start, signal, cancel. Bad requests are refused here, before anything is stored.

These functions wait for the world; `Orchestrator` is the same for asyncio.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from worldflow.engine.definitions import Workflow, find_workflow
from worldflow.engine.errors import FieldError, InvalidInputError, RunEndedError, RunExistsError, RunNotFoundError
from worldflow.engine.history import CancelRequested, Json, SignalReceived
from worldflow.engine.serialization import Codec
from worldflow.worlds.base import RunRecord, World
from worldflow.worlds.messages import FactArrived, Start
from worldflow.worlds.payloads import stash

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:=@+-]{0,99}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}")
_ANYTHING = Codec(Any, "value")


def start(
    world: World, run_id: str, workflow: Workflow[..., Any] | str, input: Mapping[str, Any] | None = None
) -> tuple[RunRecord, bool]:
    """Starts a run, unless it exists. Returns its record, and whether it is new.

    workflow: the workflow, or its name where its code is not in this process; then the input cannot be checked here.
    input: the workflow's arguments by name.
    Raises `InvalidInputError` for an id or input that does not fit, and `RunExistsError` for the id of another
    workflow's run.
    """
    _check(run_id, _RUN_ID, "run_id", "up to 100 letters, digits and _.:=@+-, of which the first is a letter or digit")
    name, values = _encode_input(workflow, input)
    now = world.now()
    record = RunRecord(
        run_id=run_id, workflow_name=name, created_at=now, updated_at=now, input=stash(world, run_id, values)
    )
    existing = world.create_run(record)
    if existing and existing.workflow_name != name:
        raise RunExistsError(f"run {run_id!r} exists: it is a run of {existing.workflow_name!r}", run_id)
    if existing is None or not existing.ended:
        # Again for one that exists: whoever created it may have died before this line.
        world.send([Start(run_id=run_id)])
    return existing or record, existing is None


def signal(world: World, run_id: str, name: str, value: Any = None, *, signal_id: str | None = None) -> str:
    """Sends a signal to a run. Returns its id.

    signal_id: identifies the signal, so that sending it twice delivers it once; a new one unless given.
    Raises `RunNotFoundError`, `RunEndedError`, `SerializationError`, and `InvalidInputError` for a bad name.
    """
    _check(name, _NAME, "name", "up to 100 letters, digits and _.:-")
    encoded = _ANYTHING.encode(value)
    _open_run(world, run_id)
    signal_id = signal_id or uuid.uuid4().hex
    fact = SignalReceived(signal_id=signal_id, name=name, value=stash(world, run_id, encoded))
    world.send([FactArrived(run_id=run_id, fact=fact)])
    return signal_id


def cancel(world: World, run_id: str, reason: str | None = None) -> None:
    """Asks a run to end: its workflow sees `asyncio.CancelledError` where it waits.

    Raises `RunNotFoundError` and `RunEndedError`.
    """
    _open_run(world, run_id)
    # Each request is a message of its own: a second one ends a run whose code broke while it was being cancelled.
    world.send([FactArrived(run_id=run_id, fact=CancelRequested(reason=reason), nonce=uuid.uuid4().hex)])


def _encode_input(workflow: Workflow[..., Any] | str, input: Mapping[str, Any] | None) -> tuple[str, Json]:
    if isinstance(workflow, str):
        _check(workflow, _NAME, "workflow", "up to 100 letters, digits and _.:-")
        return workflow, _ANYTHING.encode(dict(input or {}))
    if input is not None and not isinstance(input, Mapping):
        given = type(input).__name__
        raise InvalidInputError(
            f"the input of {workflow.name} is given as its arguments by name, and not as {given}",
            [FieldError("input", "must be a mapping from parameter names to values")],
        )
    return workflow.name, workflow.signature.encode(workflow.signature.validate(input or {}))


def _open_run(world: World, run_id: str) -> None:
    record = world.get_run(run_id)
    if record is None:
        raise RunNotFoundError(run_id)
    if record.ended:
        raise RunEndedError(run_id, record.status)


def _check(text: str, pattern: re.Pattern[str], field: str, rule: str) -> None:
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise InvalidInputError(f"{text!r} is not a {field}: it takes {rule}", [FieldError(field, f"must be {rule}")])


def resolve(workflow: Workflow[..., Any] | str | None, workflow_name: str | None) -> Workflow[..., Any] | str:
    """The workflow that somebody names by the function, by its name, or by both."""
    if isinstance(workflow, Workflow):
        if workflow_name not in (None, workflow.name):
            raise InvalidInputError(
                f"{workflow!r} is not named {workflow_name!r}",
                [FieldError("workflow_name", f"must be {workflow.name!r}")],
            )
        return workflow
    name = workflow or workflow_name
    if not isinstance(name, str):
        raise InvalidInputError(
            "start_workflow needs a function decorated with @workflow, or the name of one",
            [FieldError("workflow", "must be a workflow or its name")],
        )
    try:
        return find_workflow(name)
    except InvalidInputError:
        return name
