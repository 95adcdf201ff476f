"""Values that a workflow uses up: what it is given is its own, and nobody else may notice."""

from __future__ import annotations

from typing import Any

from tests.support.collector import LITTER
from worldflow.engine.history import Event, dump_events

SPOILED = "spoiled"
"""What is left of a value that was used. Nothing that is recorded may say so."""


class Refused(ValueError):
    """An error with data in its arguments and attributes."""

    def __init__(self, details: dict[str, Any]) -> None:
        super().__init__(details)
        self.codes = [details, len(details)]


def a_value(n: int) -> dict[str, Any]:
    """What is sent, returned or raised as the `n`th."""
    return {"n": n, "parts": [n, {"of": n}]}


def spoil(value: Any) -> None:
    """Changes a value in place, as deep as it goes: some of it is lost, and some is new."""
    match value:
        case dict():
            for part in value.values():
                spoil(part)
            if value:
                value.pop(next(iter(value)))
            value[SPOILED] = True
        case list():
            for part in value:
                spoil(part)
            value.append(SPOILED)
        case Refused():
            for part in (*value.args, *vars(value).values()):
                spoil(part)


def told(error: BaseException) -> str:
    """What an error tells a workflow, the first time that it is caught."""
    if not isinstance(error, Refused) or SPOILED in str(error):
        return ""
    return f" {error.args} {vars(error)}"


def out_of_place(event: Event) -> str | None:
    """What is wrong with an event: it was recorded after it was used, or decided by what is collected.

    An error that a workflow has caught, and raises again, is its own.
    """
    text = dump_events([event])
    if SPOILED in text and event.event_type not in ("RunFailed", "Replied", "ChildFailed"):
        return f"event {event.seq} ({event.event_type}) is recorded as it was after it was used: {text}"
    if LITTER in text:
        return f"event {event.seq} ({event.event_type}) was decided by what is collected: {text}"
    return None
