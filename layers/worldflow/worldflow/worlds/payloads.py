"""The user's data: on its way into histories, messages, records and the payload store, and back.

A value of more than `world.inline_limit` bytes is stored under a key of its run, and a reference stands in its place:
`{"$payload": key, "bytes": n}`. In a World with a codec every value is encoded first. One that is small then stands as
`{"$encoded": base64, "run_id": id}`; the reference to a large one says so too. The id is that of the run that the value
was encoded for: it stays when another run takes the value over. What was recorded without a codec is read as it is.

A value of the user's that looks like one of these is stored too, so that no value is ever mistaken.

Of a value of which the history of its run holds parts already, an event has only the rest, and the places of these
parts (`engine/values/repeats.py`): `{"$encoded": 0, "$same": [places, rest], "bytes": n}`, where the pair is stashed as
any value is. To code that knows nothing of this it is encoded data that cannot be read, and never a value. Such an
event is read with the events before it: see `histories.py`. Everything else, such as a message, has the value whole.

What is stored has one owner, the run that its key begins with, and goes where that run goes. A reference that comes
from another run, with a child's input or its result, with what a generation leaves to the next, with the history of a
fork, is adopted: the data is copied to a key of the new owner before anything refers to it there.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from pydantic_core import from_json

from worldflow.engine.errors import PayloadCodecError, PayloadTooLargeError
from worldflow.engine.history import BaseEvent, Failure, Json, dump_value
from worldflow.engine.values.repeats import Shared
from worldflow.worlds.codec import PayloadCodec

PAYLOAD_LIMIT = 50 * 1024 * 1024
"""Bytes of one value as JSON. A function has to hold it some times over."""

_KEY = "$payload"
_ENCODED = "$encoded"
_ENCODED_FOR = "encoded_for"
_SAME = "$same"

_COPIES = 8
"""Payloads that are copied side by side."""

E = TypeVar("E", bound=BaseEvent)


@dataclass(frozen=True, slots=True)
class Whole:
    """The data of an event that is kept in memory, where the history has something else in its place."""

    value: Json
    stored: Json


class PayloadStore(Protocol):
    """The members of a World that hold payloads."""

    codec: PayloadCodec | None
    inline_limit: int

    def put_payload(self, key: str, data: bytes) -> None: ...

    def get_payload(self, key: str) -> bytes: ...

    def copy_payload(self, key: str, new_key: str) -> None: ...


def stash(world: PayloadStore, run_id: str, value: Json, field: str = "value") -> Json:
    """`value`, or what stands for it where it is large or the world has a codec.

    Raises `PayloadTooLargeError`, which names the field.
    """
    if world.codec is None and (value is None or type(value) in (int, float, bool)):
        return value
    data = dump_value(value, ours=5)
    if len(data) > PAYLOAD_LIMIT and field not in _ENGINES_OWN:
        raise PayloadTooLargeError(field, len(data), PAYLOAD_LIMIT)
    mark: dict[str, Json] = {}
    encoded = world.codec.encode(data, _context(run_id)) if world.codec and value is not None else data
    if encoded != data:
        data = encoded
        text = base64.b64encode(data).decode()
        if len(text) <= world.inline_limit:
            return {_ENCODED: text, "run_id": run_id}
        mark = {_ENCODED_FOR: run_id}
    elif len(data) <= world.inline_limit and not is_stand_in(value):
        return value
    key = f"{run_id}/{hashlib.sha256(data).hexdigest()}"
    world.put_payload(key, data)
    return {_KEY: key, "bytes": len(data), **mark}


def stash_shared(world: PayloadStore, run_id: str, value: Json, shared: Shared, field: str) -> Json:
    """What stands for a value in an event, where the history holds parts of it. Raises `PayloadTooLargeError`."""
    size = len(dump_value(value, ours=5))
    if size > PAYLOAD_LIMIT:
        raise PayloadTooLargeError(field, size, PAYLOAD_LIMIT)
    return {_ENCODED: 0, _SAME: stash(world, run_id, [shared.borrowed, shared.rest]), "bytes": size}


def has_borrowed(value: Json) -> bool:
    """Whether what is stored of a value is not all of it: parts are in earlier events."""
    return is_stand_in(value) and _SAME in value and value[_ENCODED] == 0


def fetch_shared(world: PayloadStore, value: Json) -> Shared:
    """What an event has of a value that `has_borrowed`. Raises `PayloadCodecError`."""
    borrowed, rest = fetch(world, value[_SAME])
    return Shared(borrowed, rest)


_ENGINES_OWN = ("carried",)
"""Fields that hold many values of the user's, each of which was let in before."""


def check_size(value: Json, field: str) -> None:
    """Raises `PayloadTooLargeError` for what `stash` refuses: where something else is stored before it."""
    size = len(dump_value(value))
    if size > PAYLOAD_LIMIT:
        raise PayloadTooLargeError(field, size, PAYLOAD_LIMIT)


def fetch(world: PayloadStore, value: Json) -> Json:
    """The value itself, of what `stash` made of it. Raises `PayloadCodecError`."""
    if isinstance(value, Whole):
        return value.value
    if not is_stand_in(value):
        return value
    if has_borrowed(value):
        raise PayloadCodecError("parts of the data are in earlier events of its history")
    if _KEY in value:
        data, encoded_for = world.get_payload(value[_KEY]), value.get(_ENCODED_FOR)
    else:
        data, encoded_for = _bytes(value[_ENCODED]), value.get("run_id", "")
    return from_json(data) if encoded_for is None else _decode(world, data, encoded_for)


def stash_failure(world: PayloadStore, run_id: str, failure: Failure) -> Failure:
    """The failure as it is stored: with a codec, only the names of its type are there to read."""
    if world.codec is None:
        return failure
    names = {"type", "bases"}
    packed = stash(world, run_id, failure.model_dump(exclude=names, exclude_defaults=True))
    return Failure(type=failure.type, bases=failure.bases, packed=packed)


def fetch_failure(world: PayloadStore, failure: Failure) -> Failure:
    """The failure with all that it holds."""
    if failure.packed is None:
        return failure
    return Failure(type=failure.type, bases=failure.bases, **fetch(world, failure.packed))


def stash_text(world: PayloadStore, run_id: str, text: str | None) -> str | None:
    """A text as it is stored, where there is room for nothing but a text."""
    stored = text if text is None or world.codec is None else stash(world, run_id, text)
    return stored if stored is None or isinstance(stored, str) else json.dumps(stored)


def fetch_text(world: PayloadStore, text: str | None) -> str | None:
    """The text itself."""
    return fetch(world, from_json(text)) if text and text.startswith(('{"' + _ENCODED, '{"' + _KEY)) else text


def size_of_reference(value: Json) -> int:
    """Bytes of the value, where `value` is a reference, or has borrowed parts; else 0."""
    is_reference = is_stand_in(value) and (_KEY in value or _SAME in value)
    return int(value.get("bytes", 0)) if is_reference else 0


def is_in_store(value: Json) -> bool:
    """Whether a stored value, or what it has of its own, is in the payload store."""
    return is_stand_in(value) and (_KEY in value or (has_borrowed(value) and is_in_store(value[_SAME])))


def is_encoded(value: Json) -> bool:
    """Whether a codec has encoded a stored value that is not in the payload store."""
    if has_borrowed(value):
        return is_encoded(value[_SAME])
    return is_stand_in(value) and _KEY not in value


def given_to(world: PayloadStore, run_id: str, value: Json | Whole) -> Json:
    """The data of an event as a message or a record of the run `run_id` carries it."""
    return stash(world, run_id, value.value) if isinstance(value, Whole) else adopt(world, run_id, value)


def adopt(world: PayloadStore, run_id: str, value: Json) -> Json:
    """`value` as the run `run_id` may keep it: what it refers to, if it does, belongs to that run."""
    if _owner(value) in (None, run_id):
        return value
    key = f"{run_id}/{value[_KEY].rpartition('/')[2]}"
    world.copy_payload(value[_KEY], key)
    return {**value, _KEY: key}


def stash_event(world: PayloadStore, run_id: str, event: E) -> E:
    """The event as it is stored. Raises `PayloadTooLargeError`."""
    return _with_data(
        event,
        lambda field, value: stash(world, run_id, value, field),
        lambda failure: stash_failure(world, run_id, failure),
    )


def fetch_event(world: PayloadStore, event: E) -> E:
    """The event as the workflow sees it, of those that have no borrowed parts."""
    if stands_for_itself(event):
        return event
    return _with_data(event, lambda _, value: fetch(world, value), lambda failure: fetch_failure(world, failure))


def stands_for_itself(event: BaseEvent) -> bool:
    """Whether nothing of an event is stored elsewhere or encoded. A replay asks this of every event."""
    data = event.__dict__
    for field in event.data_fields:
        value = data.get(field)
        if (type(value) is dict and is_stand_in(value)) or type(value) is Whole:
            return False
    return data.get("error") is None


def adopt_event(world: PayloadStore, run_id: str, event: E) -> E:
    """The event as the run `run_id` may keep it."""

    def adopt_failure(failure: Failure) -> Failure:
        packed = adopt(world, run_id, failure.packed)
        return failure if packed is failure.packed else failure.model_copy(update={"packed": packed})

    return _with_data(event, lambda _, value: adopt(world, run_id, value), adopt_failure)


def adopt_events(world: PayloadStore, run_id: str, events: Sequence[E]) -> list[E]:
    """Events as the run `run_id` may keep them. Where many refer to data, that is copied side by side."""
    foreign = [event for event in events if _is_foreign(event, run_id)]
    if len(foreign) > 1:
        with ThreadPoolExecutor(_COPIES, thread_name_prefix="worldflow-copy") as threads:
            adopted = dict(
                zip(map(id, foreign), threads.map(partial(adopt_event, world, run_id), foreign), strict=True)
            )
    else:
        adopted = {id(event): adopt_event(world, run_id, event) for event in foreign}
    return [adopted.get(id(event), event) for event in events]


def _is_foreign(event: BaseEvent, run_id: str) -> bool:
    values = [getattr(event, field) for field in event.data_fields]
    if isinstance(failure := getattr(event, "error", None), Failure):
        values.append(failure.packed)
    return any(_owner(value) not in (None, run_id) for value in values)


def _owner(value: Json) -> str | None:
    """The run that owns what `value` refers to, if it is a reference."""
    return str(value[_KEY]).rpartition("/")[0] if is_stand_in(value) and _KEY in value else None


def _with_data(event: E, change: Callable[[str, Json], Json], change_failure: Callable[[Failure], Failure]) -> E:
    data = event.__dict__
    values: dict[str, Any] = {field: data.get(field) for field in event.data_fields}
    changed = {field: change(field, value) for field, value in values.items()}
    if isinstance(failure := data.get("error"), Failure):
        values["error"], changed["error"] = failure, change_failure(failure)
    return event.model_copy(update=changed) if any(changed[field] is not values[field] for field in values) else event


def _bytes(text: Json) -> bytes:
    try:
        return base64.b64decode(text)
    except (ValueError, TypeError):
        raise PayloadCodecError("encoded data is not valid base64") from None


def is_stand_in(value: Json) -> bool:
    return isinstance(value, dict) and (_KEY in value or _ENCODED in value)


def _context(run_id: str) -> dict[str, str]:
    return {"run_id": run_id}


def _decode(world: PayloadStore, data: bytes, run_id: str) -> Json:
    if world.codec is None:
        raise PayloadCodecError(
            f"the data of run {run_id!r} is encoded, but this process has no codec: "
            f"set WORLDFLOW_PAYLOAD_CODEC to the codec that the data was written with"
        )
    clear = world.codec.decode(data, _context(run_id))
    try:
        return from_json(clear)
    except ValueError:
        raise PayloadCodecError(
            f"the data of run {run_id!r} was encoded by a codec other than {type(world.codec).__name__}"
        ) from None
