"""Lengths of time, values and errors, in few words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta

from worldflow.engine.history import Failure, Json
from worldflow.engine.workflow.registry import DYNAMIC

VALUE_LIMIT = 120
"""Characters of a value in a line."""


def version_of(version: int | None) -> str:
    """A version of a workflow, where there is something to say of it."""
    if version == DYNAMIC:
        return "dynamic"
    return f"version {version}" if version not in (None, 1) else ""


def duration(length: timedelta) -> str:
    """A length of time in its two largest units: `420 ms`, `3.1 s`, `2 min 5 s`, `3 d`."""
    milliseconds = round(length.total_seconds() * 1_000)
    if milliseconds < 1_000:
        return f"{max(milliseconds, 0)} ms"
    if milliseconds < 59_950:
        return f"{milliseconds / 1_000:.1f}".removesuffix(".0") + " s"
    rest, parts = round(milliseconds / 1_000), []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def describe_value(value: Json) -> str:
    """A value on a line, cut if it is long; nothing for None."""
    return "" if value is None else shortened(as_json(value))


def describe_attributes(attributes: Mapping[str, Json]) -> str:
    """Attributes as `customer="c1" total=3`. One that was taken away is null."""
    return shortened(" ".join(f"{name}={as_json(value)}" for name, value in attributes.items()))


def describe_failure(failure: Failure, limit: int = VALUE_LIMIT) -> str:
    """An error on a line: the name of its type and its message, with a semicolon before each indented line of it."""
    name = type_name(failure)
    message = failure.message.replace("\n  ", "; ")  # as InvalidInputError lists what is wrong
    return shortened(f"{name}: {message}" if message else name, limit)


def type_name(failure: Failure) -> str:
    return failure.type.rpartition(":")[2]


def as_json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def shortened(text: str, limit: int = VALUE_LIMIT) -> str:
    text = printable(text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def printable(text: str) -> str:
    """Text on one line, which cannot move the cursor or change the colours of a terminal."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
