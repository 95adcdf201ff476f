"""The status events of a turn: see `worlds/status_events.py`.

An event is announced by the turn that commits what it tells. Where a message came again, that turn may have died
before it did: so what the history ends with is announced once more. A poke is no such sign. Runs are poked every day,
and would be announced every day.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import partial

from worldflow.engine.history import (
    Applied,
    Event,
    RunContinued,
    RunFailed,
    RunForked,
    RunStarted,
    end_status,
)
from worldflow.engine.history.state import RunState
from worldflow.worlds.messages import Poke, RunMessage, Start
from worldflow.worlds.status_events import StatusEvent


def status_events(
    run_id: str,
    state: RunState,
    new: Sequence[Event],
    messages: Collection[RunMessage] = (),
    *,
    came_again: bool = False,
    blocked: str | None = None,
) -> list[StatusEvent]:
    """What a turn has to announce.

    new: what it has committed.
    came_again: what was committed before may not have been announced.
    blocked: why the workflow's code cannot run, where that is so.
    """
    started = state.started
    if started is None:
        return []
    event = partial(
        StatusEvent,
        run_id=run_id,
        workflow_name=started.workflow_name,
        created_at=started.created_at,
        parent_run_id=started.parent.run_id if started.parent else None,
        attributes=state.attributes,
    )
    told: list[StatusEvent] = []
    begun = state.forked or started
    is_first = state.at == begun.at or any(isinstance(message, Start) for message in messages)
    start_at = begun.start_at if isinstance(begun, RunStarted) else None
    waits = start_at is not None and start_at > begun.at
    if waits:  # it has begun when the workflow learned of it
        begins = any(isinstance(one, Applied) and one.fact_id == begun.fact_id for one in new)
    else:
        begins = any(isinstance(one, RunForked if state.forked else RunStarted) for one in new)
    if begins or (came_again and is_first and not (waits and begun.fact_id in state.held)):
        told.append(event(kind="started", at=start_at if start_at and waits else begun.at, seq=begun.seq))
    if ended := state.ended:
        told.append(
            event(
                kind=end_status(ended),
                at=ended.at,
                seq=ended.seq,
                next_run_id=ended.next_run_id if isinstance(ended, RunContinued) else None,
                error_type=ended.error.type if isinstance(ended, (RunFailed, RunContinued)) and ended.error else None,
            )
        )
    elif blocked:
        # A run is blocked from the first fact on that waits for code. Where an inline step does, from the last event.
        first = min((fact.seq for fact in state.held.values()), default=None)
        is_poked = all(isinstance(message, Poke) for message in messages)
        if came_again or (first in {one.seq for one in new} if first else not is_poked):
            at = next((fact.at for fact in state.held.values() if fact.seq == first), state.at)
            told.append(event(kind="blocked", at=at, seq=first or state.seq, error_type=_type_in(blocked)))
    return told


def _type_in(reason: str) -> str | None:
    """The class at the start of the reason why a run is blocked. What follows it may hold data."""
    found = re.match(r"([A-Za-z_]\w*(?:Error|Exception)): ", reason)
    return found[1] if found else None
