"""Places at limits that a run has or waits for, and does not need.

A run asks for the place that its code names when it is about to begin, and only its start records which place that was.
By the time that the place is granted, the code may have changed: the limit has another key, another name, or is gone. A
run may also be cancelled while it waits, after its start was recorded without a place. So messages about a place name
it, and the run gives back every place but its own: others wait for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from worldflow.engine.history.limits import Place
from worldflow.turns.acts.limits import grant, granted_by, is_closed, look, watcher
from worldflow.worlds import limits
from worldflow.worlds.base import World
from worldflow.worlds.messages import Outgoing, Poke, RunMessage

_PlaceOf = tuple[str, str, str]
"""A limit's name, the key, and the token."""


def places_of(messages: Sequence[RunMessage]) -> list[_PlaceOf]:
    """The places that messages are about."""
    return [message.place for message in messages if isinstance(message, Poke) and message.place]


def place_of(limit: dict[str, Any]) -> _PlaceOf:
    """The place that the start of a run has recorded."""
    place = Place.load(limit)
    return place.limit, place.key, limit["token"]


def leave_unless_open(world: World, messages: Sequence[RunMessage]) -> list[Outgoing]:
    """Gives back the places of a run that does not exist, unless a generation of it is open. Returns the messages."""
    gone = [one for one in places_of(messages) if is_closed(world, one[2])]
    return [message for one in gone for message in leave(world, one)]


def leave(world: World, place: _PlaceOf, *, for_good: bool = True) -> Iterator[Outgoing]:
    """Gives a place back, or leaves its line. Yields the messages to others.

    for_good: the token does not ask again.
    """
    name, key, token = place
    ends, parks = ([token], []) if for_good else ([], [token])
    state, row = limits.change(world, name, key, lambda state: state.plan(world.now(), ends=ends, parks=parks))
    now = world.now()
    for holder in granted_by(state, row, [token], again=False):
        yield grant((name, key), holder, now)
    if watch := watcher(state, row, again=True):
        yield look((name, key), state, watch, now)
