"""The sweep: finds runs that missed a wake-up, and wakes them.

A run waits for messages, and their senders deliver them. But a lost message (a client that died between a record and
its message, a schedule that could not be delivered for a day, a purged queue) would leave it waiting for ever. So once
an hour,

    a run that has not begun, minutes after it was asked for, gets its start message again;
    a run that is blocked is poked each hour: its code may have been deployed since;
    every open run is poked once a day, in the hour that its id falls in: a turn does again whatever is open.

Neither disturbs a healthy run: both are messages that a turn may get twice anyhow. A pass reads the index of open runs
(some 250 bytes a run), the beginning of the history of young ones, and sends a message for each run that is due.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import chain

from worldflow.engine.ids import generation
from worldflow.turns.observer import Observer, Observers, SweepReport
from worldflow.worlds import items, limits
from worldflow.worlds.base import World
from worldflow.worlds.items import Items
from worldflow.worlds.messages import Message, Poke, Start
from worldflow.worlds.records import RunRecord, time_text

PENDING_AFTER = timedelta(minutes=5)
"""A run that has not begun by then may have lost its start; if the queue is late, it gets two."""

PENDING_UNTIL = timedelta(hours=3)
"""Until then it is looked whether a run has begun; after that the daily poke sees to it."""

TIDY_HOUR = 3
"""The hour of the day in which old histories of limits are removed."""

_BATCH = 100

_NOTE = "sweep#last"


def sweep(
    world: World, *, out_of_time: Callable[[], bool] = lambda: False, observer: Observer | None = None
) -> SweepReport:
    """Checks all open runs. Call it once an hour, some minutes past; calling it more often is harmless, but costs.

    out_of_time: called after each hundred runs; stops the sweep if it returns True.
    observer: receives the report.
    """
    report, now, messages = SweepReport(), world.now(), list[Message]()
    # First those that are blocked: they are few, and counted also where time runs out.
    for record in chain(world.walk_runs("blocked"), world.walk_runs("running")):
        report.open_runs += 1
        report.blocked_runs += record.status == "blocked"
        if _has_not_begun(world, record, now):
            _lead_to(world, record)
            messages.append(Start(run_id=record.run_id))
            report.started += 1
        elif record.status == "blocked" or _is_due(record, now):
            _lead_to(world, record)
            messages.append(Poke(run_id=record.run_id, nonce=f"sweep-{now:%Y%m%dT%H}"))
            report.poked += 1
        if len(messages) == _BATCH:
            _send(world, messages)
        if report.open_runs % _BATCH == 0 and out_of_time():
            report.complete = False
            break
    _send(world, messages)
    if now.hour == TIDY_HOUR and report.complete:
        limits.tidy(world, out_of_time)
    Observers(observer).swept(report)
    return report


def note(world: Items, swept_at: datetime) -> None:
    """Records a sweep, for whoever asks for the last one."""
    world.put_item(_NOTE, {"swept_at": time_text(swept_at)})


def last(world: Items) -> datetime | None:
    """When the last sweep that was noted began. Of a stack, CloudWatch knows when its caretaker was called."""
    item = world.get_item(_NOTE)
    return datetime.fromisoformat(item["swept_at"]) if item else None


def _send(world: World, messages: list[Message]) -> None:
    if messages:
        world.send(messages)
        messages.clear()


def _has_not_begun(world: World, record: RunRecord, now: datetime) -> bool:
    is_young = PENDING_AFTER <= now - record.created_at <= PENDING_UNTIL
    return is_young and record.seq == 0 and not world.load_history(record.run_id, commits=1)


def _lead_to(world: World, record: RunRecord) -> None:
    """Records that a generation is the newest: the process that created it may have died before doing so."""
    base, number = generation(record.run_id)
    if number > 1 and record.seq == 0:
        items.put_generation(world, base, number)


def _is_due(record: RunRecord, now: datetime) -> bool:
    is_young = now - record.created_at < PENDING_UNTIL
    return not is_young and zlib.crc32(record.run_id.encode()) % 24 == now.hour
