"""Streams as Server-Sent Events, which a browser's `EventSource` reads and resumes by itself.

Each item is an event with its offset as its id. A browser that comes back sends the id of the last one that it has
seen in `Last-Event-ID`, and gets what follows. The end is an event too, whose id says so: who comes back with that is
answered 204, after which an `EventSource` does not come back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import StreamItem, StreamReset

MEDIA_TYPE = "text/event-stream"

HEADERS: Mapping[str, str] = {"cache-control": "no-store", "x-accel-buffering": "no"}
"""Nothing on the way is to keep these events, nor to collect them; the second is nginx's name for that."""

RETRY = b"retry: 250\n\n"
"""Milliseconds after which a browser comes back when an answer is over."""

NOTHING = b": nothing new\n\n"
"""A comment, so that the connection is seen to be alive."""

_LAST = re.compile(r"([0-9]{1,9})(-end)?")


def described(item: StreamItem | StreamReset) -> dict[str, Any]:
    """An item as JSON."""
    if isinstance(item, StreamReset):
        return {
            "offset": item.offset,
            "reset": True,
            "step_id": item.step_id,
            "attempt": item.attempt,
            "since": item.since,
        }
    return {"offset": item.offset, "value": item.value, "step_id": item.step_id, "attempt": item.attempt}


def event(item: StreamItem | StreamReset) -> bytes:
    kind = "reset" if isinstance(item, StreamReset) else None
    return _event(str(item.offset), described(item), kind)


def end(after: int) -> bytes:
    """Says that the stream has ended with this offset."""
    return _event(f"{after}-end", {"next": after, "ended": True}, "end")


def _event(id: str, data: Any, kind: str | None) -> bytes:
    named = f"event: {kind}\n" if kind else ""
    # JSON escapes line breaks, which would end the data.
    return f"id: {id}\n{named}data: ".encode() + to_json(data, inf_nan_mode="null") + b"\n\n"


def resumed(last_event_id: str | None, after: int) -> int | None:
    """The offset after which a reader goes on; None if it has seen the end.

    last_event_id: the header, which wins over `after`. Raises `InvalidInputError` for what is no id of these events.
    """
    if not last_event_id:
        return after
    found = _LAST.fullmatch(last_event_id)
    if found is None:
        rule = "must be the id of an event of this stream"
        raise InvalidInputError(f"{last_event_id!r:.100} {rule}", [FieldError("Last-Event-ID", rule)])
    return None if found[2] else int(found[1])
