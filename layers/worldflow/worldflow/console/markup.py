"""How values are shown: times, JSON, errors."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup, escape
from pydantic_core import to_jsonable_python

from worldflow.engine.durations import spoken
from worldflow.engine.history import Failure
from worldflow.presentation.words import describe_failure, duration, printable

SHOWN = 20_000
"""Characters of a value that a page shows."""


def moment(value: datetime | None) -> Markup:
    """A time that the browser writes in its own zone."""
    if value is None:
        return Markup("")
    return Markup('<time datetime="{}">{}</time>').format(value.isoformat(), f"{value:%Y-%m-%d %H:%M:%S} UTC")


def took(value: timedelta) -> str:
    return duration(value)


def pretty(value: Any) -> str:
    """A value as indented JSON, cut if it is long."""
    text = json.dumps(to_jsonable_python(value, inf_nan_mode="strings"), ensure_ascii=False, indent=2)
    return text if len(text) <= SHOWN else text[:SHOWN] + "\n…"


def failure(value: Failure) -> str:
    return describe_failure(value, limit=2_000)


def on_one_line(value: str | None) -> str:
    return printable(value or "")


def element_id(value: str) -> Markup:
    """A text as a part of an element's id."""
    return escape("".join(character if character.isalnum() else "-" for character in value))


def seconds(value: float) -> str:
    return duration(timedelta(seconds=value))


FILTERS = {
    "seconds": seconds,
    "moment": moment,
    "took": took,
    "spoken": spoken,
    "pretty": pretty,
    "failure": failure,
    "on_one_line": on_one_line,
    "element_id": element_id,
}
