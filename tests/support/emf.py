"""What CloudWatch makes of a line of a log in its embedded metric format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

UNITS = {"Count", "Milliseconds"}


@dataclass(frozen=True)
class Point:
    """Values of one metric."""

    namespace: str
    name: str
    unit: str
    dimensions: dict[str, str]
    values: list[float]


def points(line: dict[str, Any]) -> list[Point]:
    """What a line says. Fails where CloudWatch would take nothing from it, as its specification has it."""
    assert isinstance(line["_aws"]["Timestamp"], int)
    found = []
    for directive in line["_aws"]["CloudWatchMetrics"]:
        assert 1 <= len(directive["Namespace"]) <= 255
        for names in directive["Dimensions"]:
            dimensions = {name: line[name] for name in names}
            assert all(isinstance(value, str) and value and value.isascii() for value in dimensions.values())
            assert 1 <= len(dimensions) <= 30
            for metric in directive["Metrics"]:
                values = line[metric["Name"]]
                assert metric["Unit"] in UNITS
                assert 1 <= len(values) <= 100
                assert all(isinstance(value, int | float) for value in values)
                found.append(Point(directive["Namespace"], metric["Name"], metric["Unit"], dimensions, values))
    return found


def emf_lines(output: str) -> list[str]:
    """The lines of a function's log that hold metrics."""
    return [line for line in output.splitlines() if line.startswith("{") and "_aws" in json.loads(line)]


def metrics(output: str) -> dict[tuple[str, ...], list[float]]:
    """All metrics of a log, by their names and the values of their dimensions besides `service`."""
    found: dict[tuple[str, ...], list[float]] = {}
    for line in emf_lines(output):
        for point in points(json.loads(line)):
            own = tuple(value for name, value in point.dimensions.items() if name != "service")
            found.setdefault((point.name, *own), []).extend(point.values)
    return found
