"""What fits an answer. Lambda carries 6 MB of JSON, the body being text in it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from pydantic_core import to_json

from worldflow.engine.history import BaseEvent, Event
from worldflow.serving.api.errors import at_once
from worldflow.worlds import RunRecord, ScheduleRecord, World, reading
from worldflow.worlds.payloads import fetch, size_of_reference

BODY_LIMIT = 4_500_000
"""Bytes of a body: base64, which is of a known length, makes four of three."""

DATA_LIMIT = 4_000_000
"""Bytes of the runs' data in one answer."""

PLAIN_LIMIT = 1_000_000
"""Bytes of a body that is given as text: written as JSON once more it may become three times as long."""

COMMITS = 20
"""How many are read at once: the largest are of 350 KB."""


def carried(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer as Lambda can carry it: itself, or encoded, or a refusal that says how large it is."""
    body = answer["body"] or ""
    size = len(body) * 3 // 4 if answer["isBase64Encoded"] else len(body.encode())
    if size > BODY_LIMIT:
        message = (
            f"the response has {size} bytes, but this API returns at most {BODY_LIMIT}; read it with the Python API"
        )
        return at_once(413, "AnswerTooLargeError", message)
    if size > PLAIN_LIMIT and not answer["isBase64Encoded"]:
        return {**answer, "body": base64.b64encode(body.encode()).decode(), "isBase64Encoded": True}
    return answer


M = TypeVar("M", RunRecord, ScheduleRecord, BaseEvent)


def leave_out(stored: M, names: Sequence[str], room: int = DATA_LIMIT) -> tuple[M, dict[str, int]]:
    """What is stored, without the values for which there is no room beside the others; and the sizes of these."""
    omitted: dict[str, int] = {}
    for name in names:
        if (size := size_of_reference(getattr(stored, name))) > max(room, 0):
            omitted[name] = size
        else:
            room -= size
    return stored.model_copy(update=dict.fromkeys(omitted)), omitted


def describe_run(world: World, run_id: str) -> dict[str, Any]:
    record, omitted = leave_out(reading.stored_run(world, run_id), ("result", "input"))
    return _with(reading.with_data(world, record).describe(), omitted)


def describe_schedule(world: World, record: ScheduleRecord) -> dict[str, Any]:
    record, omitted = leave_out(record, ("input",))
    shown = record.model_copy(update={"input": fetch(world, record.input)})
    return _with(shown.describe(world.now()), omitted)


def describe_events(world: World, run_id: str, after: int, limit: int) -> dict[str, Any]:
    """A page of a history: up to `limit` events, or as many as fit."""
    shown: list[dict[str, Any]] = []
    room = DATA_LIMIT
    history = reading.history_of(world, run_id)
    for event in _events(world, run_id, after):
        stored, omitted = leave_out(event, event.data_fields, room)
        described = {"event_type": event.event_type, "seq": event.seq, "at": event.at}
        described = _with({**described, "payload": history.read(stored).payload}, omitted)
        room -= len(to_json(described))
        # What no page has room for is left out of the one that begins with it.
        if shown and (len(shown) == limit or room < 0 or omitted):
            return {"events": shown, "after": shown[-1]["seq"]}
        shown.append(described)
    return {"events": shown, "after": None}


def _events(world: World, run_id: str, after: int) -> Iterator[Event]:
    """The events after `after`, read as they are asked for."""
    events = reading.stored_events(world, run_id, after, commits=COMMITS)
    if after and (not events or events[0].seq != after + 1):
        yield from reading.stored_events(world, run_id, after)  # it lies within a commit, or is the end
        return
    while events:
        yield from events
        events = reading.stored_events(world, run_id, events[-1].seq, commits=COMMITS)


def _with(described: dict[str, Any], omitted: dict[str, int]) -> dict[str, Any]:
    return {**described, "omitted": omitted} if omitted else described
