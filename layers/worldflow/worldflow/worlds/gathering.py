"""Several starts, and one run for them: how starts find the run that they belong to.

    the window      an item for each workflow and key: the run that gathers at the moment, with its own input
    the starts      a history beside that run's, one row for each further start, closed before the run begins
    the place       an item for each further start: the row that is to be its own

A run begins only when the history of its starts is closed, and a row is written on the condition that it is the next.
So each start is in exactly one run, whoever starts at the same moment. A start that was cut short is safe to repeat: it
notes its place before it takes it, and takes another only if that row is somebody else's. The first to join a run makes
sure that its record exists: the process that opened the window may have died before it could.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from worldflow.engine.durations import seconds
from worldflow.engine.errors import ConflictError, RunExistsError
from worldflow.engine.history import Event, Json, dump_value
from worldflow.engine.history.gathered import StartAdded, StartRow, StartsClosed
from worldflow.engine.ids import starts_key
from worldflow.engine.workflow.definitions import Workflow
from worldflow.engine.workflow.gathering import Batch
from worldflow.worlds import reading
from worldflow.worlds.base import World
from worldflow.worlds.items import Expected, Item
from worldflow.worlds.messages import Start, start_of
from worldflow.worlds.payloads import stash
from worldflow.worlds.records import Gathers, RunRecord

TRIES = 200
"""How often a place is looked for that another start has just taken."""

ROWS, BYTES = 1_000, 20 * 1024 * 1024
"""Starts, and bytes of input, that one run gathers at most: then it begins, whatever its options say."""

HINT_EVERY = 16
"""After so many starts the window says how far the history goes, which is read from there on."""

_KEPT = timedelta(days=35)
"""For so long a start is known again that has joined a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A start, and what it asks for."""

    start_id: str
    workflow_name: str
    values: Json
    items: int
    gathers: Gathers
    traceparent: str | None


def asked_of(workflow: Workflow[..., Any], run_id: str, values: Json, traceparent: str | None) -> Asked:
    """The start of a run of a workflow with a debounce or a batch.

    values: its arguments as JSON. Raises `InvalidInputError` and what the `key` of the workflow raises.
    """
    policy, signature = workflow.starts.gather, workflow.signature
    assert policy is not None
    arguments = signature.decode(values)
    parameter, items = policy.items_of(workflow.name, signature, arguments)
    window = window_key(workflow.name, policy.key_of(signature, arguments))
    if isinstance(policy, Batch):
        gathers = Gathers(
            window=window, max_wait=seconds(policy.wait), size=policy.size, parameter=parameter, items=items
        )
    else:
        longest = None if policy.max_wait is None else seconds(policy.max_wait)
        gathers = Gathers(window=window, period=seconds(policy.period), max_wait=longest)
    return Asked(
        start_id=run_id,
        workflow_name=workflow.name,
        values=values,
        items=items,
        gathers=gathers,
        traceparent=traceparent,
    )


def window_key(workflow: str, key: str) -> str:
    return f"window#{workflow}#{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def is_full(gathers: Gathers, rows: int, items: int, size: int) -> bool:
    """Whether a run has gathered as much as it may."""
    return rows >= ROWS or size >= BYTES or (gathers.size is not None and items >= gathers.size)


def load(world: World, run_id: str, after: int = 0, commits: int | None = None) -> list[StartRow]:
    """The starts that a run has gathered beside its own."""
    return cast("list[StartRow]", world.load_history(starts_key(run_id), after, commits))


def append(world: World, run_id: str, row: StartRow) -> bool:
    """Writes a row, if it is the next. Returns whether it was."""
    try:
        world.append(starts_key(run_id), cast("Sequence[Event]", [row]))
    except ConflictError:
        return False
    return True


# --- the window ---


@dataclass(frozen=True, slots=True)
class _Window:
    """The run that gathers, as the item has it, and how far its starts go."""

    item: Item
    end: int
    items: int
    size: int
    closed: bool

    @property
    def run_id(self) -> str:
        return str(self.item["gatherer"])

    def record(self) -> RunRecord:
        """The record with which the run is created."""
        return RunRecord.model_validate_json(self.item["record"])


def _read(world: World, key: str) -> _Window | None:
    item = world.get_item(key)
    if item is None:
        return None
    end, items, size = map(int, item["end"].split(":"))
    closed = bool(item.get("closed"))
    for row in load(world, item["gatherer"], end):
        end = row.seq
        if isinstance(row, StartAdded):
            items, size = row.items, row.bytes
        closed = isinstance(row, StartsClosed)
    return _Window(item, end, items, size, closed)


def _open(world: World, asked: Asked, before: _Window | None) -> _Window | None:
    """Opens a window for a start, whose run gathers those that follow. Returns None if another was faster."""
    now = world.now()
    record = RunRecord(
        run_id=asked.start_id,
        workflow_name=asked.workflow_name,
        created_at=now,
        updated_at=now,
        input=stash(world, asked.start_id, asked.values, "input"),
        traceparent=asked.traceparent,
        start_at=asked.gathers.closes_at(now, now),
        gathers=asked.gathers,
    )
    size = len(dump_value(asked.values))
    item = {
        "gatherer": asked.start_id,
        "record": record.model_dump_json(exclude_none=True),
        "end": f"0:{asked.items}:{size}",
    }
    expected = Expected(absent=before is None, field="gatherer", one_of=(before.run_id,) if before else ())
    if not world.put_item(asked.gathers.window, item, expected):
        return None
    return _Window(item, 0, asked.items, size, closed=False)


def _lead(world: World, window: _Window) -> RunRecord:
    """Makes sure that the run of a window exists, that it gathers, and that it begins. Raises `RunExistsError` if it is
    another run.
    """
    record = window.record()
    existing = world.create_run(record)
    if existing and existing.gathers is None:
        begun = existing.seq or existing.workflow_name != record.workflow_name or world.load_history(record.run_id)
        if begun:
            assert record.gathers is not None
            closed = {**window.item, "closed": 1}
            world.put_item(record.gathers.window, closed, Expected(field="gatherer", one_of=(record.run_id,)))
            raise RunExistsError(f"run {record.run_id!r} already exists", record.run_id)
        world.update_run(record)
    full = record.gathers is not None and is_full(record.gathers, window.end, window.items, window.size)
    world.send([start_of(record.run_id, None if full else record.start_at)])
    return record


def close(world: World, gathers: Gathers, run_id: str, rows: int, now: datetime) -> bool:
    """Closes the starts of a run that begins. Returns False if another start has come meanwhile."""
    return append(world, run_id, StartsClosed().model_copy(update={"seq": rows + 1, "at": now}))


def forget_window(world: World, gathers: Gathers, run_id: str) -> None:
    """Says that no run gathers any more, unless another does already."""
    world.put_item(gathers.window, None, Expected(absent=True, field="gatherer", one_of=(run_id,)))


# --- a start ---


def gather(world: World, asked: Asked) -> tuple[RunRecord, bool]:
    """Adds a start to the run that gathers, or opens a window with it. Returns the record of the run that will run, and
    whether it is new. Raises `ConflictError` if others are always faster.
    """
    place = _place(world.get_item(_place_key(asked)))
    if place and (record := _again(world, asked, *place)):
        return record, False
    for _ in range(TRIES):
        window = _read(world, asked.gathers.window)
        if window and window.run_id == asked.start_id:
            return _lead(world, window), True
        if window is None or window.closed or is_full(asked.gathers, window.end, window.items, window.size):
            if opened := _open(world, asked, window):
                return _lead(world, opened), True
            continue
        if window.end == 0:
            _lead(world, window)
        following = (window.run_id, window.end + 1)
        if not _move(world, asked, place, following):
            place = _place(world.get_item(_place_key(asked)))
            if place and (record := _again(world, asked, *place)):
                return record, False
            continue
        place = following
        if row := _take(world, asked, window):
            _hint(world, asked, window, row)
            return window.record(), False
        if (record := _again(world, asked, *place)) is not None:
            return record, False  # another process has the same start, and was faster
    raise ConflictError(f"{asked.start_id!r} could not be added to a run of {asked.workflow_name!r}: try again")


def _take(world: World, asked: Asked, window: _Window) -> StartAdded | None:
    """Writes a start as the next row, unless that is taken."""
    row = StartAdded(
        start_id=asked.start_id,
        input=stash(world, window.run_id, asked.values, "input"),
        items=window.items + asked.items,
        bytes=window.size + len(dump_value(asked.values)),
    ).model_copy(update={"seq": window.end + 1, "at": world.now()})
    if not append(world, window.run_id, row):
        return None
    _begin_if_full(world, asked, window.run_id, row)
    return row


def _begin_if_full(world: World, asked: Asked, run_id: str, row: StartAdded) -> None:
    if is_full(asked.gathers, row.seq, row.items, row.bytes):
        world.send([Start(run_id=run_id)])


def _hint(world: World, asked: Asked, window: _Window, row: StartAdded) -> None:
    if row.seq % HINT_EVERY == 0:
        item = {**window.item, "end": f"{row.seq}:{row.items}:{row.bytes}"}
        world.put_item(asked.gathers.window, item, Expected(field="gatherer", one_of=(window.run_id,)))


def _again(world: World, asked: Asked, run_id: str, number: int) -> RunRecord | None:
    """The record of the run that a start has joined, if it has its place there."""
    rows = load(world, run_id, number - 1, commits=1)
    row = rows[0] if rows else None
    if not isinstance(row, StartAdded) or row.seq != number or row.start_id != asked.start_id:
        return None
    _begin_if_full(world, asked, run_id, row)
    return reading.find_run(world, run_id)


# --- places ---


def _place_key(asked: Asked) -> str:
    return f"joined#{asked.start_id}"


def _place(item: Item | None) -> tuple[str, int] | None:
    if item is None:
        return None
    run_id, _, number = str(item["place"]).rpartition("/")
    return run_id, int(number)


def _move(world: World, asked: Asked, place: tuple[str, int] | None, following: tuple[str, int]) -> bool:
    """Notes which place is to be the start's, unless another process has noted another."""
    if place == following:
        return True
    text = f"{following[0]}/{following[1]}"
    item: dict[str, Any] = {"place": text, "expires_at": round((world.now() + _KEPT).timestamp())}
    before = (f"{place[0]}/{place[1]}",) if place else ()
    return world.put_item(_place_key(asked), item, Expected(absent=place is None, field="place", one_of=before))
