"""Two runs side by side, such as a fork and its original: where they part, and what each had there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from worldflow.console.markup import pretty
from worldflow.console.viewing import words
from worldflow.engine.history import Event, RunForked
from worldflow.worlds.base import World
from worldflow.worlds.records import RunRecord


@dataclass(frozen=True, slots=True)
class Row:
    one: str
    other: str
    one_data: str
    other_data: str
    differs: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    one: RunRecord
    other: RunRecord
    rows: Sequence[Row]
    first: int | None
    """The number of the first event that differs."""


LEAST, AROUND = 5, 200
"""Rows before the first difference, and rows in all."""


def compare(world: World, one: str, other: str) -> Comparison:
    """Raises `RunNotFoundError`."""
    records = world.read_run(one), world.read_run(other)
    rows = [_row(a, b) for a, b in zip_longest(_lines(world, one), _lines(world, other))]
    first = next((number for number, row in enumerate(rows) if row.differs), None)
    begin = max(0, (first or 0) - LEAST)
    return Comparison(*records, rows[begin : begin + AROUND], None if first is None else first + 1)


def _lines(world: World, run_id: str) -> list[tuple[str, str]]:
    names: dict[str, str] = {}
    events: list[Event] = world.read_events(run_id)
    return [(words(event, names), pretty(event.payload)) for event in events if not isinstance(event, RunForked)]


def _row(one: tuple[str, str] | None, other: tuple[str, str] | None) -> Row:
    (a, a_data), (b, b_data) = one or ("", ""), other or ("", "")
    return Row(a, b, a_data, b_data, (a, a_data) != (b, b_data))
