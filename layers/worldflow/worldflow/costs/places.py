"""What a run asks for on account of limits and throttles.

It assumes that places are free and that the process knows their limits: a history does not tell who waited, nor how
often a commit was refused because another run's came first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from worldflow.costs.metering import MeteredWorld
from worldflow.engine import history as h
from worldflow.engine.history import Event
from worldflow.engine.history.limit_state import Asker, LimitState
from worldflow.engine.history.limits import Place, Rate
from worldflow.engine.history.state import OpenStep, RunState
from worldflow.turns.acts.limits import messages_of
from worldflow.turns.acts.run import ActingRun
from worldflow.worlds import limits
from worldflow.worlds.messages import Outgoing, RunMessage
from worldflow.worlds.throttling import reserve


def settle(
    world: MeteredWorld,
    run_id: str,
    state: RunState,
    messages: Sequence[RunMessage],
    events: Sequence[Event],
    closed: Iterable[OpenStep],
    *,
    redo: bool,
) -> list[Outgoing]:
    """Asks for the places of a turn's limited steps, and gives back those of attempts that are over. Returns what is
    sent for them.
    """
    for step in (*state.steps.values(), *state.left.values()):
        if step.scheduled.limit:
            _know(world, Place.load(step.scheduled.limit))
    if state.started and state.started.limit:
        _know(world, Place.load(state.started.limit))
    return messages_of(ActingRun(world, run_id, state), messages, events, closed, redo=redo)


def admit(world: MeteredWorld, state: RunState, events: Sequence[Event]) -> None:
    """Asks for the place of a limited run, which begins with these events."""
    started = state.started
    taken = any(isinstance(event, (h.RunStarted, h.Applied)) and event.limit for event in events)
    if started is None or started.limit is None or not taken:
        return
    place = Place.load(started.limit)
    asker = Asker(started.limit["token"], place.priority, place.fairness, started.timeout or 0.0)
    _know(world, place)
    limits.change(
        world,
        place.limit,
        place.key,
        lambda known: known.plan(
            world.now(), asks=[asker], declared=place.declared, declared_at=started.created_at.timestamp()
        ),
    )


def throttle(world: MeteredWorld, workflow: str) -> None:
    """Takes the place of a run at its workflow's throttle."""
    reserve(world, workflow, "", Rate(1, 1.0, 1), world.now())


def _know(world: MeteredWorld, place: Place) -> None:
    """Lets the process know a limit, as a process that has used it does."""
    limit, memory = (place.limit, place.key), limits._memory(world)
    known = memory.get(limit, world.now())
    if known is None:
        row = LimitState().plan(world.now(), declared=place.declared, declared_at=0.0)
        known = limits._Known(1, LimitState().applied(row) if row else LimitState())
    memory.put(limit, known, world.now())
