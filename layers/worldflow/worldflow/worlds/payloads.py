"""Large data: out of histories and messages into the payload store, and back.

A value of more than `world.inline_limit` bytes is stored under a key of its run, and a reference stands in its place:
`{"$payload": key, "bytes": n}`. A value of the user's that looks like one is stored too, so that no value is ever
mistaken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pydantic_core import from_json

from worldflow.engine.history import BaseEvent, Json, dump_value

if TYPE_CHECKING:
    from worldflow.worlds.base import World

_KEY = "$payload"

E = TypeVar("E", bound=BaseEvent)


def stash(world: World, run_id: str, value: Json) -> Json:
    """`value`, or a reference to it where it is large."""
    data = dump_value(value, ours=5)
    if len(data) <= world.inline_limit and not _is_reference(value):
        return value
    key = f"{run_id}/{hashlib.sha256(data).hexdigest()}"
    world.put_payload(key, data)
    return {_KEY: key, "bytes": len(data)}


def fetch(world: World, value: Json) -> Json:
    """The value itself, where `value` is a reference."""
    return from_json(world.get_payload(value[_KEY])) if _is_reference(value) else value


def stash_event(world: World, run_id: str, event: E) -> E:
    """The event as it is stored."""
    return _with_data(event, lambda value: stash(world, run_id, value))


def fetch_event(world: World, event: E) -> E:
    """The event as the workflow sees it."""
    return _with_data(event, lambda value: fetch(world, value))


def _with_data(event: E, change: Callable[[Json], Json]) -> E:
    values = {field: getattr(event, field) for field in event.data_fields}
    changed = {field: change(value) for field, value in values.items()}
    return event.model_copy(update=changed) if any(changed[field] is not values[field] for field in values) else event


def _is_reference(value: Json) -> bool:
    return isinstance(value, dict) and _KEY in value
