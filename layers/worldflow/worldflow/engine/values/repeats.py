"""Values that a history holds already, such as the messages of a conversation, which each call of a model takes again.

A history that held them again with each call would grow with the square of its length. So a value is taken apart before
it is written (`Repeats.share`): of what an earlier event holds, only the place is written, and the rest as it is.
`restore` puts both together again.

    {"messages": [a, b, c, d]}    where event 7 has {"messages": [a, b]} and event 9 has c
    rest       {"messages": [d]}
    borrowed   [["messages", 0], [7, "messages"], 0, 2]    the items 0 to 2 of the list at that place go here
               [["messages", 2], [9]]                      the value at that place goes here

A place is the number of an event and the path in its data. It always lies in an earlier event, so that the beginning of
a history is whole by itself. The paths of `borrowed` are those in the whole value, in their order.

What is known is known by digests of JSON text: a run that is kept live does not keep its conversation once more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from worldflow.engine.history import Json

SMALLEST = 200
"""Bytes of JSON from which on a value, or items of a list in a row, are worth a reference."""

_FEWEST = SMALLEST // 6
"""Characters that may be so many bytes: JSON writes some of them as six."""

SMALLEST_ITEM = 32
"""Bytes of an item of a list by which the item is found again."""

_DEEPEST = 8
"""Levels of a value that are looked into: the text of a level is part of that of each level above it."""

_LONGEST_KEY = 100
"""Characters of a key that a path may hold."""

_DIGEST = 20

_NUMBERS = frozenset((int, float, bool, type(None)))

Key = str | int
_Place = tuple[Key, ...]
Borrowed = list[Any]
"""What stands at one place of a value, and where it is held: see above."""


@dataclass(frozen=True, slots=True)
class Shared:
    """A value, taken apart."""

    borrowed: list[Borrowed]
    rest: Json


@dataclass(frozen=True, slots=True)
class _Holder:
    """An object or a list that a history holds, and the digests of a list's items."""

    place: _Place
    items: Sequence[bytes] = ()


_Places = dict[bytes, tuple[_Holder, Key]]
"""Where a value is held, by its digest."""


def may_be_shared(value: Json) -> bool:
    """Whether a value may be large enough to hold anything that is worth a reference: a first guess, which is quick."""
    kind = type(value)
    if kind is dict:
        if len(value) > 8:
            return True
        room = _FEWEST
        for part in value.values():
            kind = type(part)
            if kind is str:
                room -= len(part)
            elif kind is dict or kind is list:
                return True
        return room <= 0
    if kind is str:
        return len(value) >= _FEWEST
    return kind is list and len(value) > 0


class Repeats:
    """Which values a history holds, and where: the last place of each."""

    def __init__(self, history: Sequence[tuple[int, Json, Sequence[Borrowed]]] = ()) -> None:
        """
        history: the numbers of events, in order, their data, whole, and what that has borrowed.
        """
        self._places: _Places = {}
        covered: set[_Place] = set()  # the lists that a later list begins with: their items are found there
        values = {seq: value for seq, value, _ in history}
        for seq, value, borrowed in reversed(history):
            if may_be_shared(value):
                walk = _Walk(
                    seq, {}, {(seq, *path[:end]) for path, *_ in borrowed for end in range(len(path))}, covered
                )
                walk.take(value)
                for digest, found in walk.new.items():
                    self._places.setdefault(digest, found)
            for _, place, *span in borrowed:
                if span and span[0] == 0 and span[1] == len(_at(place, values.__getitem__)):
                    covered.add(tuple(place))

    def share(self, seq: int, value: Json) -> Shared | None:
        """The data of event `seq` taken apart, where an earlier event holds some of it. Takes note of it, too."""
        if not may_be_shared(value):
            return None
        walk = _Walk(seq, self._places)
        rest = walk.take(value)
        self._places.update(walk.new)  # not before: what is borrowed lies in earlier events
        return Shared(walk.borrowed, rest) if walk.borrowed else None


class _Walk:
    """One value, from the outside in.

    divided: the places of objects and lists of which parts are borrowed. They are not themselves found again.
    covered: the places of lists that need not be looked into.
    """

    def __init__(
        self, seq: int, places: _Places, divided: Container[_Place] = (), covered: Container[_Place] = ()
    ) -> None:
        self.borrowed: list[Borrowed] = []
        self.new: _Places = {}
        self._seq = seq
        self._places = places
        self._divided = divided
        self._covered = covered

    def take(self, value: Json) -> Json:
        """What is left of a value."""
        return self._value(value, _Holder(()), self._seq, 0)

    def _value(self, value: Json, holder: _Holder, key: Key, depth: int) -> Json:
        """What is left of the value that `holder` has under `key`."""
        place = (*holder.place, key)
        if type(value) is list and not _NUMBERS.issuperset(map(type, value)):
            return self._list(value, place, depth)
        if place in self._divided:
            return self._inside(value, place, depth)
        digest, size = _digest(value)
        if size < SMALLEST:
            return value
        if found := self._places.get(digest):
            self._borrow(place, found)
            self.new[digest] = holder, key
            return None
        rest = self._inside(value, place, depth)
        if rest is value:
            self.new[digest] = holder, key
        return rest

    def _inside(self, value: Json, place: _Place, depth: int) -> Json:
        """What is left of a value that is new as a whole."""
        if type(value) is list:
            return self._list(value, place, depth)
        if type(value) is not dict or depth >= _DEEPEST:
            return value
        own, rest = _Holder(place), value
        for name, part in value.items():
            kind = type(part)
            if (kind is dict or kind is list or (kind is str and len(part) >= _FEWEST)) and len(name) <= _LONGEST_KEY:
                left = self._value(part, own, name, depth + 1)
                if left is not part:
                    rest = dict(value) if rest is value else rest
                    rest[name] = left
        return rest

    def _list(self, value: list[Json], place: _Place, depth: int) -> Json:
        """What is left of a list."""
        if depth >= _DEEPEST or not value or place in self._covered or _NUMBERS.issuperset(map(type, value)):
            return value
        digests, sizes = zip(*map(_digest, value), strict=True)
        if sum(sizes) < SMALLEST:
            return value
        own = _Holder(place, digests)
        rest: list[Json] = []
        index = loose = 0  # `loose` items just before this one are left as they are
        while index < len(value):
            found = self._places.get(digests[index]) if sizes[index] >= SMALLEST_ITEM else None
            if found and (run := _run(found, digests, sizes, index, loose)):
                first, begin, end = run
                del rest[len(rest) - (index - first) :]
                self.borrowed.append([[*place[1:], first], list(found[0].place), begin, end])
                index, loose = first + end - begin, 0
                continue
            item = left = value[index]
            if found and sizes[index] >= SMALLEST:
                self._borrow((*place, index), found)
                left = None
            elif sizes[index] >= SMALLEST:
                left = self._inside(item, (*place, index), depth + 1)
            loose = loose + 1 if left is item else 0
            rest.append(left)
            index += 1
        self.new.update(
            (digest, (own, index))
            for index, (digest, size) in enumerate(zip(digests, sizes, strict=True))
            if size >= SMALLEST_ITEM
        )
        return value if loose == len(value) else rest

    def _borrow(self, place: _Place, found: tuple[_Holder, Key]) -> None:
        holder, key = found
        self.borrowed.append([list(place[1:]), [*holder.place, key]])


def _digest(value: Json) -> tuple[bytes, int]:
    """What a value is known by, and its size in bytes: of a short one its own text."""
    text = to_json(value, inf_nan_mode="constants")
    return text if len(text) < _DIGEST else hashlib.sha256(text).digest()[:_DIGEST], len(text)


def _run(
    found: tuple[_Holder, Key], digests: Sequence[bytes], sizes: Sequence[int], index: int, loose: int
) -> tuple[int, int, int] | None:
    """Which items of a list stand beside each other in another, around item `index`, which was found there: where they
    begin here, and where they begin and end there. None where they are not worth a reference.

    loose: how many of the items before it may be among them.
    """
    holder, at = found
    items = holder.items
    if not items or not isinstance(at, int):
        return None
    before = 0
    while before < min(loose, at) and items[at - before - 1] == digests[index - before - 1]:
        before += 1
    after = 1
    room = min(len(items) - at, len(digests) - index)
    while after < room and items[at + after] == digests[index + after]:
        after += 1
    if sum(sizes[index - before : index + after]) < SMALLEST:
        return None
    return index - before, at - before, at + after


def _at(place: Sequence[Key], value_of: Callable[[int], Json]) -> Json:
    """What stands at a place."""
    seq, *keys = place
    assert isinstance(seq, int)
    found = value_of(seq)
    for key in keys:
        found = found[key]
    return found


def restore(shared: Shared, value_of: Callable[[int], Json]) -> Json:
    """The whole value. What it has borrowed is the same object as where it is held.

    value_of: the data of an event, whole.
    """
    whole: list[Json] = [shared.rest]
    own: set[int] = set()
    for path, place, *span in shared.borrowed:
        found = _at(place, value_of)
        container, at = whole, 0
        for key in path:
            inner = container[at]
            if id(inner) not in own:
                inner = container[at] = inner.copy()
                own.add(id(inner))
            container, at = inner, key
        if span:
            container[at:at] = found[slice(*span)]
        else:
            container[at] = found
    return whole[0]
