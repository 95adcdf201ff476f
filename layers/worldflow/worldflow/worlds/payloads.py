"""The user's data: on its way into histories, messages, records and the payload store, and back.

A value of more than `world.inline_limit` bytes is stored under a key of its run, and a reference stands in its place:
`{"$payload": key, "bytes": n}`. In a World with a codec every value is encoded first. One that is small then stands as
`{"$encoded": base64, "run_id": id}`; the reference to a large one says so too. The id is that of the run that the value
was encoded for: it stays when another run takes the value over. What was recorded without a codec is read as it is.

A value of the user's that looks like one of these is stored too, so that no value is ever mistaken.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic_core import from_json

from worldflow.engine.errors import PayloadCodecError
from worldflow.engine.history import BaseEvent, Failure, Json, dump_value

if TYPE_CHECKING:
    from worldflow.worlds.base import World

_KEY = "$payload"
_ENCODED = "$encoded"
_ENCODED_FOR = "encoded_for"

E = TypeVar("E", bound=BaseEvent)


def stash(world: World, run_id: str, value: Json) -> Json:
    """`value`, or what stands for it where it is large or the world has a codec."""
    data = dump_value(value, ours=5)
    mark: dict[str, Json] = {}
    if world.codec and value is not None:
        data = world.codec.encode(data, _context(run_id))
        text = base64.b64encode(data).decode()
        if len(text) <= world.inline_limit:
            return {_ENCODED: text, "run_id": run_id}
        mark = {_ENCODED_FOR: run_id}
    elif len(data) <= world.inline_limit and not _is_stand_in(value):
        return value
    key = f"{run_id}/{hashlib.sha256(data).hexdigest()}"
    world.put_payload(key, data)
    return {_KEY: key, "bytes": len(data), **mark}


def fetch(world: World, value: Json) -> Json:
    """The value itself, of what `stash` made of it. Raises `PayloadCodecError`."""
    if not _is_stand_in(value):
        return value
    if _KEY in value:
        data, encoded_for = world.get_payload(value[_KEY]), value.get(_ENCODED_FOR)
    else:
        data, encoded_for = _bytes(value[_ENCODED]), value.get("run_id", "")
    return from_json(data) if encoded_for is None else _decode(world, data, encoded_for)


def stash_failure(world: World, run_id: str, failure: Failure) -> Failure:
    """The failure as it is stored: with a codec, only the names of its type are there to read."""
    if world.codec is None:
        return failure
    names = {"type", "bases"}
    packed = stash(world, run_id, failure.model_dump(exclude=names, exclude_defaults=True))
    return Failure(type=failure.type, bases=failure.bases, packed=packed)


def fetch_failure(world: World, failure: Failure) -> Failure:
    """The failure with all that it holds."""
    if failure.packed is None:
        return failure
    return Failure(type=failure.type, bases=failure.bases, **fetch(world, failure.packed))


def stash_text(world: World, run_id: str, text: str | None) -> str | None:
    """A text as it is stored, where there is room for nothing but a text."""
    return text if text is None or world.codec is None else json.dumps(stash(world, run_id, text))


def fetch_text(world: World, text: str | None) -> str | None:
    """The text itself."""
    return fetch(world, from_json(text)) if text and text.startswith(('{"' + _ENCODED, '{"' + _KEY)) else text


def size_of_reference(value: Json) -> int:
    """Bytes of the value, where `value` is a reference; else 0."""
    return int(value.get("bytes", 0)) if _is_stand_in(value) and _KEY in value else 0


def stash_event(world: World, run_id: str, event: E) -> E:
    """The event as it is stored."""
    return _with_data(
        event, lambda value: stash(world, run_id, value), lambda failure: stash_failure(world, run_id, failure)
    )


def fetch_event(world: World, event: E) -> E:
    """The event as the workflow sees it."""
    return _with_data(event, lambda value: fetch(world, value), lambda failure: fetch_failure(world, failure))


def _with_data(event: E, change: Callable[[Json], Json], change_failure: Callable[[Failure], Failure]) -> E:
    values: dict[str, Any] = {field: getattr(event, field) for field in event.data_fields}
    changed = {field: change(value) for field, value in values.items()}
    if isinstance(failure := getattr(event, "error", None), Failure):
        values["error"], changed["error"] = failure, change_failure(failure)
    return event.model_copy(update=changed) if any(changed[field] is not values[field] for field in values) else event


def _bytes(text: Json) -> bytes:
    try:
        return base64.b64decode(text)
    except (ValueError, TypeError):
        raise PayloadCodecError("encoded data that is not in base64") from None


def _is_stand_in(value: Json) -> bool:
    return isinstance(value, dict) and (_KEY in value or _ENCODED in value)


def _context(run_id: str) -> dict[str, str]:
    return {"run_id": run_id}


def _decode(world: World, data: bytes, run_id: str) -> Json:
    if world.codec is None:
        raise PayloadCodecError(
            f"the data of run {run_id!r} is encoded, and this process has no codec: "
            f"it needs the WORLDFLOW_PAYLOAD_CODEC that the data was written with"
        )
    clear = world.codec.decode(data, _context(run_id))
    try:
        return from_json(clear)
    except ValueError:
        raise PayloadCodecError(
            f"the data of run {run_id!r} was encoded by another codec than {type(world.codec).__name__}"
        ) from None
