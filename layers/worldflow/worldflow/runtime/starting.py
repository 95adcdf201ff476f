"""What the outside asks of runs: start, signal, cancel, retry.

Bad requests are refused here, before anything is stored.

These functions wait for the world; `Orchestrator` is the same for asyncio.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from types import NoneType
from typing import Any, Literal, get_args

from worldflow.engine.durations import Duration
from worldflow.engine.errors import (
    FieldError,
    InvalidInputError,
    RunArchivedError,
    RunExistsError,
    WorkflowNotFoundError,
)
from worldflow.engine.history import (
    Json,
    SignalReceived,
)
from worldflow.engine.history.editing import Edits
from worldflow.engine.history.forking import forked, settled
from worldflow.engine.ids import check_id, check_name, check_run_id, is_entity, next_generation
from worldflow.engine.values.serialization import ANYTHING
from worldflow.engine.workflow.definitions import Workflow, check_found, find_workflow
from worldflow.engine.workflow.ramps import workflow_for
from worldflow.runtime.callers import caller
from worldflow.runtime.delays import start_time
from worldflow.runtime.edits import Edit, by_number, read_edits
from worldflow.runtime.gathering import refuse_options, start_gathered
from worldflow.runtime.headers import check_headers
from worldflow.turns.generations import create_generation, newest_generation, read_record
from worldflow.turns.other_runs import check_declared
from worldflow.worlds import reading
from worldflow.worlds.base import World
from worldflow.worlds.histories import with_whole
from worldflow.worlds.messages import FactArrived, Revival, Start, start_of, termination
from worldflow.worlds.payloads import check_size, fetch, stash
from worldflow.worlds.records import Fork, RunRecord

IfRunning = Literal["return_existing", "fail", "terminate_existing"]
Reuse = Literal["allow", "failed_only", "reject"]


def start(
    world: World,
    run_id: str,
    workflow: Workflow[..., Any] | str,
    input: Mapping[str, Any] | None = None,
    *,
    if_running: IfRunning = "return_existing",
    reuse: Reuse | None = None,
    delay: Duration | None = None,
    start_at: datetime | None = None,
    notifies_schedule: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[RunRecord, bool]:
    """Starts a run, unless it exists. Returns its record, and whether it is new.

    workflow: the workflow, or its name if its code is not in this process; then the input cannot be validated here.
    input: the workflow's arguments by name.
    if_running: what to do if a run with this id has not ended: return it, raise `RunExistsError`, or terminate it and
        start a new run in its place.
    reuse: what to do if a run with this id has ended. Default: return it. `allow` starts a new run, `failed_only` only
        if it failed or was cancelled, and otherwise raises `RunExistsError`, as `reject` always does. The new run is
        the next generation of the id, `<id>~2`, to which requests for the id are then led.
    delay, start_at: how long it waits before it begins, or until when. A run that exists keeps its time.
    notifies_schedule: which schedule is notified when it ends.
    headers: what it carries for interceptors. A run that exists keeps those that it has.
    Raises `InvalidInputError`, and `RunExistsError` also for the id of another workflow's run.
    """
    check_run_id(run_id)
    _check_choice(if_running, IfRunning, "if_running")
    _check_choice(reuse, Reuse | None, "reuse")
    check_headers(headers)
    name, values = encode_input(workflow, input)
    if known := gathering(workflow, run_id):
        refuse_options(known, if_running=if_running, reuse=reuse, delay=delay, start_at=start_at, headers=headers)
        if world.get_run(run_id) is None:
            return start_gathered(world, run_id, known, values)
    record = _new_record(world, run_id, name, values, headers=headers, notifies_schedule=notifies_schedule)
    record = record.model_copy(update={"start_at": start_time(record.created_at, delay, start_at)})
    with world.together():
        existing = world.create_run(record)
        while existing:
            if existing.workflow_name != name:
                raise RunExistsError(f"run {run_id!r} already exists, as a run of {existing.workflow_name!r}", run_id)
            newest = newest_generation(world, existing)
            if not _gives_way(newest, if_running, reuse):
                if not newest.ended:
                    # Again: the process that created it may have died before this line.
                    world.send([start_of(newest.run_id, newest.start_at)])
                return newest, False
            replaces = None if newest.ended else newest.run_id
            existing = create_generation(world, newest, record.model_copy(update={"replaces": replaces}))
            if replaces:
                # Now that its successor exists, to which later messages are forwarded.
                world.send([termination(replaces, successor=next_generation(replaces))])
            record = record if existing else _named(record, next_generation(newest.run_id))
        world.send([start_of(record.run_id, record.start_at)])
        return record, True


def _new_record(
    world: World,
    run_id: str,
    name: str,
    values: Json,
    *,
    headers: Mapping[str, str] | None,
    notifies_schedule: str | None,
) -> RunRecord:
    now = world.now()
    return RunRecord(
        run_id=run_id,
        workflow_name=name,
        created_at=now,
        updated_at=now,
        input=stash(world, run_id, values, "input"),
        traceparent=caller(),
        headers=dict(headers) if headers else None,
        notifies_schedule=notifies_schedule,
    )


def gathering(workflow: Workflow[..., Any] | str, run_id: str) -> Workflow[..., Any] | None:
    """The version of the workflow that this start is of, if its code is here and several starts become one run."""
    try:
        found = workflow_for(workflow if isinstance(workflow, str) else workflow.name, run_id)
    except WorkflowNotFoundError:
        return None
    return found if found.starts.gather else None


def _gives_way(run: RunRecord, if_running: IfRunning, reuse: Reuse | None) -> bool:
    """Whether a new run is to take the place of one that exists. Raises `RunExistsError` where there must be none."""
    if not run.ended:
        if if_running == "fail":
            raise RunExistsError(f"run {run.run_id!r} already exists ({run.status})", run.run_id)
        return if_running == "terminate_existing"
    if reuse == "reject" or (reuse == "failed_only" and run.status not in ("failed", "cancelled")):
        raise RunExistsError(f"run {run.run_id!r} already exists ({run.status})", run.run_id)
    return reuse is not None


def _named(record: RunRecord, run_id: str) -> RunRecord:
    return record.model_copy(update={"run_id": run_id})


def signal_with_start(
    world: World,
    run_id: str,
    workflow: Workflow[..., Any] | str,
    input: Mapping[str, Any] | None,
    *,
    name: str,
    value: Any = None,
    signal_id: str | None = None,
    if_running: IfRunning = "return_existing",
    reuse: Reuse | None = "allow",
) -> tuple[RunRecord, bool]:
    """Sends a signal to a run, which is started if there is none of this id, or if the last has ended.

    So also where it ends before the signal comes to it: then a run is started for the signal. Returns the run's record,
    and whether it is new. See `start` and `signal`.
    """
    check_name(name)
    check_id(signal_id, "signal_id")
    if known := gathering(workflow, run_id):
        raise InvalidInputError(
            f"{known.name} gathers starts, and begins at once for a signal: call start_workflow, then signal",
            [FieldError("workflow", "must not have a debounce or a batch")],
        )
    encoded = ANYTHING.encode(value)
    check_size(encoded, "value")  # before a run is started for it
    if isinstance(workflow, Workflow):
        check_declared(workflow, run_id, name, encoded)
    record, created = start(world, run_id, workflow, input, if_running=if_running, reuse=reuse)
    stored = stash(world, record.run_id, encoded)
    fact = SignalReceived(signal_id=signal_id or uuid.uuid4().hex, name=name, value=stored, traceparent=caller())
    _, values = encode_input(workflow, input)
    revival = Revival(workflow_name=record.workflow_name, input=stash(world, record.run_id, values, "input"))
    world.send([FactArrived(run_id=record.run_id, fact=fact, revival=revival)])
    return record, created


def retry(world: World, run_id: str, input: Mapping[str, Any] | None = None) -> RunRecord:
    """Continues a failed run from the point of failure, as its next generation. Returns that one's record.

    input: arguments of the workflow in place of those that the run had, by name. It then starts from the beginning.
    See `engine.forking.retried`. Raises `RunNotFoundError`, `RunArchivedError`, and `InvalidInputError` for a run that
    has not failed.
    """
    failed = newest_generation(world, read_record(world, run_id))
    if not failed.ended and failed.fork_of and _is_same_retry(world, failed.fork_of, input):
        world.send([Start(run_id=failed.run_id)])  # again: an earlier caller may have died before the last line
        return failed
    if failed.archived_at:
        problem = f"run {failed.run_id!r} is archived and cannot be retried: fork it as a new run instead"
        raise RunArchivedError(problem, failed.run_id)
    if failed.status != "failed":
        problem = f"run {failed.run_id!r} is {failed.status}: only a failed run can be retried"
        raise InvalidInputError(problem, [FieldError("run_id", "only a failed run can be retried")])
    record = _fork_record(world, failed, next_generation(failed.run_id), *_retried_from(world, failed, input))
    existing = create_generation(world, failed, record)
    world.send([Start(run_id=record.run_id)])
    return existing or record


def _retried_from(world: World, failed: RunRecord, input: Mapping[str, Any] | None) -> tuple[int | None, Edits]:
    """The event after which a retry continues, and what is other data there."""
    if input is None:
        return None, {}
    history = with_whole(reading.find_history(world, failed.run_id) or [], world)
    return 1, read_edits(world, next_generation(failed.run_id), history, 1, {1: input})


def _is_same_retry(world: World, made: Fork, input: Mapping[str, Any] | None) -> bool:
    """Whether a run was made by the same request."""
    if input is None or made.after is None:
        return input is None and made.after is None
    arguments = (fetch(world, made.edit) or {}).get("1")
    return isinstance(arguments, dict) and {**arguments, **ANYTHING.encode(dict(input))} == arguments


def fork(
    world: World, run_id: str, new_run_id: str, *, after: int | None = None, edit: Edit | None = None
) -> RunRecord:
    """Starts a run that continues from another's history, up to event `after` and the decisions made with it.

    after: default: the last event that is edited.
    edit: see `edits.py`.
    Raises `RunNotFoundError`, `RunExistsError`, and `InvalidInputError` where there is no such event before the end, or
    for what cannot be edited.
    """
    check_run_id(new_run_id, "new_run_id")
    source = read_record(world, run_id)
    if is_entity(source.workflow_name):
        problem = f"run {run_id!r} is an entity, whose fork would answer its callers, too: it cannot be forked"
        raise InvalidInputError(problem, [FieldError("run_id", "must not be that of an entity")])
    history, edited = with_whole(reading.find_history(world, run_id) or [], world), by_number(edit or {})
    if after is None:
        if not edited:
            problem = "name the event after which the fork continues, or one to edit"
            raise InvalidInputError("a fork continues after some event", [FieldError("after", problem)])
        after = max(edited)
    if edited:
        edits = read_edits(world, new_run_id, history, after, edited)
    else:
        forked(history, new_run_id, after)
        edits = {}
    record = _fork_record(world, source, new_run_id, settled(history, after, edits), edits)
    existing = world.create_run(record)
    if existing and not _is_same_fork(world, existing.fork_of, record.fork_of):
        raise RunExistsError(f"run {new_run_id!r} already exists", new_run_id)
    world.send([Start(run_id=new_run_id)])
    return existing or record


def _is_same_fork(world: World, one: Fork | None, other: Fork | None) -> bool:
    if one is None or other is None or (one.run_id, one.after) != (other.run_id, other.after):
        return False
    return bool(fetch(world, one.edit) == fetch(world, other.edit))  # a codec makes another text each time


def _fork_record(world: World, source: RunRecord, run_id: str, after: int | None, edits: Edits) -> RunRecord:
    now = world.now()
    if after is None:
        traceparent = None  # that of the history
    else:
        is_retry = run_id == next_generation(source.run_id)
        traceparent = source.traceparent if is_retry else caller()  # a retry stays in the trace of the run that failed
    edit = stash(world, run_id, {str(seq): data for seq, data in edits.items()}, "edit") if edits else None
    return RunRecord(
        run_id=run_id,
        workflow_name=source.workflow_name,
        version=source.version,
        created_at=now,
        updated_at=now,
        input=stash(world, run_id, edits[1], "input") if 1 in edits else source.input,
        fork_of=Fork(run_id=source.run_id, after=after, edit=edit),
        traceparent=traceparent,
        headers=source.headers,
    )


def encode_input(workflow: Workflow[..., Any] | str, input: Mapping[str, Any] | None) -> tuple[str, Json]:
    """The name of a workflow, and the JSON of its input. Raises `InvalidInputError`."""
    if isinstance(workflow, str):
        check_name(workflow, "workflow")
        return workflow, ANYTHING.encode(dict(input or {}))
    if input is not None and not isinstance(input, Mapping):
        given = type(input).__name__
        raise InvalidInputError(
            f"the input of {workflow.name} must map its parameter names to values, not be of type {given}",
            [FieldError("input", "must be a mapping from parameter names to values")],
        )
    check_found(workflow)
    arguments = workflow.signature.validate(input or {})
    if throttle := workflow.starts.throttle:
        throttle.key_of(workflow.signature, arguments)  # what it raises is the caller's error
    return workflow.name, workflow.signature.encode(arguments)


def _check_choice(value: object, choices: Any, field: str) -> None:
    known = [choice for part in get_args(choices) for choice in (get_args(part) or [part]) if choice is not NoneType]
    if value is not None and value not in known:
        rule = f"one of {', '.join(known)}"
        raise InvalidInputError(
            f"{value!r} is not a valid {field}: it must be {rule}", [FieldError(field, f"must be {rule}")]
        )


def resolve(
    workflow: Workflow[..., Any] | str | None, workflow_name: str | None, run_id: str | None = None
) -> Workflow[..., Any] | str:
    """The workflow that the caller names by the function, by its name, or by both.

    run_id: of the run that is to start. A name then means the version that this run gets.
    """
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
            "start_workflow needs a function decorated with @workflow, or its name",
            [FieldError("workflow", "must be a workflow or its name")],
        )
    try:
        return find_workflow(name) if run_id is None else workflow_for(name, run_id)
    except InvalidInputError:
        return name
