"""Limits: how many calls of a kind run at a time, and how many begin in a time.

The state of a limit, for each of its keys, is a history of its own, and changes by one commit on the condition that it
is the next: who asks, who leaves, and who is granted a place for that. So there are never more holders than allowed,
whatever crashes and whichever clock is wrong. A process remembers the state, and reads on where its commit is refused.

A history that has become long is sealed, and the next one begins with a snapshot: `limit#NAME#key#NUMBER#KEY`. Which is
the newest stands in an item, as that of a run's generations does. A process forgets a state that it has not confirmed
for some minutes, and what is sealed is removed no earlier than a day later: nobody writes to a removed history.

Which limits there are, and which keys of each, stands in lists, which are histories as well. A limit is entered there
before its first commit, and what an operator sets for all keys is entered before it is set for each: a key that is new
at this moment learns it from the list.

    change         the next commit of a limit
    read           the state of a limit
    names, keys    which there are
    change_all     sets something for all keys
    tidy           removes sealed histories
"""

from __future__ import annotations

import random
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast
from weakref import WeakKeyDictionary

from worldflow.engine.errors import ConflictError
from worldflow.engine.history import Event
from worldflow.engine.history.limit_state import LimitState
from worldflow.engine.history.limits import LimitNoted, LimitRow
from worldflow.engine.ids import limit_key
from worldflow.worlds.base import World
from worldflow.worlds.items import get_generation, put_generation
from worldflow.worlds.outages import OutageError

COMMITS = 500
"""A history with so many is sealed."""

REMEMBERED = timedelta(minutes=10)
"""For how long a state is trusted that no commit and no read has confirmed."""

KEPT_SEALED = timedelta(days=1)

STATES = 1_000
"""States that a process remembers, those used last."""

TRIES = 200
"""Refused commits of one change, before its turn is put off."""

SHARDS = 16
"""The keys of a limit are in so many lists."""

Plan = Callable[[LimitState], LimitRow | None]


@dataclass(frozen=True, slots=True)
class _Known:
    """A state, and where its history is."""

    number: int
    state: LimitState


@dataclass(slots=True)
class _Memory:
    """What a process remembers of a World's limits."""

    states: dict[tuple[str, str], tuple[_Known, datetime]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, limit: tuple[str, str], now: datetime) -> _Known | None:
        with self.lock:
            known, at = self.states.pop(limit, (None, now))
            if known is None or not timedelta() <= now - at <= REMEMBERED:
                return None
            self.states[limit] = known, at
            return known

    def put(self, limit: tuple[str, str], known: _Known, now: datetime) -> None:
        with self.lock:
            self.states.pop(limit, None)
            self.states[limit] = known, now
            if len(self.states) > STATES:
                del self.states[next(iter(self.states))]


_memories: WeakKeyDictionary[World, _Memory] = WeakKeyDictionary()


def _memory(world: World) -> _Memory:
    return _memories.setdefault(world, _Memory())


def forget(world: World) -> None:
    """Forgets what this process remembers of limits."""
    _memories.pop(world, None)


# --- one limit ---


def change(world: World, name: str, key: str, plan: Plan) -> tuple[LimitState, LimitRow | None]:
    """Commits what `plan` returns for the state, if it returns something. Returns the state after it, and the row.

    That there is nothing to commit counts only for a state that was just read.
    """
    limit, memory = (name, key), _memory(world)
    remembered = memory.get(limit, world.now())
    known, is_fresh = remembered or _read(world, limit), remembered is None
    for tries in range(TRIES):
        row = plan(known.state)
        if row is None and is_fresh:
            world.when_durable(lambda known=known: memory.put(limit, known, world.now()))  # type: ignore[misc]
            return known.state, None
        if row is not None and (written := _write(world, limit, known, row)):
            world.when_durable(lambda: memory.put(limit, written, world.now()))
            return written.state, row
        if tries > 2:
            time.sleep(random.uniform(0, 0.005 * min(tries, 20)))  # others write at the same time
        known, is_fresh = _read_on(world, limit, known), True
    raise OutageError(f"limit {name!r}: {TRIES} commits in a row were refused, since others came before them")


def read(world: World, name: str, key: str) -> LimitState:
    """The state of a limit as it stands. A consistent read."""
    return _read(world, (name, key)).state


def _write(world: World, limit: tuple[str, str], known: _Known, row: LimitRow) -> _Known | None:
    """Commits a row. Returns None if it cannot be the next."""
    if known.state.seq == 0 and known.number == 1 and not _introduce(world, limit):
        return None
    if known.state.seq >= COMMITS:
        _append(world, limit, known.number, LimitRow(sealed=True).recorded(known.state.seq + 1, row.at))
        return None
    if not _append(world, limit, known.number, row):
        return None
    return _Known(known.number, known.state.applied(row))


def _append(world: World, limit: tuple[str, str], number: int, row: LimitRow) -> bool:
    try:
        world.append(_history(limit, number), [cast("Event", row)])
    except ConflictError:
        return False
    return True


def _read(world: World, limit: tuple[str, str]) -> _Known:
    return _read_on(world, limit, _Known(get_generation(world, _base(limit)), LimitState()))


def _read_on(world: World, limit: tuple[str, str], known: _Known) -> _Known:
    """What is known after reading what was written since, and the histories that follow."""
    number, state = known.number, known.state
    while True:
        for row in cast("list[LimitRow]", world.load_history(_history(limit, number), state.seq)):
            state = state.applied(row)
        if not state.sealed:
            return _Known(number, state)
        number += 1
        _append(world, limit, number, state.snapshot().recorded(1, world.now()))
        put_generation(world, _base(limit), number)
        state = LimitState()


def _history(limit: tuple[str, str], number: int) -> str:
    return limit_key(limit[0], f"key#{number}#{limit[1]}")


def _base(limit: tuple[str, str]) -> str:
    return limit_key(*limit)


# --- which there are ---

_NAMES = limit_key("", "names")


def names(world: World) -> list[str]:
    """The limits, by name."""
    return sorted(row.name for row in _noted(world, _NAMES) if row.name is not None)


def keys(world: World, name: str) -> list[str]:
    """The keys of a limit."""
    return sorted({row.name for shard in _shards(name) for row in _noted(world, shard) if row.name is not None})


def _introduce(world: World, limit: tuple[str, str]) -> bool:
    """Enters a limit into the lists. Returns False if others have written its first commit meanwhile, or if this has:
    what is set for all keys.
    """
    name, key = limit
    _note(world, _NAMES, name)
    changed = _note(world, _shard(name, key), key)
    if changed is None or not changed.changed:
        return True
    row = LimitRow(changed=changed.changed, change=changed.change).recorded(1, world.now())
    _append(world, limit, 1, row)
    return False


def _note(world: World, shard: str, name: str) -> LimitNoted | None:
    """Enters a name into a list. Returns what is set there for all."""
    end = 0
    rows: list[LimitNoted] = []
    while True:
        rows += _noted(world, shard, end)
        end = rows[-1].seq if rows else 0
        if any(row.name == name for row in rows) or _enter(world, shard, end, LimitNoted(name=name)):
            return next((row for row in reversed(rows) if row.changed is not None), None)


def _noted(world: World, shard: str, after: int = 0) -> list[LimitNoted]:
    return cast("list[LimitNoted]", world.load_history(shard, after))


def _enter(world: World, shard: str, end: int, row: LimitNoted) -> bool:
    try:
        world.append(shard, [cast("Event", row.recorded(end + 1, world.now()))])
    except ConflictError:
        return False
    return True


def _shards(name: str) -> list[str]:
    return [limit_key(name, f"keys#{number}") for number in range(SHARDS)]


def _shard(name: str, key: str) -> str:
    return limit_key(name, f"keys#{zlib.crc32(key.encode()) % SHARDS}")


def change_all(world: World, name: str, changed: Mapping[str, Any], change_id: str, *, reset: bool) -> list[str]:
    """Sets something for all keys there will be. Returns those that there are, for which it is to be set next.

    reset: what was set before counts no more.
    """
    for shard in _shards(name):
        while True:
            rows = _noted(world, shard)
            if rows and rows[-1].change == change_id:
                break
            before = next((row.changed for row in reversed(rows) if row.changed is not None), {})
            row = LimitNoted(changed={**({} if reset else before), **changed}, change=change_id)
            if _enter(world, shard, rows[-1].seq if rows else 0, row):
                break
    return keys(world, name)


# --- old histories ---


def tidy(world: World, out_of_time: Callable[[], bool] = lambda: False) -> int:
    """Removes the histories of limits that were sealed more than a day ago. Returns how many.

    out_of_time: stops early when it returns True. The order is random, so that every key has its turn on some day.
    """
    removed = 0
    found = [(name, key) for name in names(world) for key in keys(world, name)]
    random.shuffle(found)
    for limit in found:
        if out_of_time():
            break
        number = get_generation(world, _base(limit)) - 1
        while number:
            last = _last(cast("Sequence[LimitRow]", world.load_history(_history(limit, number), COMMITS)))
            if last is None:
                break  # removed before, with all that are older
            if world.now() - last.at > KEPT_SEALED:
                world.archive.clear(_history(limit, number), ())
                removed += 1
            number -= 1
    return removed


def _last(rows: Sequence[LimitRow]) -> LimitRow | None:
    return rows[-1] if rows else None
