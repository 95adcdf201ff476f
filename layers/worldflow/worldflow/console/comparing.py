"""Two runs side by side, such as a fork and its original: where they part, and what each had there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from worldflow.console.markup import pretty
from worldflow.console.viewing import note, without_token
from worldflow.engine.history import Applied, Event, RunForked
from worldflow.presentation.events import describe_event, is_internal
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
    """The number of the first line that differs."""


@dataclass(frozen=True, slots=True)
class _Line:
    words: str
    data: str
    same: str


_OF_ONE_RUN = frozenset(
    {"run_id", "created_at", "seed", "held", "due", "traceparent", "version", "child_run_id", "token", "usage"}
)
"""What differs between two runs in any case."""

LEAST, AROUND = 5, 200
"""Rows before the first difference, and rows in all."""


def compare(world: World, one: str, other: str, tokens: bool = True) -> Comparison:
    """Raises `RunNotFoundError`. tokens: whether those of hooks are shown."""
    records = world.read_run(one), world.read_run(other)
    rows = [_row(a, b) for a, b in zip_longest(_lines(world, one, tokens), _lines(world, other, tokens))]
    first = next((number for number, row in enumerate(rows) if row.differs), None)
    begin = max(0, (first or 0) - LEAST)
    return Comparison(*records, rows[begin : begin + AROUND], None if first is None else first + 1)


def _lines(world: World, run_id: str, tokens: bool) -> list[_Line]:
    """What happened in a run, less what is only about how its history came about."""
    names: dict[str, str] = {}
    told = []
    events = world.read_events(run_id)
    for event in events if tokens else map(without_token, events):
        note(event, names)
        if not isinstance(event, (RunForked, Applied)) and not is_internal(event):
            event = event.model_copy(update={"held": None})
            told.append(_Line(describe_event(event, names).plain, pretty(event.payload), _same(event, run_id)))
    return told


def _same(event: Event, run_id: str) -> str:
    """What two runs have in common where they went the same way."""
    data = {name: value for name, value in event.payload.items() if name not in _OF_ONE_RUN}
    own_id = rf"(?<![\w.:=@+~-]){re.escape(run_id)}(?![\w.:=@+-])"
    return re.sub(own_id, "RUN", f"{event.event_type} {pretty(data)}")


def _row(one: _Line | None, other: _Line | None) -> Row:
    differs = (one and one.same) != (other and other.same)
    a, b = one or _Line("", "", ""), other or _Line("", "", "")
    return Row(a.words, b.words, a.data, b.data, differs)
