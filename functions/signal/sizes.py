"""What fits an answer. Lambda carries 6 MB of JSON, the body being text in it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import to_json

from answers import at_once
from worldflow.engine.history import Event, Json
from worldflow.worlds import AWSWorld
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
        message = f"the answer has {size} bytes, and this API gives {BODY_LIMIT} at most; read it with the Python API"
        return at_once(413, "AnswerTooLargeError", message)
    if size > PLAIN_LIMIT and not answer["isBase64Encoded"]:
        return {**answer, "body": base64.b64encode(body.encode()).decode(), "isBase64Encoded": True}
    return answer


def read_data(
    world: AWSWorld, values: Mapping[str, Json], room: int = DATA_LIMIT
) -> tuple[dict[str, Json], dict[str, int]]:
    """The values that together fit the room, by their names, and the sizes of those that are left out, and None."""
    data: dict[str, Json] = {}
    omitted: dict[str, int] = {}
    for name, value in values.items():
        if (size := size_of_reference(value)) > room:
            data[name], omitted[name] = None, size
        else:
            data[name] = fetch(world, value)
            room -= size
    return data, omitted


def describe_run(world: AWSWorld, run_id: str) -> dict[str, Any]:
    record = world.stored_run(run_id)
    data, omitted = read_data(world, {"result": record.result, "input": record.input})
    return _with(record.model_copy(update=data).describe(), omitted)


def describe_schedule(world: AWSWorld, record: Any) -> dict[str, Any]:
    data, omitted = read_data(world, {"input": record.input})
    return _with(record.model_copy(update=data).describe(world.now()), omitted)


def describe_events(world: AWSWorld, run_id: str, after: int, limit: int) -> dict[str, Any]:
    """A page of a history: up to `limit` events, or as many as fit."""
    shown: list[dict[str, Any]] = []
    room = DATA_LIMIT
    for event in _events(world, run_id, after):
        stored = {field: getattr(event, field) for field in event.data_fields}
        data, omitted = read_data(world, stored, room)
        described = {"event_type": event.event_type, "seq": event.seq, "at": event.at}
        described = _with({**described, "payload": event.model_copy(update=data).payload}, omitted)
        room -= len(to_json(described))
        # What no page has room for is left out of the one that begins with it.
        if shown and (len(shown) == limit or room < 0 or omitted):
            return {"events": shown, "after": shown[-1]["seq"]}
        shown.append(described)
    return {"events": shown, "after": None}


def _events(world: AWSWorld, run_id: str, after: int) -> Iterator[Event]:
    """The events behind `after`, read as they are asked for."""
    events = world.stored_events(run_id, after, commits=COMMITS)
    if after and (not events or events[0].seq != after + 1):
        yield from world.stored_events(run_id, after)  # it lies within a commit, or is the end
        return
    while events:
        yield from events
        events = world.stored_events(run_id, events[-1].seq, commits=COMMITS)


def _with(described: dict[str, Any], omitted: dict[str, int]) -> dict[str, Any]:
    return {**described, "omitted": omitted} if omitted else described
