"""The schedules of a `LocalWorld`: a table, and for each schedule one waiting message."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from worldflow.engine.errors import ConflictError
from worldflow.worlds.messages import ScheduleDue, schedule_group
from worldflow.worlds.schedules import ScheduleRecord, Schedules

SCHEMA = "create table if not exists schedules (id text primary key, version text, record text) without rowid;"

_WAITING = "queue = 'runs' and grp = ? and receives = 0"
"""What waits for its time, or for the worker. What was received before is another matter: it will be acknowledged."""


class LocalSchedules(Schedules):
    def __init__(
        self, transaction: Callable[[], AbstractContextManager[sqlite3.Connection]], now: Callable[[], datetime]
    ) -> None:
        self._transaction = transaction
        self._now = now

    def get(self, schedule_id: str) -> ScheduleRecord | None:
        with self._transaction() as db:
            return _get(db, schedule_id)

    def put(self, record: ScheduleRecord, replacing: ScheduleRecord | None) -> None:
        with self._transaction() as db:
            stored = _get(db, record.schedule_id)
            if (stored and stored.version) != (replacing and replacing.version):
                raise ConflictError(f"schedule {record.schedule_id!r} was changed by another process")
            row = (record.schedule_id, record.version, record.model_dump_json(exclude_none=True))
            db.execute("insert or replace into schedules values (?, ?, ?)", row)

    def list(self, limit: int, after: str) -> Sequence[ScheduleRecord]:
        with self._transaction() as db:
            rows = db.execute("select record from schedules where id > ? order by id limit ?", (after, limit))
            return [ScheduleRecord.model_validate_json(text) for (text,) in rows]

    def arm(self, record: ScheduleRecord) -> None:
        with self._transaction() as db:
            # What is due already stays.
            _disarm(db, record.schedule_id, after=(now := self._now()))
            self._arm(db, record.schedule_id, now)

    def rearm(self, schedule_id: str, due: datetime) -> None:
        with self._transaction() as db:
            if not db.execute(f"select 1 from messages where {_WAITING}", (schedule_group(schedule_id),)).fetchone():
                self._arm(db, schedule_id, max(due, self._now()))

    def _arm(self, db: sqlite3.Connection, schedule_id: str, after: datetime) -> None:
        # By the record as it is now, in the transaction that reads it: somebody may have changed it meanwhile.
        record = _get(db, schedule_id)
        if record and (due := record.next_due(after)):
            message = ScheduleDue(schedule_id=schedule_id, due=due)
            row = (message.group, message.dump(), due.timestamp())
            db.execute("insert into messages (queue, grp, body, visible_at) values ('runs', ?, ?, ?)", row)

    def remove(self, schedule_id: str) -> None:
        with self._transaction() as db:
            _disarm(db, schedule_id, after=datetime.min.replace(tzinfo=UTC))
            db.execute("delete from schedules where id = ?", (schedule_id,))


def _get(db: sqlite3.Connection, schedule_id: str) -> ScheduleRecord | None:
    row = db.execute("select record from schedules where id = ?", (schedule_id,)).fetchone()
    return ScheduleRecord.model_validate_json(row[0]) if row else None


def _disarm(db: sqlite3.Connection, schedule_id: str, after: datetime) -> None:
    values = (schedule_group(schedule_id), after.timestamp())
    db.execute(f"delete from messages where {_WAITING} and visible_at > ?", values)
