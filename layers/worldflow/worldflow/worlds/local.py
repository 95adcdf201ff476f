"""Runs in one SQLite database: `:memory:` for tests, or a file as an embedded, durable default.

The queues are tables too. Messages of one group are received together and no others of the group until they are
acknowledged, as from an SQS FIFO queue; a message that was received and never acknowledged comes again when the next
worker starts. One worker at a time serves a file.
"""

from __future__ import annotations

import json
import logging
import secrets
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import ValidationError
from pydantic_core import from_json

from worldflow.engine.errors import ConfigurationError, ConflictError, RunArchivedError
from worldflow.engine.history import Attribute, Event, Json, dump_events, dump_value, load_events
from worldflow.worlds.base import Beat, HookRecord, Redriven, RunPage, RunRecord, Status, World, check_cursor
from worldflow.worlds.codec import PayloadCodec
from worldflow.worlds.local_archive import SCHEMA as ARCHIVE_SCHEMA
from worldflow.worlds.local_archive import LocalArchive
from worldflow.worlds.local_schedules import SCHEMA as SCHEDULES_SCHEMA
from worldflow.worlds.local_schedules import LocalSchedules
from worldflow.worlds.messages import Delayed, Message, StepOutcome, StepTask, load_message, summary

Queue = Literal["runs", "steps", "dead"]
"""Messages that were rejected too often are in the queue of the dead; what no code can read, in a queue that nobody
reads.
"""

_log = logging.getLogger("worldflow")

MAX_RECEIVES = 5
"""How often a message that is rejected comes again."""

MAX_DEATHS = 20
"""How often a message comes again of those that were in flight when a worker died: it may be what killed it, or not."""

_REDELIVERY_DELAY = timedelta(seconds=1)

_SAME = "json_extract(a.attributes, ?) is json_extract(?, '$') and json_type(a.attributes, ?) is json_type(?, '$')"
"""An attribute has a value: the same number, and of the same kind."""

_SCHEMA = """
create table if not exists commits (run_id text, seq integer, last integer, events text, primary key (run_id, seq))
  without rowid;
create table if not exists runs (run_id text primary key, seq integer, status text, workflow_name text,
  created_at text, record text) without rowid;
create index if not exists runs_by_time on runs (created_at, run_id);
create table if not exists messages (id integer primary key, queue text, grp text, body text, visible_at real,
  in_flight integer default 0, receives integer default 0);
create index if not exists messages_by_time on messages (queue, visible_at, id);
create index if not exists messages_by_group on messages (queue, grp);
create table if not exists outcomes (id text primary key, outcome text) without rowid;
create table if not exists attributes (run_id text primary key, attributes text) without rowid;
create table if not exists claims (id text primary key) without rowid;
create table if not exists beats (id text primary key, at text, details text, abandoned integer default 0)
  without rowid;
create table if not exists generations (base text primary key, number integer) without rowid;
create table if not exists hooks (token text primary key, run_id text, hook text) without rowid;
create table if not exists keys (key blob);
create table if not exists payloads (key text primary key, data blob) without rowid;
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it was received, for the `receives`th time."""

    id: int
    message: Message
    receives: int

    @property
    def redelivered(self) -> bool:
        return self.receives > 1


class LocalWorld(World):
    """A World in one SQLite database. May be used from several threads.

    path: a file, or `:memory:`.
    clock: where the time comes from; the machine's clock unless given.
    webhook_url: where an application of yours takes requests to webhooks, without the token: see
        `worldflow.runtime.webhooks`.
    synchronous: SQLite's setting for a file. `FULL` survives a power failure; with `NORMAL` one may lose the last
    commits.
    codec: what encodes the user's data.
    """

    def __init__(
        self,
        path: str | Path = ":memory:",
        *,
        clock: Callable[[], datetime] | None = None,
        webhook_url: str | None = None,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        codec: PayloadCodec | None = None,
    ) -> None:
        self.path = str(path)
        self.codec = codec
        self._webhook_url = webhook_url
        self._clock = clock
        self._lock = threading.RLock()
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
        try:
            self._db.execute("pragma journal_mode = wal")
            self._db.execute(f"pragma synchronous = {synchronous}")
            self._db.executescript(_SCHEMA + SCHEDULES_SCHEMA + ARCHIVE_SCHEMA)
        except sqlite3.Error:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    def now(self) -> datetime:
        return self._clock() if self._clock else super().now()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("begin immediate")
            try:
                yield self._db
            except BaseException:
                self._db.execute("rollback")
                raise
            self._db.execute("commit")

    def _rows(self, sql: str, *values: object) -> list[tuple[str, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    # --- history ---

    def load_history(self, run_id: str, after: int = 0, commits: int | None = None) -> list[Event]:
        rows = self._rows(
            "select events from commits where run_id = ? and last > ? order by seq limit ?",
            run_id,
            after,
            commits or -1,
        )
        return [event for (text,) in rows for event in load_events(text) if event.seq > after]

    def append(self, run_id: str, events: Sequence[Event]) -> None:
        first, last = events[0].seq, events[-1].seq
        with self._transaction() as db:
            found = db.execute("select max(last) from commits where run_id = ?", (run_id,)).fetchone()[0] or 0
            if found != first - 1:
                raise ConflictError(f"run {run_id!r} is at event {found}, and the commit begins with {first}")
            db.execute("insert into commits values (?, ?, ?, ?)", (run_id, first, last, dump_events(events)))

    # --- records ---

    def create_run(self, record: RunRecord) -> RunRecord | None:
        with self._transaction():
            existing = self.get_run(record.run_id)
            if existing is None:
                if self._rows("select 1 from reserved where run_id = ?", record.run_id):
                    raise RunArchivedError(f"what run {record.run_id!r} is to follow is being archived", record.run_id)
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
        self._db.execute("delete from runs where run_id = ?", (record.run_id,))
        self._insert(record)

    def _insert(self, record: RunRecord) -> None:
        self._db.execute("insert into runs values (?, ?, ?, ?, ?, ?)", _row(record))
        if record.attributes:
            row = (record.run_id, json.dumps(record.attributes, ensure_ascii=False))
            self._db.execute("insert or replace into attributes values (?, ?)", row)
        else:
            self._db.execute("delete from attributes where run_id = ?", (record.run_id,))

    def list_runs(
        self,
        *,
        status: Status | None = None,
        workflow: str | None = None,
        attributes: Mapping[str, Attribute] | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RunPage:
        created_at, run_id = check_cursor(cursor) if cursor else ("9", "")
        wanted = [(name, json.dumps(value)) for name, value in (attributes or {}).items()]
        rows = self._rows(
            "select record from runs where (created_at, run_id) < (?, ?) and status = coalesce(?, status) "
            "and workflow_name = coalesce(?, workflow_name) "
            + f"and exists (select 1 from attributes a where a.run_id = runs.run_id and {_SAME}) " * len(wanted)
            + "order by created_at desc, run_id desc limit ?",
            created_at,
            run_id,
            status,
            workflow,
            *(part for name, value in wanted for part in (f'$."{name}"', value) * 2),
            limit + 1,
        )
        runs = [_listed(text) for (text,) in rows[:limit]]
        more = len(rows) > limit
        return RunPage(runs, f"{_time(runs[-1].created_at)}#{runs[-1].run_id}" if more else None)

    def walk_runs(self, status: Status, created_before: datetime | None = None) -> Iterator[RunRecord]:
        sql = "select record from runs where status = ? and created_at < ? order by created_at, run_id"
        for (text,) in self._rows(sql, status, _time(created_before) if created_before else "9"):
            yield _listed(text)

    def put_generation(self, base: str, number: int) -> None:
        with self._transaction() as db:
            db.execute(
                "insert into generations values (?, ?) on conflict do update set number = max(number, excluded.number)",
                (base, number),
            )

    def get_generation(self, base: str) -> int:
        rows = self._rows("select number from generations where base = ?", base)
        return int(rows[0][0]) if rows else 1

    # --- hooks ---

    def put_hook(self, hook: HookRecord, holder: str | None = None) -> bool:
        with self._transaction() as db:
            text = hook.model_dump_json(exclude_none=True)
            sql = (
                "insert into hooks values (?, ?, ?) on conflict do update set run_id = excluded.run_id, "
                "hook = excluded.hook where run_id in (?, ?)"
            )
            return db.execute(sql, (hook.token, hook.run_id, text, hook.run_id, holder)).rowcount > 0

    def get_hook(self, token: str) -> HookRecord | None:
        rows = self._rows("select hook from hooks where token = ?", token)
        return HookRecord.model_validate_json(rows[0][0]) if rows else None

    def delete_hook(self, token: str, run_id: str) -> None:
        with self._transaction() as db:
            db.execute("delete from hooks where token = ? and run_id = ?", (token, run_id))

    def webhook_url(self, token: str) -> str:
        if not self._webhook_url:
            raise ConfigurationError(
                "webhooks need an address: LocalWorld(..., webhook_url='https://.../webhooks'), "
                "or WORLDFLOW_WEBHOOK_URL for the command line"
            )
        return f"{self._webhook_url.rstrip('/')}/{token}"

    def webhook_keys(self) -> Sequence[bytes]:
        with self._transaction() as db:
            db.execute("insert into keys select ? where not exists (select 1 from keys)", (secrets.token_bytes(32),))
            return [key for (key,) in db.execute("select key from keys")]

    # --- messages ---

    def send(self, messages: Sequence[Message | Delayed]) -> None:
        now = self.now()
        due = [message if isinstance(message, Delayed) else Delayed(due=now, message=message) for message in messages]
        rows = [(_queue(one.message), one.message.group, one.message.dump(), one.due.timestamp()) for one in due]
        with self._transaction() as db:
            db.executemany("insert into messages (queue, grp, body, visible_at) values (?, ?, ?, ?)", rows)

    def cancel_delayed(self, message: Message, deliver_at: datetime, sent_at: datetime) -> None:
        values = (_queue(message), message.group, message.dump(), deliver_at.timestamp())
        sql = "delete from messages where queue = ? and grp = ? and body = ? and visible_at = ? and not in_flight"
        with self._transaction() as db:
            db.execute(sql, values)

    def receive(self, queue: Queue, limit: int = 10) -> list[Delivery]:
        """The oldest messages of one group of which none is in flight. They are in flight from now on."""
        now = self.now().timestamp()
        with self._transaction() as db:
            group = db.execute(
                "select grp from messages m where queue = ? and visible_at <= ? and not exists (select 1 "
                "from messages o where o.queue = m.queue and o.grp = m.grp and (o.in_flight or (o.receives > 0 "
                "and o.visible_at > ?))) order by visible_at, id limit 1",  # a rejected message holds its group
                (queue, now, now),
            ).fetchone()
            if group is None:
                return []
            rows = db.execute(
                "update messages set in_flight = 1, receives = receives + 1 where id in (select id from messages "
                "where queue = ? and grp = ? and visible_at <= ? order by id limit ?) returning id, body, receives",
                (queue, group[0], now, limit),
            ).fetchall()
        deliveries = [self._read(*row) for row in rows]
        return sorted((delivery for delivery in deliveries if delivery), key=lambda delivery: delivery.id)

    def _read(self, id: int, body: str, receives: int) -> Delivery | None:
        try:
            message = load_message(body)
        except ValidationError as error:
            _log.error("message %d cannot be read, and is put aside: %s", id, summary(error))
            with self._transaction() as db:
                db.execute("update messages set in_flight = 0, queue = 'unreadable' where id = ?", (id,))
            return None
        assert not isinstance(message, Delayed)
        return Delivery(id, message, receives)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """The messages were handled, and are gone."""
        with self._transaction() as db:
            db.executemany("delete from messages where id = ?", [(delivery.id,) for delivery in deliveries])

    def reject(self, deliveries: Sequence[Delivery]) -> None:
        """The messages could not be handled: they come again, or are dead when they have come too often."""
        again = (self.now() + _REDELIVERY_DELAY).timestamp()
        with self._transaction() as db:
            db.executemany(
                "update messages set in_flight = 0, visible_at = ?, queue = case when receives < ? then queue "
                "else 'dead' end where id = ?",
                [(again, MAX_RECEIVES, delivery.id) for delivery in deliveries],
            )

    def recover(self) -> None:
        """Makes what was in flight when a worker died receivable again."""
        with self._transaction() as db:
            db.execute(
                "update messages set in_flight = 0, queue = case when receives < ? then queue else 'dead' end "
                "where in_flight",
                (MAX_DEATHS,),
            )

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Makes this process the one worker of the file. Raises `ConfigurationError` if another is at work."""
        if self.path == ":memory:" or sys.platform == "win32":
            self.recover()
            yield
            return
        import fcntl

        with open(f"{self.path}.worker", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConfigurationError(f"another worker serves {self.path}, and a file has one") from None
            self.recover()
            yield

    def next_due(self) -> datetime | None:
        """When the earliest waiting message may be received: now or before, if some already may."""
        sql = "select min(visible_at) from messages where queue != 'unreadable' and not in_flight"
        (when,) = self._rows(sql)[0]
        return None if when is None else datetime.fromtimestamp(float(when), UTC)

    def redrive(self, *, discard: bool = False) -> Redriven:
        # The worker handles the dead; what nobody could read waits for code that can.
        moved = 0
        with self._transaction() as db:
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

    # --- the step ledger ---

    def put_outcome(self, outcome: StepOutcome) -> StepOutcome:
        key = f"{outcome.run_id}#{outcome.fact.fact_id}"
        with self._transaction() as db:
            db.execute("insert or ignore into outcomes values (?, ?)", (key, outcome.model_dump_json()))
            (recorded,) = db.execute("select outcome from outcomes where id = ?", (key,)).fetchone()
        return StepOutcome.model_validate_json(recorded)

    def get_outcome(self, run_id: str, step_id: str, attempt: int) -> StepOutcome | None:
        rows = self._rows("select outcome from outcomes where id = ?", f"{run_id}#{step_id}/{attempt}")
        return StepOutcome.model_validate_json(rows[0][0]) if rows else None

    def claim(self, run_id: str, step_id: str, attempt: int) -> bool:
        with self._transaction() as db:
            key = f"{run_id}#{step_id}/{attempt}"
            return db.execute("insert or ignore into claims values (?)", (key,)).rowcount > 0

    def beat(self, run_id: str, step_id: str, attempt: int, details: Json) -> bool:
        with self._transaction() as db:
            (abandoned,) = db.execute(
                "insert into beats (id, at, details) values (?, ?, ?) on conflict do update set at = excluded.at, "
                "details = excluded.details returning abandoned",
                (f"{run_id}#{step_id}/{attempt}", _time(self.now()), dump_value(details)),
            ).fetchone()
            return not abandoned

    def last_beat(self, run_id: str, step_id: str, attempt: int) -> Beat | None:
        rows = self._rows("select at, details from beats where id = ?", f"{run_id}#{step_id}/{attempt}")
        return Beat(datetime.fromisoformat(rows[0][0]), from_json(rows[0][1])) if rows and rows[0][0] else None

    def abandon(self, run_id: str, step_id: str, attempt: int) -> None:
        with self._transaction() as db:
            db.execute(
                "insert into beats (id, abandoned) values (?, 1) on conflict do update set abandoned = 1",
                (f"{run_id}#{step_id}/{attempt}",),
            )

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
        return LocalArchive(self._transaction, self._replace)

    # --- schedules ---

    @property
    def schedules(self) -> LocalSchedules:
        return LocalSchedules(self._transaction, self.now)


def _queue(message: Message) -> Queue:
    return "steps" if isinstance(message, StepTask) else "runs"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _listed(text: str) -> RunRecord:
    record = RunRecord.model_validate_json(text)
    return record.model_copy(update=dict.fromkeys(("input", "result", "error", "blocked_reason")))


def _row(record: RunRecord) -> tuple[object, ...]:
    text = record.model_dump_json(exclude_none=True)
    return (record.run_id, record.seq, record.status, record.workflow_name, _time(record.created_at), text)
