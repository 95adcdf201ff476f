"""Limited workflows: a run that is about to begin asks for a place at its limit.

It has the place until it ends, over all generations and attempts. While it waits, nothing of it is committed, unless
something comes for it, which is then held. What is recorded of the place is recorded with its start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from worldflow.engine.errors import LimitExceededError, WorkflowNotFoundError
from worldflow.engine.history import AnyDecision, CancelRequested, RunCancelled, RunFailed, RunStarted
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.history.limit_state import Asker, Holder, LimitState
from worldflow.engine.history.limits import LimitRow, Place, read_token, run_token
from worldflow.engine.workflow.definitions import Workflow
from worldflow.engine.workflow.ramps import version_for
from worldflow.turns.acts.limits import dead_holders, grant, granted_by, granted_nonce, look, watcher
from worldflow.turns.generations import continues
from worldflow.turns.places import leave, place_of, places_of
from worldflow.turns.throttling import input_of
from worldflow.worlds import limits
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived, Outgoing, Poke, RunMessage
from worldflow.worlds.outages import OutageError
from worldflow.worlds.records import RunRecord


@dataclass(slots=True)
class Admission:
    """Whether a run may begin."""

    limit: dict[str, Any] | None = None
    """Its place, as its start records it; None if it is not limited."""
    waits: bool = False
    decision: AnyDecision | None = None
    """How it ends if it does not wait."""
    messages: list[Outgoing] = field(default_factory=list)


def admission(
    world: World,
    run_id: str,
    record: RunRecord | RunStarted,
    messages: Sequence[RunMessage],
    *,
    again: bool,
) -> Admission:
    """Asks for the place of a run that is about to begin.

    record: its own, or its start where that is recorded and held.
    messages: those of its turn.
    again: what its earlier turns were to send may not have been sent.
    """
    try:
        workflow = version_for(record.workflow_name, run_id, record.version)
    except WorkflowNotFoundError:
        return Admission()  # it asks when its code is there
    has_place = record.limit is not None and read_token(record.limit["token"])[0] != run_id
    if workflow.starts.limit is None or has_place:  # that of the generation before it
        return Admission()
    try:
        arguments = workflow.signature.decode(input_of(world, record.input))
    except OutageError:
        raise  # without the input the key of its place is unknown
    except Exception:
        return Admission()  # it begins, and fails of its input
    try:
        place = workflow.starts.limit.place(
            workflow.signature, arguments, workflow.starts.priority, workflow.starts.fairness
        )
    except Exception as error:
        return Admission(decision=RunFailed(error=encode_exception(error), forced=True))
    limit = {**place.dump(), "token": run_token(run_id, record.created_at)}
    # Places at a limit that the code named earlier.
    own = place_of(limit)
    others = [one for one in places_of(messages) if one != own]
    left = [message for one in others for message in leave(world, one, for_good=False)]
    found, holder = _enter(world, run_id, workflow, place, limit, record.created_at, again=again)
    if holder and holder.at > world.now().timestamp() and not _has_come(messages, holder):  # an operator has set a rate
        found.waits = True
        found.messages.append(grant((place.limit, place.key), holder, world.now()))
    return replace(found, messages=[*left, *found.messages])


def _has_come(messages: Sequence[RunMessage], holder: Holder) -> bool:
    """Whether the message of a place has arrived: by the queue's clock its time has come."""
    return any(isinstance(message, Poke) and message.nonce == granted_nonce(holder) for message in messages)


def _enter(
    world: World,
    run_id: str,
    workflow: Workflow[..., object],
    place: Place,
    limit: dict[str, Any],
    created_at: datetime,
    *,
    again: bool,
) -> tuple[Admission, Holder | None]:
    """The admission of a run, and its place if it has one."""
    token, excess = limit["token"], workflow.starts.limit.excess if workflow.starts.limit else "queue"
    if excess != "queue" and continues(world, run_id):
        excess = "queue"  # an earlier generation has done some of the work: it must not be refused
    asker = Asker(token, place.priority, place.fairness, workflow.timeout or 0.0)
    dead: list[str] = []

    def plan(state: LimitState) -> LimitRow | None:
        row = state.plan(
            world.now(), ends=dead, asks=[asker], declared=place.declared, declared_at=created_at.timestamp()
        )
        if row is None or excess not in ("skip", "fail") or token in state.waiting:
            return row
        return row if token in state.applied(row).holders else None

    state, row = limits.change(world, place.limit, place.key, plan)
    if token not in state.holders and (again or excess in ("skip", "fail")):
        dead += dead_holders(world, state)
        if dead:
            state, row = limits.change(world, place.limit, place.key, plan)
    now = world.now()
    found = Admission(limit)
    found.messages += [
        grant((place.limit, place.key), holder, now)
        for holder in granted_by(state, row, dead, again=again)
        if holder.asker.token != token
    ]
    if watch := watcher(state, None if dead else row, again=again or bool(dead)):
        found.messages.append(look((place.limit, place.key), state, watch, now))
    if token in state.waiting:
        found.waits = True
        if excess == "cancel_oldest":
            found.messages += _cancellations(state, place, token)
    elif token not in state.holders and token not in state.ended:
        found.limit, found.decision = None, _refusal(place, state, excess)
    return found, state.holders.get(token)


def _refusal(place: Place, state: LimitState, excess: str) -> AnyDecision:
    holder = next((read_token(token)[0] for token in state.holders), None)
    of_key = f" with the key {place.key!r}" if place.key else ""
    held = f"is held by run {holder!r}" if holder else "lets nothing through"
    text = f"limit {place.limit!r}{of_key} {held}"
    if excess == "skip":
        return RunCancelled(reason=f"skipped: {text}", forced=True)
    return RunFailed(error=encode_exception(LimitExceededError(text, place.limit)), forced=True)


def _cancellations(state: LimitState, place: Place, token: str) -> Iterator[Outgoing]:
    """Asks the oldest runs to end: as many as are in the way of the newest."""
    since = {holder.asker.token: holder.asker.since for holder in state.holders.values()}
    since |= {asker.token: asker.since for asker in state.waiting.values()}
    surplus = len(since) - (state.effective.concurrency or 0)
    for oldest in sorted(since, key=lambda one: since[one])[: max(surplus, 0)]:
        if oldest != token:
            by, _, _ = read_token(token)
            fact = CancelRequested(reason=f"limit {place.limit!r} makes room for run {by!r}")
            yield FactArrived(run_id=read_token(oldest)[0], fact=fact, nonce=token)
