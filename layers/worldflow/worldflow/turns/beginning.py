"""How a run begins: the first events of its history, from its record."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial

from worldflow.engine.history import (
    Applied,
    ChildStarted,
    Event,
    HookCreated,
    Json,
    RunForked,
    RunStarted,
    StepScheduled,
)
from worldflow.engine.history.editing import Edits
from worldflow.engine.history.forking import forked, retried, streams_left
from worldflow.engine.history.state import RunState
from worldflow.engine.ids import generation
from worldflow.engine.traceparent import run_context
from worldflow.engine.workflow.definitions import Workflow
from worldflow.turns.webhook_tokens import WebhooksOf
from worldflow.worlds import reading
from worldflow.worlds.base import World
from worldflow.worlds.histories import taken_over, with_whole
from worldflow.worlds.payloads import Whole, adopt_events, fetch, fetch_failure, stash
from worldflow.worlds.records import Fork, RunRecord


def seed(chance: random.Random) -> str:
    return f"{chance.getrandbits(128):032x}"


def start(
    record: RunRecord, workflow: Workflow[..., object] | None, chance: random.Random, traceparent: str | None
) -> RunStarted:
    """The first event of a run.

    workflow: None where its code is not there; its version and timeout are not known then.
    """
    return RunStarted(
        run_id=record.run_id,
        workflow_name=record.workflow_name,
        version=workflow.version if workflow else record.version,
        created_at=record.created_at,
        input=record.input,
        timeout=workflow.timeout if workflow else None,
        execution_timeout=workflow.starts.execution_timeout if workflow else None,
        max_attempts=workflow.starts.max_attempts if workflow else None,
        seed=seed(chance),
        parent=record.parent,
        attributes=record.attributes or None,
        carried=record.carried,
        seen=record.seen or None,
        replaces=record.replaces,
        restored=record.restored,
        limit=record.limit,
        start_at=record.start_at,
        throttled=record.throttled,
        gathered=record.gathered,
        attempt=record.attempt,
        first_at=record.first_at,
        expires_at=record.expires_at,
        notifies_schedule=record.notifies_schedule,
        traceparent=traceparent,
        headers=record.headers,
    )


def fork(
    world: World, record: RunRecord, fork_of: Fork, chance: random.Random, traceparent: str | None
) -> tuple[Sequence[Event], RunForked]:
    """The events that a fork or a retry takes over from another run's history, and the event that says so.

    traceparent: the span of the new run.
    """
    source = with_whole(reading.find_history(world, fork_of.run_id) or [], world)
    if fork_of.after is None:
        taken = retried(source, record.run_id, partial(fetch_failure, world))
    else:
        edits = edits_of(world, fork_of)
        stored = {seq: stash(world, record.run_id, data, "edit") for seq, data in edits.items()}
        taken = forked(source, record.run_id, fork_of.after, stored)
    is_next = generation(fork_of.run_id)[0] == generation(record.run_id)[0]
    streams = streams_left(source, taken) if is_next else []
    events = [
        _of_its_own(world, record, fork_of, event, traceparent) for event in adopt_events(world, record.run_id, taken)
    ]
    if fork_of.after is not None and isinstance(start := events[0], RunStarted) and _is_unbegun(start, events):
        events[0] = start.model_copy(update={"seed": seed(chance)})  # nothing has come of the other run's
    return taken_over(world, record.run_id, events), RunForked(
        run_id=fork_of.run_id,
        after=fork_of.after,
        edit=fork_of.edit,
        seed=seed(chance),
        traceparent=_span_of(source, fork_of),
        streams=streams or None,
    )


def called_anew(
    world: World, run_id: str, state: RunState, adopted: Sequence[Event], arguments: Mapping[str, Json], edits: Edits
) -> Sequence[Event] | None:
    """The events that a fork takes over, with the arguments that the code has for what is open in it, now that data
    before it is edited. None where they are the same.
    """
    calls: list[StepScheduled | ChildStarted] = [step.scheduled for step in state.steps.values()]
    calls += [child.started for child in state.children.values() if not child.started.detached]
    anew: dict[int, Event] = {}
    for call in calls:
        if call.identity[1] in arguments and call.seq not in edits:
            anew[call.seq] = call.model_copy(update={"input": Whole(arguments[call.identity[1]], None)})
    # What other events have borrowed from these, they cannot any more.
    return taken_over(world, run_id, [anew.get(event.seq, event) for event in adopted]) if anew else None


def edits_of(world: World, fork_of: Fork) -> Edits:
    """The data that a fork has in place of the other run's."""
    return {int(seq): data for seq, data in (fetch(world, fork_of.edit) or {}).items()}


def _is_unbegun(start: RunStarted, events: Sequence[Event]) -> bool:
    """Whether the workflow has not learned of its start yet."""
    return bool(start.held) and not any(
        isinstance(event, Applied) and event.fact_id == start.fact_id for event in events
    )


def _of_its_own(world: World, record: RunRecord, fork_of: Fork, event: Event, traceparent: str | None) -> Event:
    """The event with its own values for what cannot be the other run's: when this one was asked for, its place in
    traces, and the webhooks of a fork.
    """
    if isinstance(event, RunStarted):
        taken = event.traceparent if fork_of.after is None else None
        changes = {"created_at": record.created_at, "traceparent": taken or traceparent, "replaces": record.replaces}
        changes |= {"start_at": record.start_at, "limit": None}
        return event.model_copy(update=changes)
    if isinstance(event, HookCreated) and event.webhook and fork_of.after is not None:
        return event.model_copy(update={"token": WebhooksOf(world).another(record.run_id, event)})
    return event


def _span_of(history: Sequence[Event], fork_of: Fork) -> str | None:
    """The span of the run that is forked, where that is in a trace."""
    started = history[0] if history else None
    if not isinstance(started, RunStarted) or started.traceparent is None:
        return None
    return str(run_context(fork_of.run_id, started.created_at, started.traceparent))
