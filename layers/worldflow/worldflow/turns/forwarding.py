"""Messages for a run that has ended: they go to the run that follows it, or start one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence

from pydantic_core import from_json

from worldflow.engine.errors import RunArchivedError
from worldflow.engine.history import (
    UNRECORDED,
    AnyFact,
    CancelRequested,
    ChildCompleted,
    ChildFailed,
    Fact,
    RunFailed,
    RunPaused,
    RunUnpaused,
    SignalReceived,
    StepCompleted,
    StepFailed,
    TerminateRequested,
    UpdateReceived,
    dump_events,
)
from worldflow.engine.history.state import RunState
from worldflow.engine.ids import generation, generation_id, is_entity, next_generation
from worldflow.turns.generations import create_generation, read_record
from worldflow.worlds import items, reading
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived, Revival, RunMessage, Start, is_about_a_place
from worldflow.worlds.payloads import adopt, adopt_event, fetch_event, stash
from worldflow.worlds.records import RunRecord

_FOR_THE_SUCCESSOR = (SignalReceived, UpdateReceived, CancelRequested, TerminateRequested, RunPaused, RunUnpaused)
"""What goes to the run that a run has left its place to."""

_FOR_A_NEW_RUN = (SignalReceived, UpdateReceived, ChildCompleted, ChildFailed)
"""What goes to a run that was started under the id of one that had ended by itself."""

_log = logging.getLogger("worldflow")


def forward(
    world: World,
    run_id: str,
    state: RunState,
    messages: Sequence[RunMessage],
    *,
    recorded: Collection[str],
    begin_following: Callable[[], None] | None,
) -> None:
    """Sends what came for a run that has ended to the one that follows it, if one does.

    recorded: the ids of the facts that this turn has recorded.
    begin_following: creates the following generation, where the turn that was to do it may have died each time. A
        message that finds no run is dropped.
    """
    kinds = _FOR_THE_SUCCESSOR if state.successor else _FOR_A_NEW_RUN
    for message in messages:
        if isinstance(message, FactArrived) and (retried := _retried(world, run_id, state, message.fact)):
            _send_on(world, message, retried)
        if not isinstance(message, FactArrived) or not isinstance(message.fact, kinds):
            continue
        if message.fact.fact_id in recorded:
            continue
        if state.has_seen(message.fact):
            _answer_again(world, run_id, state, message.fact)
            continue
        following = state.successor or _newer(world, run_id)
        if following is None and message.revival and _is_failed_entity(state):
            _answer_again(world, run_id, state, message.fact)
        elif following is None and message.revival:
            following = revive(world, run_id, message.revival, message.fact)
        if following and following != getattr(message.fact, "successor", None):
            if begin_following:
                begin_following()
                begin_following = None
            _send_on(world, message, following)


def _retried(world: World, run_id: str, state: RunState, fact: AnyFact) -> str | None:
    """The retry of a failed run, if it waits for the outcome of a call of an entity that the failed run has made. The
    entity answers the run that made the call.
    """
    step = state.steps.get(fact.step_id) if isinstance(fact, (StepCompleted, StepFailed)) else None
    if step is None or not step.scheduled.entity:
        return None
    following = world.get_run(next_generation(run_id))
    fork = following.fork_of if following else None
    return following.run_id if following and fork and (fork.run_id, fork.after) == (run_id, None) else None


def _is_failed_entity(state: RunState) -> bool:
    """Whether a run is an entity that has failed. It is not started anew: its state would be lost."""
    return state.started is not None and is_entity(state.started.workflow_name) and isinstance(state.ended, RunFailed)


def _answer_again(world: World, run_id: str, state: RunState, fact: AnyFact) -> None:
    """Answers a call of an entity whose run has ended and is not started anew."""
    if isinstance(fact, UpdateReceived) and fact.caller:
        from worldflow.turns.acts.entity_calls import answer_again

        world.send(answer_again(world, run_id, state, fact))


def forward_from_nowhere(world: World, run_id: str, messages: Sequence[RunMessage]) -> None:
    """Sends what came for a run that is archived, or that never was, to the one that has taken its place."""
    if any(map(is_about_a_place, messages)):
        from worldflow.turns.places import leave_unless_open  # which hardly any turn needs

        if granted := leave_unless_open(world, messages):
            world.send(granted)
    base, _ = generation(run_id)
    newest = generation_id(base, items.get_generation(world, base))
    follows = newest != run_id and world.get_run(newest) is not None
    for message in messages:
        if not isinstance(message, FactArrived):
            _log.warning("run %s has no record: dropped a message: %s", run_id, message.kind)
        elif follows and isinstance(message.fact, _forwarded_kinds(world, run_id)):
            _send_on(world, message, newest)
        elif message.revival and not follows:
            # The signal was promised a run.
            if start_anew(world, base, message.revival, message.fact):
                _send_on(world, message.model_copy(update={"nonce": "anew"}), base)
        else:
            _log.warning("run %s has no record: dropped a message: %s", run_id, message.fact.event_type)


def _forwarded_kinds(world: World, run_id: str) -> tuple[type[Fact], ...]:
    record = reading.find_run(world, run_id)
    return _FOR_THE_SUCCESSOR if record and record.next_run_id else _FOR_A_NEW_RUN


def _send_on(world: World, message: FactArrived, run_id: str) -> None:
    fact = adopt_event(world, run_id, message.fact)
    world.send([message.model_copy(update={"run_id": run_id, "fact": fact})])


def _newer(world: World, run_id: str) -> str | None:
    """The newest generation, if it follows this one."""
    base, number = generation(run_id)
    newest = items.get_generation(world, base)
    return generation_id(base, newest) if newest > number else None


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
