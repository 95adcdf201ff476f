"""Runs in one SQLite database: `:memory:` for tests, or a file as an embedded, durable default."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Unpack

from worldflow.engine.errors import ConflictError, RunArchivedError
from worldflow.engine.history import Event, dump_events, load_events
from worldflow.engine.ids import generation, run_of_stream
from worldflow.engine.privacy import close_locally, open_locally
from worldflow.worlds.codec import PayloadCodec
from worldflow.worlds.filters import Filters, Selection
from worldflow.worlds.items import Expected, Item
from worldflow.worlds.local.archive import SCHEMA as ARCHIVE_SCHEMA
from worldflow.worlds.local.archive import LocalArchive
from worldflow.worlds.local.database import Database, Note, Synchronous
from worldflow.worlds.local.gauges import SCHEMA as GAUGES_SCHEMA
from worldflow.worlds.local.gauges import Gauges, measure
from worldflow.worlds.local.items import SCHEMA as ITEMS_SCHEMA
from worldflow.worlds.local.items import LocalItems, upgrade
from worldflow.worlds.local.queues import QUEUES, LocalQueues
from worldflow.worlds.local.queues import SCHEMA as MESSAGES_SCHEMA
from worldflow.worlds.local.schedules import LocalSchedules
from worldflow.worlds.local.webhooks import SCHEMA as WEBHOOKS_SCHEMA
from worldflow.worlds.local.webhooks import LocalWebhooks
from worldflow.worlds.messages import Delayed, Message
from worldflow.worlds.records import LISTED, Redriven, RunPage, RunRecord, Status, check_cursor, cursor_after, time_text
from worldflow.worlds.schedule_records import ScheduleRecord
from worldflow.worlds.served import REDELIVERY_DELAY, Delivery, Durable, Queue, Served

_log = logging.getLogger("worldflow")

_HAS = (
    "exists (select 1 from attributes a, json_each(a.attributes) one where a.run_id = runs.run_id and one.key = ? "
    "and one.atom is json_extract(?, '$') and one.type = json_type(?, '$'))"
)
"""A run has an attribute with a value: the same number, and of the same kind."""

_ENDED_AT = "time_text(json_extract(record, '$.ended_at'))"

_SCHEMA = """
create table if not exists commits (run_id text, seq integer, last integer, events text, primary key (run_id, seq))
  without rowid;
create table if not exists runs (run_id text primary key, seq integer, status text, workflow_name text,
  created_at text, record text) without rowid;
create index if not exists runs_by_time on runs (created_at, run_id);
create table if not exists attributes (run_id text primary key, attributes text) without rowid;
create table if not exists payloads (key text primary key, data blob) without rowid;
"""


class LocalWorld(Served):
    """A World in one SQLite database. May be used from several threads.

    path: a file, or `:memory:`.
    clock: source of the time. Default: the machine's clock.
    webhook_url: URL, without the token, at which your application receives webhook requests: see
        `worldflow.runtime.webhooks`.
    synchronous: SQLite's setting for a file. `FULL` survives a power failure; `NORMAL` may lose the last commits in
        one.
    codec: encodes the user's data. Default: none.
    """

    prompt = timedelta(milliseconds=100)

    def __init__(
        self,
        path: str | Path = ":memory:",
        *,
        clock: Callable[[], datetime] | None = None,
        webhook_url: str | None = None,
        synchronous: Synchronous = "FULL",
        codec: PayloadCodec | None = None,
    ) -> None:
        self.path = str(path)
        self.codec = codec
        self.on_sent: Callable[[Collection[Queue]], None] | None = None
        self._clock = clock
        self._watching = threading.Lock()
        self._watchers: dict[str, list[Callable[[], None]]] = {}
        """What waits for changes: of runs, by their ids without their generations, and of streams, by their keys."""
        schema = _SCHEMA + MESSAGES_SCHEMA + ITEMS_SCHEMA + WEBHOOKS_SCHEMA + ARCHIVE_SCHEMA + GAUGES_SCHEMA
        self._database = Database(self.path, schema, synchronous, self._tell)
        self._queues = LocalQueues(self._database, self.now)
        self._queues.upgrade()
        upgrade(self._database)
        self._items = LocalItems(self._database)
        self._schedules = LocalSchedules(self._database, self, self.now)
        self.webhooks = LocalWebhooks(self._database, webhook_url)
        open_locally(self)

    def close(self) -> None:
        """Closes the file after the reads and writes in other threads have finished. Can be called from any thread, and
        repeatedly. Any later use of the World raises `WorldClosedError`.
        """
        close_locally(self)
        self._database.close()

    def now(self) -> datetime:
        return self._clock() if self._clock else super().now()

    def together(self, *, durable: Durable = "first") -> AbstractContextManager[object]:
        return self._transaction(durable=durable)

    def when_durable(self, call: Callable[[], None]) -> None:
        self._database.when_committed(call)

    def _transaction(self, *, durable: Durable = "first") -> AbstractContextManager[sqlite3.Connection]:
        return self._database.transaction(durable=durable)

    def _rows(self, sql: str, *values: object) -> list[tuple[str, ...]]:
        return self._database.rows(sql, *values)

    def _tell(self, notes: set[Note]) -> None:
        for what, base in notes:
            if what == "changed":
                for watcher in tuple(self._watchers.get(base, ())):
                    watcher()
        queues = {queue for queue in QUEUES if ("sent to", queue) in notes}
        if queues and self.on_sent:
            self.on_sent(queues)

    # --- history ---

    def load_history(self, run_id: str, after: int = 0, commits: int | None = None) -> list[Event]:
        rows = self._rows(
            "select events from commits where run_id = ? and last > ? and seq >= coalesce("
            "(select max(seq) from commits where run_id = ? and seq <= ?), 0) order by seq limit ?",
            *(run_id, after) * 2,
            commits or -1,
        )
        return [event for (text,) in rows for event in load_events(text) if event.seq > after]

    def append(self, run_id: str, events: Sequence[Event]) -> None:
        first, last = events[0].seq, events[-1].seq
        with self._transaction() as db:
            newest = "select last from commits where run_id = ? order by seq desc limit 1"
            (found,) = db.execute(newest, (run_id,)).fetchone() or (0,)
            if found != first - 1:
                raise ConflictError(f"run {run_id!r} is at event {found}, but the commit begins with {first}")
            db.execute("insert into commits values (?, ?, ?, ?)", (run_id, first, last, dump_events(events)))
            if run_of_stream(run_id):
                self._database.note(("changed", run_id))

    # --- records ---

    def create_run(self, record: RunRecord) -> RunRecord | None:
        with self._transaction():
            existing = self.get_run(record.run_id)
            if existing is None:
                if self._rows("select 1 from reserved where run_id = ?", record.run_id):
                    raise RunArchivedError(
                        f"the run that {record.run_id!r} would continue is being archived", record.run_id
                    )
                self._insert(record)
            return existing

    def get_run(self, run_id: str) -> RunRecord | None:
        rows = self._rows("select record from runs where run_id = ?", run_id)
        return RunRecord.model_validate_json(rows[0][0]) if rows else None

    def update_run(self, record: RunRecord) -> None:
        with self._transaction() as db:
            sql = "delete from runs where run_id = ? and seq <= ? and run_id not in (select run_id from sealed)"
            if db.execute(sql, (record.run_id, record.seq)).rowcount:
                self._insert(record)

    def _replace(self, record: RunRecord) -> None:
        with self._transaction() as db:
            db.execute("delete from runs where run_id = ?", (record.run_id,))
            self._insert(record)

    @contextmanager
    def changes(self, run_id: str) -> Iterator[Callable[[float], Awaitable[None]]]:
        changed, loop = asyncio.Event(), asyncio.get_running_loop()
        base = generation(run_of_stream(run_id) or run_id)[0]
        watched = {base, run_id} if run_of_stream(run_id) else {base}
        seen = self._database.writes_of_others()

        def watcher() -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(changed.set)

        async def wait(seconds: float) -> None:
            nonlocal seen
            while not changed.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await changed.wait()
                if (now := self._database.writes_of_others()) != seen:
                    seen = now
                    break
            changed.clear()

        with self._watching:
            for key in watched:
                self._watchers.setdefault(key, []).append(watcher)
        try:
            yield wait
        finally:
            with self._watching:
                for key in watched:
                    self._watchers[key].remove(watcher)
                    if not self._watchers[key]:
                        del self._watchers[key]

    def _insert(self, record: RunRecord) -> None:
        with self._transaction() as db:
            self._database.note(("changed", generation(record.run_id)[0]))
            db.execute("insert into runs values (?, ?, ?, ?, ?, ?)", _row(record))
            if record.attributes:
                row = (record.run_id, json.dumps(record.attributes, ensure_ascii=False))
                db.execute("insert or replace into attributes values (?, ?)", row)
            else:
                db.execute("delete from attributes where run_id = ?", (record.run_id,))

    def page_of_runs(self, selection: Selection, limit: int, cursor: str | None) -> RunPage:
        condition, values = _condition(selection)
        created_at, run_id = check_cursor(cursor) if cursor else ("9", "")
        rows = self._rows(
            f"select record from runs where (created_at, run_id) < (?, ?) and {condition} "
            "order by created_at desc, run_id desc limit ?",
            *(created_at, run_id, *values, limit + 1),
        )
        runs = [_listed(text) for (text,) in rows[:limit]]
        return RunPage(runs, cursor_after(runs[-1]) if len(rows) > limit else None)

    def count_runs(self, *, at_most: int | None = None, **filters: Unpack[Filters]) -> int:
        if filters.get("parent") is not None:
            return super().count_runs(at_most=at_most, **filters)
        condition, values = _condition(Selection.of(filters))
        limit = -1 if at_most is None else at_most
        rows = self._rows(f"select count(*) from (select 1 from runs where {condition} limit ?)", *values, limit)
        return int(rows[0][0])

    def walk_runs(self, status: Status, created_before: datetime | None = None) -> Iterator[RunRecord]:
        sql = "select record from runs where status = ? and created_at < ? order by created_at, run_id"
        for (text,) in self._rows(sql, status, time_text(created_before) if created_before else "9"):
            yield _listed(text)

    # --- messages ---

    def send(self, messages: Sequence[Message | Delayed]) -> None:
        self._queues.send(messages)

    def cancel_delayed(self, message: Message, deliver_at: datetime, sent_at: datetime) -> None:
        self._queues.cancel(message, deliver_at, sent_at)

    def redrive(self, *, discard: bool = False) -> Redriven:
        return self._queues.redrive(discard=discard)

    def receive(self, queue: Queue, limit: int = 100, only: Collection[str] | None = None) -> list[Delivery]:
        return self._queues.receive(queue, limit, only)

    def receive_groups(
        self, queue: Queue, groups: int, limit: int = 100, *, handled: Sequence[Delivery] = ()
    ) -> list[list[Delivery]]:
        return self._queues.receive_groups(queue, groups, limit, handled=handled)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self._queues.acknowledge(deliveries)

    def reject(self, deliveries: Sequence[Delivery]) -> None:
        self._queues.reject(deliveries)

    def put_back(self, deliveries: Sequence[Delivery], delay: timedelta = REDELIVERY_DELAY) -> None:
        self._queues.put_back(deliveries, delay)

    def serving(self) -> AbstractContextManager[None]:
        return self._queues.serving()

    def is_served(self) -> bool:
        """Whether a worker serves the file. On Windows and in memory, where nothing tells, it is taken to be so."""
        return self._queues.is_served()

    def measure(self) -> Gauges:
        """How many runs, messages and steps the file has in hand, and since when."""
        return measure(self._database, self.now(), self.is_served())

    def recover(self) -> None:
        """Makes what was in flight when a worker died receivable again."""
        self._queues.recover()

    def next_due(self) -> datetime | None:
        """When the earliest waiting message may be received: now or before, if some already may."""
        return self._queues.next_due()

    # --- items ---

    def get_item(self, key: str) -> Item | None:
        return self._items.get(key)

    def put_item(self, key: str, item: Item | None, expected: Expected | None = None) -> bool:
        return self._items.put(key, item, expected)

    def update_item(self, key: str, fields: Item, defaults: Item) -> Item:
        return self._items.update(key, fields, defaults)

    def list_items(self, prefix: str, limit: int, after: str) -> Sequence[Item]:
        return self._items.list(prefix, limit, after)

    # --- payloads ---

    def put_payload(self, key: str, data: bytes) -> None:
        with self._transaction() as db:
            db.execute("insert or replace into payloads values (?, ?)", (key, data))

    def get_payload(self, key: str) -> bytes:
        return self._rows("select data from payloads where key = ?", key)[0][0]  # type: ignore[return-value]

    def copy_payload(self, key: str, new_key: str) -> None:
        with self._transaction() as db:
            sql = "insert or replace into payloads select ?, data from payloads where key = ?"
            if not db.execute(sql, (new_key, key)).rowcount:
                raise KeyError(key)

    @property
    def archive(self) -> LocalArchive:
        return LocalArchive(self._database, self._replace)

    # --- schedules ---

    def arm_schedule(self, record: ScheduleRecord) -> None:
        self._schedules.arm(record)

    def disarm_schedule(self, schedule_id: str) -> None:
        self._schedules.disarm(schedule_id)

    def rearm_schedule(self, schedule_id: str, due: datetime) -> None:
        self._schedules.rearm(schedule_id, due)


def _condition(selection: Selection) -> tuple[str, list[object]]:
    """The condition of a selection in SQL, and its values."""
    after, before = selection.started_after, selection.started_before
    wanted: list[tuple[str, object]] = [
        ("status = ?", selection.status),
        ("workflow_name = ?", selection.workflow),
        ("created_at >= ?", after and time_text(after)),
        ("created_at < ?", before and time_text(before)),
        ("instr(run_id, ?) = 1", selection.id_prefix),
        ("instr(json_extract(record, '$.status_text'), ?)", selection.status_text),
        (f"{_ENDED_AT} >= ?", selection.ended_after and time_text(selection.ended_after)),
        (f"{_ENDED_AT} < ?", selection.ended_before and time_text(selection.ended_before)),
    ]
    given = [(sql, value) for sql, value in wanted if value]
    attributes = [(name, json.dumps(value)) for name, value in selection.attributes.items()]
    values = [value for _, value in given]
    values += [part for name, value in attributes for part in (name, value, value)]
    return " and ".join([*(sql for sql, _ in given), *[_HAS] * len(attributes)]) or "true", values


def _listed(text: str) -> RunRecord:
    record = RunRecord.model_validate_json(text)
    return RunRecord.model_validate({name: getattr(record, name) for name in LISTED})


def _row(record: RunRecord) -> tuple[object, ...]:
    text = record.model_dump_json(exclude_none=True)
    return (record.run_id, record.seq, record.status, record.workflow_name, time_text(record.created_at), text)
