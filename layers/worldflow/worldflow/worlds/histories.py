"""A history as the workflow sees it: each event with the user's data, whole, also where parts of it are in earlier
events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from worldflow.engine.history import BaseEvent, Event, Json
from worldflow.engine.values.repeats import Borrowed, Repeats, may_be_shared, restore
from worldflow.worlds.payloads import (
    PayloadStore,
    Whole,
    fetch_event,
    fetch_shared,
    given_to,
    has_borrowed,
    stands_for_itself,
    stash_event,
    stash_shared,
)

E = TypeVar("E", bound=BaseEvent)

_HOLD_PARTS = (str, list, dict)


def borrower(event: BaseEvent) -> str | None:
    """The field of an event that has borrowed parts, if one has."""
    for name in event.data_fields:
        value = event.__dict__.get(name)
        if type(value) is dict and has_borrowed(value):
            return name
    return None


class History:
    """Reads the events of one history, in order.

    history: all of it, as it is stored. Asked for where an event has borrowed from one that was not read here.
    """

    def __init__(self, world: PayloadStore, history: Callable[[], Iterable[Event]] = tuple) -> None:
        self._world = world
        self._history = history
        self._earlier: dict[int, Event] | None = None
        self._data: dict[int, Json] = {}
        self._borrowed: dict[int, Sequence[Borrowed]] = {}

    def read(self, event: E) -> E:
        """The event with the user's data, whole. Raises `PayloadCodecError`."""
        whole = event if stands_for_itself(event) else self._whole(event)
        for field in event.data_fields[:1]:
            value = whole.__dict__.get(field)
            if value.__class__ in _HOLD_PARTS and may_be_shared(value):
                self._data[event.seq] = value
        return whole

    def whole(self, event: E) -> E:
        """The event as it is stored, but with its data `Whole` if it has borrowed parts."""
        field = borrower(event)
        if field is None:
            return event
        stored = event.__dict__[field]
        return event.model_copy(update={field: Whole(self._value_of(event.seq), stored)})

    def _whole(self, event: E) -> E:
        field = borrower(event)
        if field is None:
            return fetch_event(self._world, event)
        shared = fetch_shared(self._world, event.__dict__[field])
        self._borrowed[event.seq] = shared.borrowed
        return event.model_copy(update={field: restore(shared, self._value_of)})

    def _value_of(self, seq: int) -> Json:
        if seq not in self._data:
            self._read_before(seq)
        return self._data[seq]

    def _read_before(self, seq: int) -> None:
        """Reads event `seq`, of those before, and what it has borrowed from."""
        if self._earlier is None:
            self._earlier = {event.seq: event for event in self._history()}
        wanted, found = {seq}, []
        for number in range(seq, 0, -1):
            if number in wanted and number not in self._data:
                event = self._earlier[number]
                found.append(event)
                if field := borrower(event):
                    shared = fetch_shared(self._world, event.__dict__[field])
                    wanted.update(place[0] for _, place, *_ in shared.borrowed)
        for event in reversed(found):
            self.read(event)

    def repeats(self) -> Repeats:
        """What the events that were read hold, for those to come."""
        return Repeats([(seq, value, self._borrowed.get(seq, ())) for seq, value in self._data.items()])


def with_whole(events: Sequence[Event], world: PayloadStore) -> Sequence[Event]:
    """The events of a history as they are stored, but with the data of those `Whole` that have borrowed parts."""
    history = History(world, lambda: events)
    return [history.whole(event) for event in events]


def as_stored(event: E) -> E:
    """The event as the history has it, where its data is kept `Whole`."""
    field = _whole_field(event)
    return event.model_copy(update={field: event.__dict__[field].stored}) if field else event


def as_sent(world: PayloadStore, run_id: str, event: E) -> E:
    """The event as a message carries it, where its data is kept `Whole`."""
    field = _whole_field(event)
    return event.model_copy(update={field: given_to(world, run_id, event.__dict__[field])}) if field else event


def _whole_field(event: BaseEvent) -> str | None:
    for name in event.data_fields:
        if type(event.__dict__.get(name)) is Whole:
            return name
    return None


def share(world: PayloadStore, run_id: str, event: E, seq: int, repeats: Repeats) -> E | None:
    """An event that is about to be recorded as number `seq`, and has its data as it is, with that `Whole`: if the
    history holds parts of it, else None. Takes note of what it has. Raises `PayloadTooLargeError`.
    """
    field = event.data_fields[0]
    value = event.__dict__.get(field)
    if value.__class__ not in _HOLD_PARTS or (shared := repeats.share(seq, value)) is None:
        return None
    return event.model_copy(update={field: Whole(value, stash_shared(world, run_id, value, shared, field))})


def taken_over(world: PayloadStore, run_id: str, events: Sequence[Event]) -> Sequence[Event]:
    """Events of another run's history as those of the run `run_id`: what was borrowed there, and is `Whole`, is
    borrowed anew, from the events that this run has.
    """
    if not any(_whole_field(event) for event in events):
        return events
    repeats = Repeats()
    return [_taken_over(world, run_id, event, repeats) for event in events]


def _taken_over(world: PayloadStore, run_id: str, event: Event, repeats: Repeats) -> Event:
    field = _whole_field(event)
    if field is None:
        if event.data_fields:
            repeats.share(event.seq, fetch_event(world, event).__dict__.get(event.data_fields[0]))
        return event
    value = event.__dict__[field].value
    plain = event.model_copy(update={field: value})
    shared = None if event.held else share(world, run_id, plain, event.seq, repeats)
    return shared or stash_event(world, run_id, plain)
