"""Comparing a value with what was read of its JSON."""

from __future__ import annotations

import dataclasses
import datetime as dates
from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from pydantic import BaseModel

from worldflow.engine.texts import is_text


class Difference(NamedTuple):
    """Where what was read is not what was written, and in what. The path is that within the value."""

    path: str
    reason: str

    def within(self, path: str) -> Difference:
        return Difference(path + self.path, self.reason)


def changed(value: Any, read: Any) -> Difference | None:
    """Whether one thing is another: a subclass of the type that was read, or an `int` for a `float`, is none."""
    kind = type(read)
    if not (isinstance(value, kind) or (kind is float and isinstance(value, int))):
        return becomes(value, read)
    if isinstance(value, (dates.datetime, dates.time)) and isinstance(read, (dates.datetime, dates.time)):
        return _moment_changed(value, read)
    if isinstance(read, Decimal):
        # A type's own serializer may make a number of it, which does not keep the zeros at its end.
        same = isinstance(value, Decimal) and (value.as_tuple() == read.as_tuple() or value == read)
        return None if same else becomes(value, read)
    return None if equal(value, read) else becomes(value, read)


def unlike(value: Any, read: Any) -> Difference | None:
    """Where one value is not another, of the same types throughout."""
    if type(value) is not type(read) and origin(value) is not origin(read):
        return becomes(value, read)
    if isinstance(value, deque) and value.maxlen != read.maxlen:
        return Difference("", f"its maxlen of {value.maxlen} would be lost")
    if isinstance(value, (list, tuple, deque, set, frozenset)):
        return items_differ(value, read, unlike)
    if isinstance(value, dict):
        return _dicts_differ(value, read)
    written, back = contents(value), contents(read)
    if written is not None and back is not None:
        for name, part in written.items():
            if name not in back:
                return Difference("", f"its {name!r} would be lost")
            if found := unlike(part, back[name]):
                return found.within(f".{name}")
        return None
    return changed(value, read)


def items_differ(value: Any, read: Any, differ: Any) -> Difference | None:
    """Where the items of two collections differ; those of sets are the same in any order."""
    if len(value) != len(read):
        return becomes(value, read)
    if isinstance(value, (set, frozenset)):
        if value != read:
            return becomes(value, read)
        same = {part: part for part in read}
        read = [same[part] for part in value]
    for index, (part, back) in enumerate(zip(value, read, strict=True)):
        if found := differ(part, back):
            return Difference(f"[{index}]{found.path}", found.reason)
    return None


def _dicts_differ(value: Any, read: Any) -> Difference | None:
    if len(value) != len(read):
        return Difference("", "two of its keys are one in JSON")
    for (key, part), (other, back) in zip(value.items(), read.items(), strict=True):
        if found := unlike(key, other):
            return Difference("", f"its key {short(key)}: {found.reason}")
        if found := unlike(part, back):
            return found.within(f"[{key!r}]")
    return None


def _moment_changed(value: Any, read: Any) -> Difference | None:
    zone = value.tzinfo
    if zone is not None and _varies(zone):
        return Difference(
            "",
            f"its time zone {zone} would come back as the offset {read:%z}: convert it to UTC, and pass the name of "
            f"the zone separately",
        )
    if value.replace(tzinfo=None) != read.replace(tzinfo=None) or value.utcoffset() != read.utcoffset():
        return becomes(value, read)
    return becomes(value, read) if zone is None and value.fold != read.fold else None


def _varies(zone: dates.tzinfo) -> bool:
    """Whether a time zone has other offsets at other times."""
    try:
        return zone.utcoffset(None) is None
    except Exception:
        return True


def lost_in_json(value: Any, read: Any) -> Difference | None:
    """What of a value is not in the JSON that it has become."""
    if isinstance(value, Mapping):
        if not isinstance(read, dict):
            return None
        if found := keys_lost(value, read):
            return found
        parts = [(f"[{key!r}]", part, back) for (key, part), back in zip(value.items(), read.values(), strict=True)]
    elif isinstance(value, (list, tuple, deque, set, frozenset)):
        if not isinstance(read, list):
            return None
        if len(value) != len(read):
            return becomes(value, read)
        parts = [(f"[{index}]", part, back) for index, (part, back) in enumerate(zip(value, read, strict=True))]
    elif (inside := contents(value)) is not None and isinstance(read, dict):
        parts = [(f".{name}", part, read[name]) for name, part in inside.items() if name in read]
    else:
        return None
    for path, part, back in parts:
        if back is None and part is not None:  # what JSON has no number for, inside a model
            return becomes(part, back).within(path)
        if not (type(part) in _ATOMS or equal(part, back)) and (found := lost_in_json(part, back)):
            return found.within(path)
    return None


_ATOMS = (str, int, float, bool, type(None))


def keys_lost(value: Mapping[Any, Any], read: Any) -> Difference | None:
    """Which keys of a dict are not among those of the JSON that it has become."""
    for key in value:
        if type(key) is str and key not in read:
            has_it = is_text(key)
            return Difference(f"[{key!r}]", f"this key {'would be lost' if has_it else 'cannot be encoded as UTF-8'}")
    return Difference("", "two of its keys are one in JSON") if len(value) != len(read) else None


def contents(value: Any) -> Mapping[str, Any] | None:
    """The fields of a model, of a dataclass or of a dict, by name."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {name: part for name, part in value.__dict__.items() if name in fields}  # and no cached properties
    if isinstance(value, dict):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    return None


def origin(value: Any) -> type:
    """The type of a value; of a generic model the one that has no types in brackets."""
    kind = type(value)
    generic = getattr(kind, "__pydantic_generic_metadata__", None)
    found: type = (generic and generic["origin"]) or kind
    return found


def equal(value: Any, read: Any) -> bool:
    """Equality, with which NaN is NaN."""
    try:
        if bool(value == read):
            return True
        if type(value) is type(read) and "__eq__" not in _methods(type(value)):
            return bool(getattr(value, "__dict__", None) == getattr(read, "__dict__", None))
        return bool(value != value and read != read)
    except Exception:  # a type's `==` may do as it likes, and say nothing
        return type(value) is type(read)


def _methods(kind: type) -> set[str]:
    return {name for cls in kind.__mro__[:-1] for name in vars(cls)}


def becomes(value: Any, read: Any) -> Difference:
    if type(value) is not type(read):
        return Difference("", f"{named(value)} would come back as {named(read)}")
    return Difference("", f"{short(value)} would come back as {short(read)}")


def named(value: Any) -> str:
    """Words for the type of a value."""
    return "None" if value is None else f"the {type(value).__qualname__}"


def short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        return f"a {type(value).__qualname__}"
    return text if len(text) <= 80 else text[:77] + "..."
