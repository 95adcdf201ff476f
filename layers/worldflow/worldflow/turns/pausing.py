"""What a turn does about pauses of its run.

A pause counts before all else that comes in its turn: nothing is decided together with it, so that no step is scheduled
that was to wait. While the run is paused, facts are held, like those of a blocked run, and its code is not even loaded;
no attempt is sent and no inline step runs. The turn that learns of the end of the pause applies what is held, and acts
once more on all that is open, which sends the attempts that have fallen due.

A run that is about to begin reads, in one request with its record, whether its workflow is paused, and then begins with
a pause. The process that unpauses the workflow finds such runs in a list, which shows them shortly after their commits.
So a run that the workflow's pause stops looks once more, a minute later.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from worldflow.engine.errors import ConflictError
from worldflow.engine.history import AnyFact, CancelRequested, RunPaused, RunUnpaused, StepFailed
from worldflow.engine.history.state import RunState
from worldflow.turns.acts.steps import timeout_nonce
from worldflow.turns.generations import continues
from worldflow.turns.live_run import LiveRun
from worldflow.worlds.base import World
from worldflow.worlds.messages import Delayed, FactArrived, Outgoing, Poke, RunMessage
from worldflow.worlds.records import RunRecord
from worldflow.worlds.workflow_pauses import pauses_in, pauses_key

CHANGES = (RunPaused, RunUnpaused)
"""What the record of a run shows."""

LOOK_AFTER = timedelta(minutes=1)
"""When a paused run looks again. By then the list shows it."""


def first_pause(messages: Sequence[RunMessage]) -> RunPaused | None:
    """The pause that the messages of a turn begin with, if they do."""
    for message in messages:
        if isinstance(message, FactArrived):
            if isinstance(message.fact, RunPaused):
                return message.fact
            if isinstance(message.fact, RunUnpaused):
                return None
    return None


def wakes(messages: Sequence[RunMessage]) -> bool:
    """Whether messages end a pause. A workflow that is cancelled cleans up, and so it runs."""
    return any(
        isinstance(message, FactArrived) and isinstance(message.fact, (RunUnpaused, CancelRequested))
        for message in messages
    )


def stops(pause: RunPaused | None, messages: Sequence[RunMessage]) -> bool:
    """Whether a turn that begins with a pause leaves its run paused: no message of the turn ends the pause."""
    return pause is not None and not wakes(messages)


def record_and_pause(world: World, run_id: str) -> tuple[RunRecord | None, RunPaused | None]:
    """The record of a run that is about to begin, and the pause that it begins with if its workflow is paused.

    The pause does not stop later generations and attempts: their work has begun. Raises `ConflictError` if the run has
    begun since its history was read: an outdated turn would ask for its places once more.
    """
    record, item = world.get_run_and_item(run_id, pauses_key(run_id))
    if record and record.seq and not record.ended and world.load_history(run_id, commits=1):
        raise ConflictError(f"run {run_id!r} has begun since its history was read")
    pause = pauses_in(item).get(record.workflow_name) if record and not record.ended else None
    if record is None or pause is None or pause.ending or record.attempt or continues(world, run_id):
        return record, None
    return record, RunPaused(pause_id=pause.id_in(run_id), reason=pause.reason, by=pause.by, of_workflow=True)


def look_again(draft: Pausable, world: World) -> None:
    """Ends the pause of a run whose workflow is no longer paused: the process that unpaused it may have missed this
    run. Otherwise sends the second look again, since that may not have been sent.
    """
    paused, started = draft.state.paused, draft.state.started
    if paused is None or not paused.of_workflow or started is None or draft.state.ended:
        return
    run_id = draft.run.id
    pause = pauses_in(world.get_item(pauses_key(run_id))).get(started.workflow_name)
    if pause is None or pause.ending:
        over = RunUnpaused(pause_id=f"{paused.pause_id}-over", of_workflow=True)
        draft.outbox.append(FactArrived(run_id=run_id, fact=over))
    elif not any(isinstance(message, Poke) and message.nonce == paused.pause_id for message in draft.messages):
        draft.outbox.append(second_look(run_id, paused))


def second_look(run_id: str, paused: RunPaused) -> Delayed:
    """The poke for a run that its workflow's pause has stopped."""
    return Delayed(due=paused.at + LOOK_AFTER, message=Poke(run_id=run_id, nonce=paused.pause_id))


class Pausable(Protocol):
    """The draft of a turn."""

    run: LiveRun
    outbox: list[Outgoing]
    messages: Sequence[RunMessage]
    redo: bool
    redo_after: int
    begins_paused: bool

    @property
    def state(self) -> RunState: ...

    @property
    def waits(self) -> bool: ...

    def record(self, event: RunPaused | RunUnpaused, at: datetime) -> None: ...

    def apply_all_held(self, now: datetime) -> None: ...


def take(draft: Pausable, message: RunMessage, fact: AnyFact, now: datetime) -> bool:
    """Whether a fact pauses the run, or ends a pause. It is dealt with then."""
    if isinstance(fact, RunPaused):
        if draft.state.accepts(fact) and isinstance(message, FactArrived):
            # Something may have been decided in this turn: it counts in the next.
            draft.outbox.append(message.model_copy(update={"nonce": f"{message.nonce}+"}))
    elif isinstance(fact, RunUnpaused):
        draft.outbox[:] = [one for one in draft.outbox if not _is_over(one, fact)]
        if draft.state.accepts(fact):
            _unpause(draft, fact, now)
    elif isinstance(fact, CancelRequested) and draft.state.paused and draft.state.accepts(fact):
        _unpause(draft, RunUnpaused(pause_id=draft.state.paused.pause_id), now)
    return isinstance(fact, (RunPaused, RunUnpaused))


def _is_over(message: Outgoing, end: RunUnpaused) -> bool:
    """Whether a message is a pause for the next turn that this turn has already ended."""
    pause = message.fact if isinstance(message, FactArrived) else None
    return isinstance(pause, RunPaused) and (pause.of_workflow or False) >= (end.of_workflow or False)


def _unpause(draft: Pausable, fact: RunUnpaused, now: datetime) -> None:
    note(draft, fact, now)
    draft.redo, draft.redo_after = True, 0
    if draft.run.execution and not draft.waits:
        draft.apply_all_held(now)


def note(draft: Pausable, fact: RunPaused | RunUnpaused, now: datetime) -> None:
    """Records that a run is paused, or is no longer."""
    draft.record(fact, max(now, draft.state.at))
    draft.run.pass_over()
    draft.begins_paused = False
    if isinstance(fact, RunPaused) and fact.of_workflow and draft.state.paused:
        draft.outbox.append(second_look(draft.run.id, draft.state.paused))


def is_void(message: FactArrived, fact: AnyFact, state: RunState) -> bool:
    """Whether a message says that an attempt has taken too long which has not begun, or has begun after a pause."""
    if not (isinstance(fact, StepFailed) and message.is_timeout):
        return False
    step = state.steps.get(fact.step_id)
    if step is None or step.attempt != fact.attempt:
        return False
    return state.puts_off(step) or message.nonce != timeout_nonce(step)
