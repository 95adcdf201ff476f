"""The schedules of a `LocalWorld`: for each one waiting message."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime

from worldflow.worlds.items import Items
from worldflow.worlds.local.database import Database
from worldflow.worlds.messages import ScheduleDue, schedule_group
from worldflow.worlds.schedule_records import ScheduleRecord
from worldflow.worlds.schedules import get_schedule

_WAITING = "queue = 'runs' and grp = ? and receives = 0"
"""What waits for its time, or for the worker. What was received before is another matter: it will be acknowledged."""


class LocalSchedules:
    def __init__(self, database: Database, items: Items, now: Callable[[], datetime]) -> None:
        self._database = database
        self._items = items
        self._now = now

    def arm(self, record: ScheduleRecord) -> None:
        with self._database.transaction() as db:
            # What is due already stays.
            _disarm(db, record.schedule_id, after=(now := self._now()))
            self._arm(db, get_schedule(self._items, record.schedule_id), now)

    def rearm(self, schedule_id: str, due: datetime) -> None:
        with self._database.transaction() as db:
            if not db.execute(f"select 1 from messages where {_WAITING}", (schedule_group(schedule_id),)).fetchone():
                now, record = self._now(), get_schedule(self._items, schedule_id)
                missed_until = record.missed_until(now) if record else None
                self._arm(db, record, max(due, missed_until or now))

    def _arm(self, db: sqlite3.Connection, record: ScheduleRecord | None, after: datetime) -> None:
        # By the record as it is now, in the transaction that reads it: another process may have changed it meanwhile.
        if record and (due := record.next_due(after)):
            message = ScheduleDue(schedule_id=record.schedule_id, due=due)
            row = (message.group, message.dump(), due.timestamp())
            db.execute("insert into messages (queue, grp, body, visible_at) values ('runs', ?, ?, ?)", row)

    def disarm(self, schedule_id: str) -> None:
        with self._database.transaction() as db:
            _disarm(db, schedule_id, after=datetime.min.replace(tzinfo=UTC))


def _disarm(db: sqlite3.Connection, schedule_id: str, after: datetime) -> None:
    values = (schedule_group(schedule_id), after.timestamp())
    db.execute(f"delete from messages where {_WAITING} and visible_at > ?", values)
