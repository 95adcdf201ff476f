"""What the outside asks of runs: start, signal, cancel, retry.

Bad requests are refused here, before anything is stored.

These functions wait for the world; `Orchestrator` is the same for asyncio.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from types import NoneType
from typing import Any, Literal, get_args

from pydantic_core import from_json

from worldflow.engine.errors import (
    FieldError,
    InvalidInputError,
    RunArchivedError,
    RunEndedError,
    RunExistsError,
    RunNotFoundError,
    WorkflowNotFoundError,
)
from worldflow.engine.history import (
    UNRECORDED,
    AnyFact,
    CancelRequested,
    Json,
    SignalReceived,
    TerminateRequested,
    dump_events,
)
from worldflow.engine.history.forking import forked
from worldflow.engine.ids import check_id, check_name, check_run_id, generation, generation_id, next_generation
from worldflow.engine.texts import is_text
from worldflow.engine.values.serialization import ANYTHING
from worldflow.engine.workflow.definitions import Workflow, check_found, find_workflow
from worldflow.runtime.callers import caller
from worldflow.worlds.base import Fork, RunRecord, World
from worldflow.worlds.messages import FactArrived, Poke, Revival, Start
from worldflow.worlds.payloads import adopt, check_size, fetch_event, stash

REASON_LIMIT = 1_000
"""Characters of a reason, which stands in the run's record."""

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
) -> tuple[RunRecord, bool]:
    """Starts a run, unless it exists. Returns its record, and whether it is new.

    workflow: the workflow, or its name where its code is not in this process; then the input cannot be checked here.
    input: the workflow's arguments by name.
    if_running: what a run of this id that has not ended means: it is returned, or `RunExistsError`, or it is terminated
        and a new one takes its place.
    reuse: what one that has ended means: it is returned, unless given; a new one is started (`allow`), or only where it
        failed or was cancelled (`failed_only`); or `RunExistsError` (`reject`). A new one is the next generation of the
        id, `<id>~2`, which those who ask for the id are led to.
    Raises `InvalidInputError` for an id or input that does not fit, and `RunExistsError` also for the id of another
    workflow's run.
    """
    check_run_id(run_id)
    _check_choice(if_running, IfRunning, "if_running")
    _check_choice(reuse, Reuse | None, "reuse")
    name, values = _encode_input(workflow, input)
    now = world.now()
    stored = stash(world, run_id, values, "input")
    record = RunRecord(
        run_id=run_id, workflow_name=name, created_at=now, updated_at=now, input=stored, traceparent=caller()
    )
    with world.together():
        existing = world.create_run(record)
        while existing:
            if existing.workflow_name != name:
                raise RunExistsError(f"run {run_id!r} exists: it is a run of {existing.workflow_name!r}", run_id)
            newest = newest_generation(world, existing)
            if not _gives_way(newest, if_running, reuse):
                if not newest.ended:
                    # Again: whoever created it may have died before this line.
                    world.send([Start(run_id=newest.run_id)])
                return newest, False
            replaces = None if newest.ended else newest.run_id
            existing = create_generation(world, newest, record.model_copy(update={"replaces": replaces}))
            if replaces:
                # Now that its successor exists, to which what comes behind this is sent on.
                world.send([termination(replaces, successor=next_generation(replaces))])
            record = record if existing else _named(record, next_generation(newest.run_id))
        world.send([Start(run_id=record.run_id)])
        return record, True


def _gives_way(run: RunRecord, if_running: IfRunning, reuse: Reuse | None) -> bool:
    """Whether a new run is to take the place of one that exists. Raises `RunExistsError` where there must be none."""
    if not run.ended:
        if if_running == "fail":
            raise RunExistsError(f"run {run.run_id!r} exists, and is {run.status}", run.run_id)
        return if_running == "terminate_existing"
    if reuse == "reject" or (reuse == "failed_only" and run.status not in ("failed", "cancelled")):
        raise RunExistsError(f"run {run.run_id!r} exists, and is {run.status}", run.run_id)
    return reuse is not None


def newest_generation(world: World, record: RunRecord) -> RunRecord:
    """The newest run of those that follow each other under one id."""
    if not record.ended:
        return record
    base, number = generation(record.run_id)
    newest = world.get_generation(base)
    found = world.get_run(generation_id(base, newest)) if newest > number else _newest_archived(world, record)
    return found or record


def _newest_archived(world: World, record: RunRecord) -> RunRecord | None:
    """The newest generation of a run that is archived: the first knows which that is."""
    if record.archived_at is None:
        return None
    base, number = generation(record.run_id)
    first = record if number == 1 else world.find_run(base)
    newest = first.newest_run_id if first else None
    return world.find_run(newest) if newest and newest != record.run_id else None


def create_generation(world: World, before: RunRecord, record: RunRecord) -> RunRecord | None:
    """Creates the run that follows `before`, as `record` describes it. Returns None, or the run that is there."""
    run_id = next_generation(before.run_id)
    adopted = record.model_copy(update={"run_id": run_id, "input": adopt(world, run_id, record.input)})
    existing = world.create_run(adopted)
    # Also where it exists: whoever created it may have died before this line.
    world.put_generation(*generation(run_id))
    return existing


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
    encoded = ANYTHING.encode(value)
    check_size(encoded, "value")  # before a run is started for it
    if isinstance(workflow, Workflow):
        workflow.check_signal(name, encoded)
    record, created = start(world, run_id, workflow, input, if_running=if_running, reuse=reuse)
    stored = stash(world, record.run_id, encoded)
    fact = SignalReceived(signal_id=signal_id or uuid.uuid4().hex, name=name, value=stored, traceparent=caller())
    _, values = _encode_input(workflow, input)
    revival = Revival(workflow_name=record.workflow_name, input=stash(world, record.run_id, values, "input"))
    world.send([FactArrived(run_id=record.run_id, fact=fact, revival=revival)])
    return record, created


def revive(world: World, run_id: str, revival: Revival, fact: AnyFact) -> str | None:
    """Starts the run that follows one that has ended, for a signal that came too late, which it begins with.

    Returns the id of the run that the signal is to be sent to, where another than this one follows.
    """
    record = _revived(world, next_generation(run_id), revival, fact)
    existing = create_generation(world, read_record(world, run_id), record)
    return _begin_with(world, record, existing, fact)


def start_anew(world: World, run_id: str, revival: Revival, fact: AnyFact) -> str | None:
    """Starts a run for a signal that came when the one that it was sent to was archived: see `revive`.

    Raises `RunArchivedError` as long as that is under way.
    """
    record = _revived(world, run_id, revival, fact)
    existing = world.create_run(record)
    if existing and existing.archived_at:
        raise RunArchivedError(f"run {run_id!r} is being archived", run_id)
    return _begin_with(world, record, existing, fact)


def _revived(world: World, run_id: str, revival: Revival, fact: AnyFact) -> RunRecord:
    now = world.now()
    unread = dump_events([fetch_event(world, fact).recorded(0, UNRECORDED)])
    return RunRecord(
        run_id=run_id,
        workflow_name=revival.workflow_name,
        created_at=now,
        updated_at=now,
        input=adopt(world, run_id, revival.input),
        carried=stash(world, run_id, from_json(unread), "carried"),
        seen=[fact.fact_id],
        traceparent=fact.traceparent if isinstance(fact, SignalReceived) else None,
    )


def _begin_with(world: World, record: RunRecord, existing: RunRecord | None, fact: AnyFact) -> str | None:
    if existing and fact.fact_id not in existing.seen:
        return record.run_id
    world.send([Start(run_id=record.run_id)])
    return None


def signal(world: World, run_id: str, name: str, value: Any = None, *, signal_id: str | None = None) -> str:
    """Sends a signal to a run, in its newest generation. Returns the signal's id.

    signal_id: identifies the signal, so that sending it twice delivers it once; a new one unless given.
    Raises `RunNotFoundError`, `RunEndedError`, `SerializationError`, and `InvalidInputError` for a bad name, and for a
    value that is not of the type that the workflow declares, where its code is in this process.
    """
    check_name(name)
    check_id(signal_id, "signal_id")
    encoded = ANYTHING.encode(value)
    record = open_run(world, run_id)
    if workflow := _known(record):
        workflow.check_signal(name, encoded)
    run_id = record.run_id
    signal_id = signal_id or uuid.uuid4().hex
    fact = SignalReceived(signal_id=signal_id, name=name, value=stash(world, run_id, encoded), traceparent=caller())
    world.send([FactArrived(run_id=run_id, fact=fact)])
    return signal_id


def _known(record: RunRecord) -> Workflow[..., Any] | None:
    """The workflow of a run, where its code is in this process."""
    try:
        return find_workflow(record.workflow_name, record.version)
    except WorkflowNotFoundError:
        return None


def cancel(world: World, run_id: str, reason: str | None = None) -> None:
    """Asks a run to end: its workflow sees `asyncio.CancelledError` where it waits.

    Raises `RunNotFoundError` and `RunEndedError`.
    """
    run_id = open_run(world, run_id).run_id
    # Each request is a message of its own: a second one ends a run whose code broke while it was being cancelled.
    world.send([FactArrived(run_id=run_id, fact=CancelRequested(reason=_brief(reason)), nonce=uuid.uuid4().hex)])


def terminate(world: World, run_id: str, reason: str | None = None) -> None:
    """Ends a run at once, as `cancelled`: its workflow learns nothing of it, and undoes nothing.

    Raises `RunNotFoundError` and `RunEndedError`.
    """
    fact = TerminateRequested(reason=_brief(reason))
    world.send([FactArrived(run_id=open_run(world, run_id).run_id, fact=fact, nonce=uuid.uuid4().hex)])


def termination(run_id: str, *, successor: str) -> FactArrived:
    """Tells a run to end at once, since another takes its place."""
    fact = TerminateRequested(reason="another run takes its place", successor=successor)
    return FactArrived(run_id=run_id, fact=fact, nonce=successor)


def _brief(reason: str | None) -> str | None:
    if reason and not is_text(reason):
        problem = f"{reason!a} cannot be encoded as UTF-8"
        raise InvalidInputError(problem, [FieldError("reason", "must be text that UTF-8 has")])
    return reason[:REASON_LIMIT] if reason else None


def resume(world: World, run_id: str) -> None:
    """Asks for a turn of a run, which does again whatever is open: for one that is blocked, when its code is mended.

    Raises `RunNotFoundError` and `RunEndedError`.
    """
    world.send([Poke(run_id=open_run(world, run_id).run_id)])


def retry(world: World, run_id: str) -> RunRecord:
    """Lets a run that failed go on from what it failed of, as its next generation. Returns that one's record.

    See `engine.forking.retried`. Raises `RunNotFoundError`, `RunArchivedError`, and `InvalidInputError` for a run that
    has not failed.
    """
    failed = newest_generation(world, read_record(world, run_id))
    if not failed.ended and failed.fork_of and failed.fork_of.after is None:
        world.send([Start(run_id=failed.run_id)])  # again: whoever asked before may have died before the last line
        return failed
    if failed.archived_at:
        problem = f"run {failed.run_id!r} is archived, and goes on no more: it can be forked, as a run of another id"
        raise RunArchivedError(problem, failed.run_id)
    if failed.status != "failed":
        problem = f"run {failed.run_id!r} is {failed.status}, and only one that failed can be retried"
        raise InvalidInputError(problem, [FieldError("run_id", "must be a failed run")])
    record = _fork_record(world, failed, next_generation(failed.run_id), None)
    existing = create_generation(world, failed, record)
    world.send([Start(run_id=record.run_id)])
    return existing or record


def fork(world: World, run_id: str, new_run_id: str, *, after: int) -> RunRecord:
    """Starts a run that goes on from another's history, up to event `after` and what was decided with it.

    Raises `RunNotFoundError`, `RunExistsError`, and `InvalidInputError` where there is no such event before the end.
    """
    check_run_id(new_run_id, "new_run_id")
    source = read_record(world, run_id)
    after = len(
        forked(world.find_history(run_id) or [], new_run_id, after)
    )  # with what was decided by now, and no more
    record = _fork_record(world, source, new_run_id, after)
    existing = world.create_run(record)
    if existing and existing.fork_of != record.fork_of:
        raise RunExistsError(f"run {new_run_id!r} exists", new_run_id)
    world.send([Start(run_id=new_run_id)])
    return existing or record


def _fork_record(world: World, source: RunRecord, run_id: str, after: int | None) -> RunRecord:
    now = world.now()
    return RunRecord(
        run_id=run_id,
        workflow_name=source.workflow_name,
        version=source.version,
        created_at=now,
        updated_at=now,
        input=source.input,
        fork_of=Fork(run_id=source.run_id, after=after),
        # A retry stays in the trace of the run that failed.
        traceparent=None if after is None else caller(),
    )


def _encode_input(workflow: Workflow[..., Any] | str, input: Mapping[str, Any] | None) -> tuple[str, Json]:
    if isinstance(workflow, str):
        check_name(workflow, "workflow")
        return workflow, ANYTHING.encode(dict(input or {}))
    if input is not None and not isinstance(input, Mapping):
        given = type(input).__name__
        raise InvalidInputError(
            f"the input of {workflow.name} is given as its arguments by name, and not as {given}",
            [FieldError("input", "must be a mapping from parameter names to values")],
        )
    check_found(workflow)
    return workflow.name, workflow.signature.encode(workflow.signature.validate(input or {}))


def open_run(world: World, run_id: str) -> RunRecord:
    """The record of a run that has not ended, in its newest generation. Raises `RunNotFoundError`, `RunEndedError`."""
    record = newest_generation(world, read_record(world, run_id))
    if record.ended:
        raise RunEndedError(run_id, record.status)
    return record


def read_record(world: World, run_id: str) -> RunRecord:
    """The record of a run, also of one that is archived. Raises `RunNotFoundError`."""
    record = world.find_run(run_id)
    if record is None:
        raise RunNotFoundError(run_id)
    return record


def _check_choice(value: object, choices: Any, field: str) -> None:
    known = [choice for part in get_args(choices) for choice in (get_args(part) or [part]) if choice is not NoneType]
    if value is not None and value not in known:
        rule = f"one of {', '.join(known)}"
        raise InvalidInputError(f"{value!r} is no {field}: it is {rule}", [FieldError(field, f"must be {rule}")])


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
