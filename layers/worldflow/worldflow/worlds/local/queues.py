"""The queues of a `LocalWorld`: a table.

Messages of one group are received together and no others of the group until they are acknowledged, as from an SQS FIFO
queue; a message that was received and never acknowledged comes again when the next worker starts. One worker at a time
serves a file.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import IO, Any, get_args

from pydantic import ValidationError

from worldflow.engine.errors import ConfigurationError
from worldflow.engine.queues import DEFAULT
from worldflow.worlds.local.database import MEMORY, Database
from worldflow.worlds.messages import Delayed, Message, StepTask, load_message, summary
from worldflow.worlds.records import Redriven
from worldflow.worlds.served import REDELIVERY_DELAY, Delivery, Queue

QUEUES: tuple[Queue, ...] = get_args(Queue)
"""What no code can read is in a queue that nobody reads."""

_log = logging.getLogger("worldflow")

MAX_RECEIVES = 5
"""How often a message that is rejected comes again."""

MAX_DEATHS = 20
"""How often a message comes again of those that were in flight when a worker died: it may be what killed it, or not."""

_STILL = "id = ? and receives = ? and in_flight"
"""A message is where a delivery has left it. A receipt may be written twice, where nobody knows whether the first time
counted: meanwhile the message, or another that has taken its id, may have been received anew.
"""

SCHEMA = """
create table if not exists messages (id integer primary key, queue text, grp text, body text, visible_at real,
  in_flight integer default 0, receives integer default 0, arrived_at real);
create index if not exists messages_by_time on messages (queue, visible_at, id);
create index if not exists messages_by_group on messages (queue, grp);
"""


_ARRIVED = "coalesce(arrived_at, visible_at)"
"""When a message was first receivable, whatever has become of it since. An older version did not write it."""


_TRIES = 10
"""How often a worker tries to lock the file: another process may be looking whether there is a worker."""


def _locked(lock: IO[str], *, tries: int) -> bool:
    """Locks a file until it is closed, if no other process has."""
    import fcntl

    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            tries -= 1
            if not tries:
                return False
            time.sleep(0.01)
        else:
            return True


class LocalQueues:
    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def upgrade(self) -> None:
        """Makes the table of an older version what this one expects."""
        has = "select 1 from pragma_table_info('messages') where name = 'arrived_at'"
        if not self._database.rows(has):
            with self._database.transaction() as db:
                if not db.execute(has).fetchone():  # nor has another process added it meanwhile
                    db.execute("alter table messages add column arrived_at real")

    def send(self, messages: Sequence[Message | Delayed]) -> None:
        now = self._now()
        due = [message if isinstance(message, Delayed) else Delayed(due=now, message=message) for message in messages]
        rows = [
            (_queue(one.message), one.message.group, one.message.dump(), *(one.due.timestamp(),) * 2) for one in due
        ]
        with self._database.transaction(durable="next") as db:
            sql = "insert into messages (queue, grp, body, visible_at, arrived_at) values (?, ?, ?, ?, ?)"
            db.executemany(sql, rows)
            self._database.note(*(("sent to", queue) for queue, *_ in rows))

    def cancel(self, message: Message, deliver_at: datetime, sent_at: datetime) -> None:
        values = (_queue(message), message.group, message.dump(), deliver_at.timestamp())
        sql = "delete from messages where queue = ? and grp = ? and body = ? and visible_at = ? and not in_flight"
        with self._database.transaction() as db:
            db.execute(sql, values)

    def receive(self, queue: Queue, limit: int = 100, only: Collection[str] | None = None) -> list[Delivery]:
        if queue != "steps":
            return next(iter(self.receive_groups(queue, 1, limit)), [])
        now = self._now()
        if self._is_empty(queue, now, only):
            return []
        with self._database.transaction(durable="later") as db:
            return self._in_order(_receive_steps(db, now, limit, only))

    def receive_groups(
        self, queue: Queue, groups: int, limit: int = 100, *, handled: Sequence[Delivery] = ()
    ) -> list[list[Delivery]]:
        now = self._now()
        if not handled and self._is_empty(queue, now):
            return []
        with self._database.transaction(durable="later") as db:
            if handled:
                self.acknowledge(handled)
            found = _receive(db, queue, now, groups, limit)
            return [deliveries for rows in found if (deliveries := self._in_order(rows))]

    def _is_empty(self, queue: Queue, now: datetime, only: Collection[str] | None = None) -> bool:
        """Whether nothing can be received, which needs no transaction to see."""
        sql = f"select 1 from messages where queue = ? and visible_at <= ? and not in_flight{_of(only)} limit 1"
        return not self._database.rows(sql, queue, now.timestamp(), *(only or ()))

    def _in_order(self, rows: list[Any]) -> list[Delivery]:
        deliveries = [self._read(*row) for row in rows]
        return sorted((one for one in deliveries if one), key=lambda one: (one.arrived_at, one.id))

    def _read(self, id: int, body: str, receives: int, arrived_at: float) -> Delivery | None:
        try:
            message = load_message(body)
        except ValidationError as error:
            _log.error("message %d cannot be read and is set aside: %s", id, summary(error))
            with self._database.transaction() as db:
                db.execute("update messages set in_flight = 0, queue = 'unreadable' where id = ?", (id,))
            return None
        assert not isinstance(message, Delayed)
        return Delivery(id, message, receives, datetime.fromtimestamp(arrived_at, UTC))

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        with self._database.transaction(durable="later") as db:
            db.executemany(f"delete from messages where {_STILL}", map(_identity, deliveries))

    def reject(self, deliveries: Sequence[Delivery]) -> None:
        again = (self._now() + REDELIVERY_DELAY).timestamp()
        with self._database.transaction(durable="later") as db:
            db.executemany(
                "update messages set in_flight = 0, visible_at = ?, queue = case when receives < ? then queue "
                f"else 'dead' end where {_STILL}",
                [(again, MAX_RECEIVES, *_identity(delivery)) for delivery in deliveries],
            )

    def put_back(self, deliveries: Sequence[Delivery], delay: timedelta = REDELIVERY_DELAY) -> None:
        again = (self._now() + delay).timestamp()
        with self._database.transaction(durable="later") as db:
            db.executemany(
                f"update messages set in_flight = 0, visible_at = ?, receives = max(receives - 1, 1) where {_STILL}",
                [(again, *_identity(delivery)) for delivery in deliveries],
            )

    def recover(self) -> None:
        """Makes what was in flight when a worker died receivable again."""
        with self._database.transaction() as db:
            db.execute(
                "update messages set in_flight = 0, queue = case when receives < ? then queue else 'dead' end "
                "where in_flight",
                (MAX_DEATHS,),
            )
            # An older version put all attempts of a step into one group. A copy must wait for its task.
            db.execute(
                "update messages set grp = grp || '#' || json_extract(body, '$.attempt') where queue = 'steps' "
                "and grp = json_extract(body, '$.run_id') || '#' || json_extract(body, '$.step_id')"
            )

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Makes this process the one worker of the file. Raises `ConfigurationError` if another is at work."""
        if self._database.path == MEMORY or sys.platform == "win32":
            self.recover()
            yield
            return
        with open(f"{self._database.path}.worker", "w") as lock:
            if not _locked(lock, tries=_TRIES):
                raise ConfigurationError(
                    f"another worker already serves {self._database.path}: a file can have only one worker"
                )
            self.recover()
            yield

    def is_served(self) -> bool:
        """Whether a worker serves the file. On Windows and in memory, where nothing tells, it is taken to be so."""
        if self._database.path == MEMORY or sys.platform == "win32":
            return True
        try:
            with open(
                f"{self._database.path}.worker"
            ) as lock:  # closed again at once: a worker that begins now waits for that
                return not _locked(lock, tries=1)
        except FileNotFoundError:
            return False

    def next_due(self) -> datetime | None:
        """When the earliest waiting message may be received: now or before, if some already may."""
        sql = "select min(visible_at) from messages where queue != 'unreadable' and not in_flight"
        (when,) = self._database.rows(sql)[0]
        return None if when is None else datetime.fromtimestamp(float(when), UTC)

    def redrive(self, *, discard: bool) -> Redriven:
        # The worker handles the dead; what nobody could read waits for code that can.
        moved = 0
        with self._database.transaction() as db:
            rows = db.execute("select id, body from messages where queue = 'unreadable'").fetchall()
            for id, body in rows:
                try:
                    message = load_message(body)
                except ValidationError:
                    continue
                assert not isinstance(message, Delayed)
                db.execute("update messages set queue = ?, receives = 0 where id = ?", (_queue(message), id))
                moved += 1
            if discard:
                db.execute("delete from messages where queue = 'unreadable'")
        return Redriven(moved, len(rows) - moved)


def _receive(db: sqlite3.Connection, queue: Queue, now: datetime, groups: int, limit: int) -> list[list[Any]]:
    time = now.timestamp()
    found: dict[str, None] = {}
    rows = db.execute(
        "select grp from messages m where queue = ? and visible_at <= ? and not exists (select 1 "
        "from messages o where o.queue = m.queue and o.grp = m.grp and (o.in_flight or (o.receives > 0 "
        "and o.visible_at > ?))) order by visible_at, id",  # a rejected message holds its group
        (queue, time, time),
    )
    for (group,) in rows:
        found[group] = None
        if len(found) == groups:
            break
    return [
        db.execute(
            "update messages set in_flight = 1, receives = receives + 1 where id in (select id from messages "
            f"where queue = ? and grp = ? and visible_at <= ? order by {_ARRIVED}, id limit ?) "
            f"returning id, body, receives, {_ARRIVED}",
            (queue, group, time, limit),
        ).fetchall()
        for group in found
    ]


def _receive_steps(db: sqlite3.Connection, now: datetime, limit: int, only: Collection[str] | None) -> list[Any]:
    return db.execute(
        "update messages set in_flight = 1, receives = receives + 1 where id in (select id from messages m "
        f"where queue = 'steps' and visible_at <= ?{_of(only)} and not exists (select 1 from messages o "
        "where o.queue = m.queue and o.grp = m.grp and (o.in_flight or o.id < m.id)) order by visible_at, id limit ?) "
        f"returning id, body, receives, {_ARRIVED}",
        (now.timestamp(), *(only or ()), limit),
    ).fetchall()


def _of(step_queues: Collection[str] | None) -> str:
    """The condition that a task is of one of these step queues."""
    if step_queues is None:
        return ""
    return f" and coalesce(json_extract(body, '$.queue'), '{DEFAULT}') in ({', '.join('?' * len(step_queues))})"


def _identity(delivery: Delivery) -> tuple[int, int]:
    return delivery.id, delivery.receives


def _queue(message: Message) -> Queue:
    return "steps" if isinstance(message, StepTask) else "runs"
