"""The streams of a run, live as they are written."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from worldflow.engine.history import UNRECORDED, Json, StreamItem
from worldflow.engine.ids import stream_key
from worldflow.worlds import streams
from worldflow.worlds.base import World

DRAWN = 20
"""Streams of a run in its timeline."""
ROWS = 1_000
"""Rows of a page. One that follows a stream keeps the newest."""
_LOOKS = 50
"""Pages of a stream that are read to find its newest rows; a page that follows it reads on."""


@dataclass(frozen=True, slots=True)
class Row:
    offset: int
    text: str
    is_text: bool
    """Whether it goes on where the row before ends."""
    reset: str = ""
    """What a reset says."""


@dataclass(frozen=True, slots=True)
class Rows:
    rows: Sequence[Row]
    after: int
    """The offset that they follow."""
    next: int
    ended: bool

    @property
    def earlier(self) -> int | None:
        """Where the page before these rows begins, if anything is before them."""
        return max(0, self.after - ROWS) if self.after else None


def read(world: World, run_id: str, name: str, after: int) -> Rows:
    """A page of the rows of a stream that follow an offset. Raises `RunNotFoundError` and `InvalidInputError`."""
    page = streams.read(world, run_id, name, after)
    rows = [_row(item) for item in page.items[:ROWS]]
    if len(rows) < len(page.items):
        return Rows(rows, after, rows[-1].offset, False)
    return Rows(rows, after, page.next, page.ended)


def read_newest(world: World, run_id: str, name: str) -> Rows:
    """The newest rows of a stream, to be followed from there. Raises as `read`."""
    noted = dict(streams.places(world, run_id)).get(name, 0)  # it may have gone on since
    start = after = max(0, noted - ROWS)
    kept, found = deque[streams.Item](maxlen=ROWS), 0
    for _ in range(_LOOKS):
        page = streams.read(world, run_id, name, after)
        kept += page.items
        found += len(page.items)
        if page.ended or page.next == after:
            break
        after = page.next
    follows = kept[0].offset - 1 if found > len(kept) else start
    return Rows([_row(item) for item in kept], follows, page.next, page.ended)


def _row(item: streams.Item) -> Row:
    if isinstance(item, StreamItem):
        text, is_text = _text(item.value)
        return Row(item.offset, text, is_text)
    said = f"Attempt {item.attempt} of {item.step_id} begins anew: what it wrote from {item.since} on is void."
    return Row(item.offset, "", False, said)


def _text(value: Json) -> tuple[str, bool]:
    """A value as text: the words of a string, or of an event of an agent; JSON of anything else."""
    if isinstance(value, str):
        return value, True
    if isinstance(value, dict) and value.get("event_kind") in ("part_start", "part_delta"):
        part = value.get("part") or value.get("delta")
        for name in ("content", "content_delta"):
            if (
                isinstance(part, dict)
                and isinstance(part.get(name), str)
                and part.get("part_kind", part.get("part_delta_kind")) == "text"
            ):
                return part[name], True
    return json.dumps(value, ensure_ascii=False), False


def written(world: World, run_id: str) -> list[tuple[str, datetime, datetime]]:
    """When the streams of a run were written, from the first row to the last: nothing of a run that is archived. A
    request for a run without streams.
    """
    found = []
    for name, end in streams.places(world, run_id)[:DRAWN]:
        key = stream_key(run_id, name)
        first = world.load_history(key, commits=1)
        last = world.load_history(key, max(0, end - streams.COMMIT_VALUES))
        moments = [row.at for row in (*first, *last) if row.at > UNRECORDED]
        if moments:
            found.append((name, moments[0], max(moments)))
    return found
