"""Streams: what steps and workflows write while a run is under way, for readers that follow it.

A stream is a history of its own, `RUN#stream#NAME`, which all generations of a run share. It is written as a history
is, in commits on the condition that each is the next. So its rows have one order, whoever writes them, and a writer
that has been replaced cannot write without learning of it: where the place is taken that it knows as the next, it reads
on, and finds who took it.

Which streams a run has stands in one item, written when a stream is opened. Beside each name it has a place from which
a writer may read on, and for steps that were tried again, which attempt came last.

    Log            one stream, read and written from a place on
    read           a page of a stream
    names          the streams of a run
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from worldflow.engine.errors import ConflictError, RunNotFoundError, StreamLimitError
from worldflow.engine.history import (
    Event,
    StreamClosed,
    StreamItem,
    StreamReset,
    StreamRow,
    StreamRows,
    StreamRowsEnd,
    StreamTaken,
    dump_events,
    load_events,
)
from worldflow.engine.ids import check_name, generation, generation_id, stream_key
from worldflow.engine.workflow.outlets import NAMES_LIMIT
from worldflow.worlds import reading
from worldflow.worlds.base import World
from worldflow.worlds.items import get_generation
from worldflow.worlds.payloads import fetch, stash

COMMIT_VALUES = 256
"""Values of one commit, at most: a reader that begins within one finds its beginning no further back."""

PAGE_COMMITS = 64
PAGE_BYTES = 1024 * 1024
"""A page has no more commits than this, and ends with the one with which it has so many bytes."""

_NAME = "s"
"""How the field of a stream begins, in the item of names."""

_SLOTS = 64
"""Attempts that came last, of so many steps: the item has an end."""

Row = StreamRows | StreamTaken | StreamClosed


def names_key(run_id: str) -> str:
    """The key of the item that names the streams of a run."""
    return f"streams#{generation(run_id)[0]}"


# --- a stream from a place on ---


@dataclass(slots=True)
class Log:
    """One stream, from a place on. Not thread-safe."""

    world: World
    key: str
    end: int = 0
    """The last offset that is known. A commit ends there."""
    total: int = 0
    closed: StreamClosed | None = None
    """The last row, if that closes the stream."""

    def catch_up(self) -> list[StreamRow]:
        """What was written after the known end, which is then known."""
        rows = cast("list[StreamRow]", self.world.load_history(self.key, self.end))
        self._know(rows)
        return rows

    def append(self, rows: Sequence[Row]) -> list[StreamRow] | None:
        """Writes rows as the next commit, and returns it. Returns None if others have written meanwhile.

        rows: `total` of each is the bytes of its own values.
        """
        placed: list[StreamRow] = []
        offset, total = self.end, self.total
        for row in rows:
            size = row.count if isinstance(row, StreamRows) else 1
            total += row.total
            placed.append(row.model_copy(update={"seq": offset + 1, "at": self.world.now(), "total": total}))
            if size > 1:
                placed.append(StreamRowsEnd().model_copy(update={"seq": offset + size}))
            offset += size
        try:
            self.world.append(self.key, cast("Sequence[Event]", placed))
        except ConflictError:
            return None
        self._know(placed)
        return placed

    def _know(self, rows: Sequence[StreamRow]) -> None:
        for row in rows:
            self.end = row.seq
            if not isinstance(row, StreamRowsEnd):
                self.total = row.total
                self.closed = row if isinstance(row, StreamClosed) else None

    def place(self) -> str:
        """The known end, for the item of names."""
        return f"{self.end}:{self.total}:{self.closed.generation if self.closed else ''}"

    def go_to(self, place: str) -> None:
        """Goes to an end that another has known."""
        if place:
            end, total, closed_by = place.split(":")
            self.end, self.total = int(end), int(total)
            self.closed = StreamClosed(generation=int(closed_by)) if closed_by else None


def encode(world: World, key: str, values: list[Any]) -> Any:
    """Values as a row holds them."""
    return stash(world, key, values, "value")


# --- the names ---


def _field(name: str) -> str:
    return f"{_NAME}{name.encode().hex()}"


def _slot(step: tuple[int, str]) -> str:
    return f"m{zlib.crc32(f'{step[0]}/{step[1]}'.encode()) % _SLOTS}"


def register(
    world: World, run_id: str, name: str, step: tuple[int, str] | None = None, latest: str | None = None
) -> tuple[str, str | None]:
    """Notes that a run has a stream. Returns the place where a writer may begin, and which attempt of the step is the
    latest that opened one, if any but the first has.

    latest: notes this as the latest.
    """
    slot = _slot(step) if step else ""
    mark = f"{step[0]}/{step[1]}/" if step else ""
    item = world.update_item(names_key(run_id), {slot: mark + latest} if latest else {}, {_field(name): ""})
    if step and sum(found.startswith(_NAME) for found in item) > NAMES_LIMIT:
        raise StreamLimitError(f"run {run_id!r} has more than {NAMES_LIMIT:,} streams, which is the limit")
    found = str(item.get(slot, "")) if slot else ""
    return str(item[_field(name)]), found.removeprefix(mark) if mark and found.startswith(mark) else None


def remember(world: World, run_id: str, name: str, log: Log) -> None:
    """Notes how far a stream goes, so that writers need not read it from its beginning."""
    world.update_item(names_key(run_id), {_field(name): log.place()}, {})


def forget_places(world: World, run_id: str) -> None:
    """Forgets how far the streams of a run go: writers read them from their beginning."""
    item = world.get_item(names_key(run_id)) or {}
    if places := {name: "" for name in item if name.startswith(_NAME)}:
        world.update_item(names_key(run_id), places, {})


def found_names(world: World, run_id: str) -> list[str] | None:
    """The streams of a run that is not archived. None if it has none, or is archived."""
    item = world.get_item(names_key(run_id))
    if item is None:
        return None
    return sorted(bytes.fromhex(name.removeprefix(_NAME)).decode() for name in item if name.startswith(_NAME))


def names(world: World, run_id: str) -> list[str]:
    """The streams of a run, by name. Raises `RunNotFoundError`."""
    found = found_names(world, run_id)
    if found is None:
        record = reading.find_run(world, generation(run_id)[0])
        if record is None:
            raise RunNotFoundError(run_id)
        return sorted(record.streams or ())
    return found


def places(world: World, run_id: str) -> list[tuple[str, int]]:
    """The streams of a run that is not archived, each with an offset that it has reached; 0 where none is noted."""
    item = world.get_item(names_key(run_id)) or {}
    fields = sorted((name, str(place)) for name, place in item.items() if name.startswith(_NAME))
    return [(bytes.fromhex(name[1:]).decode(), int(place.partition(":")[0] or 0)) for name, place in fields]


# --- reading ---

Item = StreamItem[Any] | StreamReset


@dataclass(frozen=True, slots=True)
class StreamPage:
    """A part of a stream."""

    items: list[Item]
    next: int
    """The next page begins after this offset."""
    ended: bool
    """Nothing follows: the stream is closed, or its run has ended."""


class StreamReader:
    """Reads a stream on from an offset, page by page. Not thread-safe."""

    def __init__(self, world: World, run_id: str, name: str, after: int = 0) -> None:
        check_name(name, "stream")
        self.after = after
        self.ended = False
        """The stream is closed, and all of it was read."""
        self._world = world
        self._run_id = run_id
        self._name = name
        self.key = stream_key(run_id, name)
        self._at_commit = after == 0
        """Whether a commit ends at `after`."""
        self._left: list[Row] = []
        """Rows that were read and did not fit into the page."""
        self._archived = False

    def read(self) -> list[Item]:
        """What follows, up to a page of it. Nothing where nothing more is written yet."""
        if self.ended:
            return []
        rows = self._left or self._rows()
        items: list[Item] = []
        closed, before = False, None
        for place, row in enumerate(rows):
            before = row.total if before is None else before
            if row.total - before > PAGE_BYTES:
                self._left = rows[place:]
                return items
            items += self._items(row)
            self.after = _last(row)
            closed = isinstance(row, StreamClosed)
        self._left = []
        # A later generation, or a later attempt of the step that has closed it, may have written on.
        self.ended = closed and not self._rows()
        return items

    def is_over(self) -> bool:
        """Whether no run is left that writes: what is read after this is all. Raises `RunNotFoundError`."""
        base = generation(self._run_id)[0]
        newest = self._world.get_run(generation_id(base, get_generation(self._world, base)))
        if newest is not None and newest.archived_at is None:
            return newest.ended and newest.status != "continued"
        record = reading.find_run(self._world, base)
        if record is None:
            raise RunNotFoundError(self._run_id)
        self._archived = self._name in (record.streams or ())  # else the archive may have one of an older run
        return True

    def _rows(self) -> list[Row]:
        """The rows that follow, of some commits."""
        if not self._archived:
            back = 0 if self._at_commit else COMMIT_VALUES
            found = self._world.load_history(self.key, max(0, self.after - back), commits=PAGE_COMMITS + back)
            rows = [row for row in cast("list[StreamRow]", found) if not isinstance(row, StreamRowsEnd)]
            rows = [row for row in rows if _last(row) > self.after]
            self._at_commit = self._at_commit or bool(rows) or bool(found and found[-1].seq == self.after)
            if not rows or rows[0].seq <= self.after + 1:
                return rows
            self._archived = True  # what was before these rows is removed already
        data = self._world.archive.get(self.key)
        return [row for row in load_stream(data) if _last(row) > self.after] if data else []

    def _items(self, row: Row) -> Iterator[Item]:
        """What a reader gets of a row."""
        if isinstance(row, StreamRows):
            values = enumerate(fetch(self._world, row.values), row.seq)
            attempt = row.attempt if row.step_id else None
            yield from (StreamItem(at, value, row.step_id, attempt) for at, value in values if at > self.after)
        elif isinstance(row, StreamTaken) and row.since is not None:
            yield StreamReset(row.seq, row.step_id, row.attempt if row.step_id else None, row.since)


def _last(row: Row) -> int:
    """The offset of the last value of a row."""
    return row.seq + row.count - 1 if isinstance(row, StreamRows) else row.seq


def read(world: World, run_id: str, name: str, after: int = 0) -> StreamPage:
    """A page of a stream: the items after an offset. Raises `RunNotFoundError`."""
    reader = StreamReader(world, run_id, name, after)
    items = reader.read()
    if reader.after == after and reader.is_over():
        items = reader.read()
        reader.ended = reader.after == after
    return StreamPage(items, reader.after, reader.ended)


# --- archived streams ---


def archive(world: World, run_id: str, name: str) -> None:
    """Writes the archive of a stream of a run that has ended. Harmless to repeat."""
    key = stream_key(run_id, name)
    rows = [row for row in cast("list[StreamRow]", world.load_history(key)) if not isinstance(row, StreamRowsEnd)]
    data = dump_stream(rows)
    if rows and not world.archive.put(key, data):
        other = load_stream(world.archive.get(key) or data)[0].at
        is_another = other != rows[0].at  # of a run that had this id before
        world.archive.put(key, data, replace=True, keep_as=f"{other:%Y%m%dT%H%M%S.%fZ}" if is_another else None)


def clear(world: World, run_id: str, names: Sequence[str]) -> None:
    """Removes the streams of a run that is archived. Harmless to repeat."""
    for name in names:
        world.archive.clear(stream_key(run_id, name), ())
    world.put_item(names_key(run_id), None)


def dump_stream(rows: Sequence[Row]) -> bytes:
    """A stream as it is archived: gzip of a line of JSON for each row."""
    import gzip  # which hardly any process needs

    lines = [dump_events([cast("Event", row)])[1:-1] for row in rows]
    return gzip.compress("\n".join(lines).encode(), mtime=0)


def load_stream(data: bytes) -> list[Row]:
    """What `dump_stream` was given."""
    import gzip

    return cast("list[Row]", load_events(b"[%s]" % b",".join(gzip.decompress(data).splitlines())))
