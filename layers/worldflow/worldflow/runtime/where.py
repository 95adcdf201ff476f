"""The filters of lists in one line, as people type them.

    status=failed workflow=order attribute.customer=42 started>2026-11-01 started<1d

Conditions are separated by spaces, and all of them hold. A value with spaces stands in double quotes. A time is a date,
a time of UTC unless it has an offset, or a duration, which is that long ago: `started<1d` means before the moment that
was a day ago.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from worldflow.engine.durations import seconds
from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import Attribute
from worldflow.worlds.filters import Filters
from worldflow.worlds.records import STATUSES

ALLOWED = (
    "status=STATUS, workflow=NAME, id=PREFIX*, parent=RUN, text~PART, attribute.NAME=VALUE, "
    "started>TIME, started<TIME, ended>TIME, ended<TIME"
)

_CONDITION = re.compile(r'\s*([^\s=<>~"]+)(=|<=?|>=?|~)("(?:[^"\\]|\\.)*"|[^\s"]*)(?=\s|$)')
_TIMES = {
    ("started", ">"): "started_after",
    ("started", "<"): "started_before",
    ("ended", ">"): "ended_after",
    ("ended", "<"): "ended_before",
}
_WITH_EQUALS = {"status": "status", "workflow": "workflow", "id": "id_prefix", "parent": "parent"}
_ATTRIBUTE = "attribute."


def read_where(text: str, now: datetime) -> Filters:
    """The filters that a text says. Raises `InvalidInputError`, which says where in the text, and what is allowed.

    now: what durations are counted back from.
    """
    filters: dict[str, object] = {}
    attributes: dict[str, Attribute] = {}
    for position, key, sign, value in _conditions(text):
        name = _name(position, key, sign)
        if not value:
            raise _error(position, f"{key}{sign} needs a value")
        if name == "attributes":
            attribute = key.removeprefix(_ATTRIBUTE)
            if attribute in attributes:
                raise _error(position, f"{key} is given twice")
            attributes[attribute] = _attribute(value)
            continue
        if name in filters:
            raise _error(position, f"{key}{sign} is given twice")
        filters[name] = _value(position, name, _unquoted(position, value), now)
    if attributes:
        filters["attributes"] = attributes
    return filters  # type: ignore[return-value]


def describe(filters: Filters) -> str:
    """What filters mean, in words: with the times that durations stand for."""
    words = {
        "status": "status {}",
        "workflow": "workflow {}",
        "id_prefix": "id begins with {}",
        "parent": "child of {}",
        "status_text": "shows {}",
        "started_after": "started at or after {}",
        "started_before": "started before {}",
        "ended_after": "ended at or after {}",
        "ended_before": "ended before {}",
    }
    said = [word.format(_said(filters[name])) for name, word in words.items() if filters.get(name)]  # type: ignore[literal-required]
    attributes: Mapping[str, Attribute] = filters.get("attributes") or {}
    said += [f"attribute {name} = {json.dumps(value, ensure_ascii=False)}" for name, value in attributes.items()]
    return ", ".join(said)


def _said(value: object) -> str:
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if isinstance(value, datetime) else str(value)


def _conditions(text: str) -> Iterator[tuple[int, str, str, str]]:
    """The position of each condition, its name, its sign and its value as it is written."""
    place = 0
    while text[place:].strip():
        found = _CONDITION.match(text, place)
        if found is None:
            begin = place + len(text[place:]) - len(text[place:].lstrip())
            word = text[begin:].split()[0]
            raise _error(begin + 1, f"{word!r} is not a condition")
        yield found.start(1) + 1, found[1], found[2][0], found[3]
        place = found.end()


def _name(position: int, key: str, sign: str) -> str:
    if key in ("started", "ended") and (name := _TIMES.get((key, sign))):
        return name
    if sign == "=" and key in _WITH_EQUALS:
        return _WITH_EQUALS[key]
    if sign == "=" and key.startswith(_ATTRIBUTE) and key != _ATTRIBUTE:
        return "attributes"
    if (key, sign) == ("text", "~"):
        return "status_text"
    raise _error(position, f"there is no condition {key}{sign}")


def _value(position: int, name: str, value: str, now: datetime) -> object:
    if name == "status" and value not in STATUSES:
        raise _error(position, f"{value!r} is not a status", f"one of {', '.join(STATUSES)}")
    if name == "id_prefix":
        prefix, star, rest = value.partition("*")
        if not star or rest or not prefix:
            raise _error(position, "id takes the beginning of an id", "with a * at its end, such as id=order-*")
        return prefix
    return _moment(position, value, now) if name in _TIMES.values() else value


def _moment(position: int, text: str, now: datetime) -> datetime:
    try:
        return now - timedelta(seconds=seconds(text))
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        rule = (
            "a date, such as 2026-11-29 or 2026-11-29T14:00, or a duration, such as 1d or 90m, which is that long ago"
        )
        raise _error(position, f"{text!r} is not a time", rule) from None


def _attribute(value: str) -> Attribute:
    """A number, true, false or text in quotes as JSON has them; else the text itself."""
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return parsed if isinstance(parsed, Attribute) else value


def _unquoted(position: int, value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return str(json.loads(value))
    except ValueError as error:
        raise _error(position, f"{value} is not text in quotes: {error}") from None


def _error(position: int, problem: str, allowed: str = ALLOWED) -> InvalidInputError:
    return InvalidInputError(
        f"position {position}: {problem}; allowed: {allowed}", [FieldError("where", f"position {position}: {problem}")]
    )
