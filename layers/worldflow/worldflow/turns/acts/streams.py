"""The acts of streams: what the workflow has decided to write is written, in that order and once.

The values that a workflow's history has for a stream, and those that the stream has from it, are the same sequence, and
the stream may be behind. So the number of those that are there says where to go on, after a crash too. A process
remembers it, with the end of the stream, and reads the stream only if it does not.

A retry takes over a part of the history of the run that failed. What that run wrote after this part is void: the retry
says so before it writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from weakref import WeakKeyDictionary

from worldflow.engine.history import (
    Event,
    Json,
    StreamClosed,
    StreamRow,
    StreamRows,
    StreamRowsEnd,
    StreamTaken,
    StreamWritten,
    dump_value,
)
from worldflow.engine.ids import generation, stream_key
from worldflow.turns.acts.run import ActingRun
from worldflow.worlds import streams
from worldflow.worlds.base import World
from worldflow.worlds.payloads import fetch_event
from worldflow.worlds.reading import is_quiet

KNOWN_LIMIT = 1_000
"""Streams that a process remembers."""

COMMIT_BYTES = 48 * 1024
"""Values are written together until they have so many bytes."""

REMEMBER_EVERY = 64
"""Commits after which the item of names learns how far the stream goes."""

_CLOSE = object()
"""The entry that closes a stream."""

_Entry = Json | object


class _Writing:
    """A stream, as the workflow of one run writes it."""

    def __init__(self, run: ActingRun, stream: str) -> None:
        self._log = streams.Log(run.world, stream_key(run.id, stream))
        self._stream = stream
        self._run_id = run.id
        self._generation = generation(run.id)[1]
        self._first = run.state.streams_since or self._generation
        """The generation that has begun to write it, of those that this one continues."""
        self._rows: list[tuple[int, int]] = []
        """What is there of the workflow's and is not void: the offset of each row, and how many entries it has."""
        self._has_begun = False
        """Something of this generation is there."""
        self._commits = 0
        self.is_over = False
        """A run that retries this one has begun to write."""
        self.seen_at = run.world.now()

    @property
    def entries(self) -> int:
        """How many entries are there."""
        return sum(count for _, count in self._rows)

    def open(self, *, is_new: bool) -> None:
        """
        is_new: the workflow has written nothing before, and continues no other.
        """
        place, _ = streams.register(self._log.world, self._run_id, self._stream)
        if place or not is_new:
            self._look(self._log.catch_up())

    def cut(self, entries: int) -> None:
        """Makes void what there is beyond so many entries, unless this generation has begun."""
        while not self._has_begun and not self.is_over and self.entries > entries:
            self._append([StreamTaken(since=self._place_of(entries), generation=self._generation)])

    def write(self, entries: Sequence[_Entry]) -> None:
        """Writes as many entries as one commit may have. Others may have written them meanwhile."""
        rows: list[streams.Row] = []
        values: list[Json] = []
        size = 0
        for entry in entries[: streams.COMMIT_VALUES - 1]:
            if entry is _CLOSE:
                break
            more = len(dump_value(entry)) + 1
            if values and size + more > COMMIT_BYTES:
                break
            values.append(entry)
            size += more
        if values:
            held = streams.encode(self._log.world, self._log.key, values)
            rows.append(StreamRows(values=held, count=len(values), total=size, generation=self._generation))
        if len(values) < len(entries) and entries[len(values)] is _CLOSE:
            rows.append(StreamClosed(generation=self._generation))
        self._append(rows)

    def _append(self, rows: Sequence[streams.Row]) -> None:
        placed = self._log.append(rows)
        if placed is None and not (placed := self._log.catch_up()):
            # What this process remembers was undone: a transaction has failed that was to write it.
            self._log, self._rows = streams.Log(self._log.world, self._log.key), []
            placed = self._log.catch_up()
        self._look(placed)
        self._commits += 1
        if self._commits % REMEMBER_EVERY == 0 or self._log.closed:
            streams.remember(self._log.world, self._run_id, self._stream, self._log)

    def _look(self, rows: Sequence[StreamRow]) -> None:
        for row in rows:
            if isinstance(row, StreamRowsEnd) or row.step_id is not None or row.generation < self._first:
                continue
            if row.generation > self._generation:
                # Another run has the id by now. If it retries this one, what was void is not written again.
                self.is_over |= isinstance(row, StreamTaken)
                continue
            self._has_begun |= row.generation == self._generation
            if not isinstance(row, StreamTaken):
                self._rows.append((row.seq, row.count if isinstance(row, StreamRows) else 1))
            elif row.since is not None:
                since = row.since
                self._rows = [(seq, min(count, since - seq)) for seq, count in self._rows if seq < since]

    def _place_of(self, entries: int) -> int:
        """The offset of the entry after so many."""
        for seq, count in self._rows:
            if entries < count:
                return seq + entries
            entries -= count
        raise ValueError("there are not so many entries")


_Key = tuple[str, str, str | None]
"""A run's id, a stream, and what the run's chance comes from: an id may be used again for another run."""

_known: WeakKeyDictionary[World, dict[_Key, _Writing]] = WeakKeyDictionary()


def write(run: ActingRun, events: Iterable[Event]) -> None:
    """Writes what the decisions of the last commit ask for."""
    decided: dict[str, list[StreamWritten]] = {}
    for event in events:
        if isinstance(event, StreamWritten):
            decided.setdefault(event.stream, []).append(event)
    for stream, decisions in decided.items():
        _write(run, stream, decisions)


def redo(run: ActingRun) -> None:
    """Writes whatever the history has for streams that they do not have."""
    for stream in {**run.state.streams, **run.state.streams_taken}:
        _write(run, stream, ())


def _write(run: ActingRun, stream: str, decided: Sequence[StreamWritten]) -> None:
    """
    decided: the last of what the history has for the stream, as far as it is at hand.
    """
    world, here = run.world, _known.setdefault(run.world, {})
    wanted, taken = run.state.streams.get(stream, 0), run.state.streams_taken.get(stream)
    before = wanted - sum(event.entries for event in decided)
    """Entries that the history had before."""
    key = run.id, stream, run.state.started.seed if run.state.started else None
    writing = here.pop(key, None)
    if writing is None or is_quiet(world, writing.seen_at):
        writing = _Writing(run, stream)
        writing.open(is_new=before == 0 and taken is None and bool(decided))
    if taken is not None:
        writing.cut(taken)
    while writing.entries < wanted and not writing.is_over:
        if writing.entries < before:
            decided, before = _decided(run, stream), 0
        entries = [entry for event in decided for entry in _entries(world, event)]
        writing.write(entries[writing.entries - before : wanted - before])
    writing.seen_at = world.now()
    world.when_durable(partial(_remember, here, key, writing))


def _decided(run: ActingRun, stream: str) -> list[StreamWritten]:
    """All that the history has for a stream."""
    history = run.world.load_history(run.id)
    return [event for event in history if isinstance(event, StreamWritten) and event.stream == stream]


def _entries(world: World, event: StreamWritten) -> list[_Entry]:
    return [*(fetch_event(world, event).values or ()), *([_CLOSE] if event.closed else [])]


def _remember(here: dict[_Key, _Writing], key: _Key, writing: _Writing) -> None:
    here[key] = writing
    if len(here) > KNOWN_LIMIT:
        here.pop(next(iter(here)), None)
