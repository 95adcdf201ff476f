"""Durations as people write them: "10s", "1h30m", seconds, or a timedelta."""

from __future__ import annotations

import math
import re
from datetime import timedelta

Duration = float | int | str | timedelta

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_LONGEST = 100
"""Characters of a text: looking through a very long one takes very long."""


def seconds(duration: Duration) -> float:
    """The length of `duration` in seconds.

    Accepts a number of seconds, a `timedelta`, or text of numbers with units `ms s m h d w`: `"10s"`, `"1h30m"`,
    `"3d"`. Raises `ValueError` for anything else, for negative lengths and for what is not finite.
    """
    if isinstance(duration, timedelta):
        length = duration.total_seconds()
    elif isinstance(duration, str):
        length = _parse(duration)
    elif isinstance(duration, (int, float)) and not isinstance(duration, bool):
        length = _float(duration)
    else:
        raise ValueError(f"{duration!r} is not a duration: use seconds, a timedelta, or text such as '10s' or '3d'")
    if not math.isfinite(length) or length < 0:
        raise ValueError(f"{duration!r:.100} is not a duration: it must be finite and not negative")
    return length


def spoken(length: float) -> str:
    """Seconds as people write them: "30d", "1h30m", "250ms". Below a millisecond, with what is left."""
    parts, rest = [], length
    for unit in ("d", "h", "m", "s"):
        number = int(rest // _UNITS[unit])
        if number:
            parts.append(f"{number}{unit}")
            rest -= number * _UNITS[unit]
    milliseconds = round(rest * 1_000, 3)
    if milliseconds or not parts:
        parts.append(f"{milliseconds:g}ms")
    return "".join(parts)


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _parse(text: str) -> float:
    brief = text[:_LONGEST]
    parts = _PART.findall(brief.replace(" ", ""))
    if not parts or "".join(number + unit for number, unit in parts) != text.replace(" ", ""):
        raise ValueError(f"{brief!r} is not a duration: write numbers with units ms, s, m, h, d or w, such as '1h30m'")
    return math.fsum(float(number) * _UNITS[unit] for number, unit in parts)
