"""Asks limits for places and gives them back, after the commit of a turn."""

from __future__ import annotations

from worldflow.turns.acts.limits import messages_of
from worldflow.turns.acts.run import ActingRun
from worldflow.turns.draft import Draft
from worldflow.turns.places import leave, place_of, places_of
from worldflow.worlds.base import World
from worldflow.worlds.messages import Outgoing


def settle(world: World, run_id: str, draft: Draft) -> list[Outgoing]:
    """The messages of a committed turn: for the limited steps of its run, and for places that are not the run's.

    A run that is paused before it begins also leaves its place, and asks again when it is unpaused.
    """
    state, own = draft.state, None
    if state.started and state.started.limit:
        own = place_of(state.started.limit)
    named = places_of(draft.messages)
    others = [one for one in named if one != own]
    if state.ended and draft.limit and own is None:
        others.append(place_of(draft.limit))
    sent: list[Outgoing] = []
    if state.has_limits:
        run = ActingRun(world, run_id, state)
        sent += messages_of(run, draft.messages, draft.events, draft.obsolete.attempts, redo=draft.redo)
    if state.ended or "start" not in state.held:
        sent += [message for one in others for message in leave(world, one)]
    elif state.paused:
        named += [place_of(draft.limit)] if draft.limit else []
        sent += [message for one in named for message in leave(world, one, for_good=False)]
    return sent
