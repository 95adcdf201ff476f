"""Runs in one SQLite database: `:memory:` for tests, or a file as an embedded, durable default."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic_core import from_json

from worldflow.engine.errors import ConfigurationError, ConflictError, RunArchivedError
from worldflow.engine.history import Attribute, Event, Json, dump_events, dump_value, load_events
from worldflow.engine.ids import generation
from worldflow.engine.privacy import close_locally, open_locally
from worldflow.worlds.codec import PayloadCodec
from worldflow.worlds.local.archive import SCHEMA as ARCHIVE_SCHEMA
from worldflow.worlds.local.archive import LocalArchive
from worldflow.worlds.local.database import Database, Durable, Note, Synchronous
from worldflow.worlds.local.queues import QUEUES, LocalMessages, Queue
from worldflow.worlds.local.queues import SCHEMA as MESSAGES_SCHEMA
from worldflow.worlds.local.schedules import SCHEMA as SCHEDULES_SCHEMA
from worldflow.worlds.local.schedules import LocalSchedules
from worldflow.worlds.messages import StepOutcome
from worldflow.worlds.records import Beat, HookRecord, RunPage, RunRecord, Status, check_cursor, check_page

_log = logging.getLogger("worldflow")

_HAS = (
    "exists (select 1 from attributes a, json_each(a.attributes) one where a.run_id = runs.run_id and one.key = ? "
    "and one.atom is json_extract(?, '$') and one.type = json_type(?, '$'))"
)
"""A run has an attribute with a value: the same number, and of the same kind."""

_SCHEMA = """
create table if not exists commits (run_id text, seq integer, last integer, events text, primary key (run_id, seq))
  without rowid;
create table if not exists runs (run_id text primary key, seq integer, status text, workflow_name text,
  created_at text, record text) without rowid;
create index if not exists runs_by_time on runs (created_at, run_id);
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


class LocalWorld(LocalMessages):
    """A World in one SQLite database. May be used from several threads.

    path: a file, or `:memory:`.
    clock: where the time comes from; the machine's clock unless given.
    webhook_url: where an application of yours takes requests to webhooks, without the token: see
        `worldflow.runtime.webhooks`.
    synchronous: SQLite's setting for a file. `FULL` survives a power failure; with `NORMAL` one may lose the last
    commits.
    codec: what encodes the user's data.
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
        self._webhook_url = webhook_url
        self._clock = clock
        self._watching = threading.Lock()
        self._watchers: dict[str, list[Callable[[], None]]] = {}
        """What waits for changes of runs, by their ids without their generations."""
        schema = _SCHEMA + MESSAGES_SCHEMA + SCHEDULES_SCHEMA + ARCHIVE_SCHEMA
        self._database = Database(self.path, schema, synchronous, self._tell)
        self._add_columns()
        open_locally(self)

    def close(self) -> None:
        """Closes the file, when the reads and writes that are under way in other threads have ended. May be called from
        any thread, and again. Whatever is asked of the world afterwards raises `WorldClosedError`.
        """
        close_locally(self)
        self._database.close()

    def now(self) -> datetime:
        return self._clock() if self._clock else super().now()

    def together(self, *, durable: Durable = "first") -> AbstractContextManager[object]:
        return self._transaction(durable=durable)

    def when_durable(self, call: Callable[[], None]) -> None:
        self._database.when_committed(call)

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
        changed, loop, base = asyncio.Event(), asyncio.get_running_loop(), generation(run_id)[0]
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
            self._watchers.setdefault(base, []).append(watcher)
        try:
            yield wait
        finally:
            with self._watching:
                self._watchers[base].remove(watcher)
                if not self._watchers[base]:
                    del self._watchers[base]

    def _insert(self, record: RunRecord) -> None:
        with self._transaction() as db:
            self._database.note(("changed", generation(record.run_id)[0]))
            db.execute("insert into runs values (?, ?, ?, ?, ?, ?)", _row(record))
            if record.attributes:
                row = (record.run_id, json.dumps(record.attributes, ensure_ascii=False))
                db.execute("insert or replace into attributes values (?, ?)", row)
            else:
                db.execute("delete from attributes where run_id = ?", (record.run_id,))

    def list_runs(
        self,
        *,
        status: Status | None = None,
        workflow: str | None = None,
        attributes: Mapping[str, Attribute] | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RunPage:
        check_page(status, limit)
        created_at, run_id = check_cursor(cursor) if cursor else ("9", "")
        wanted = [(name, json.dumps(value)) for name, value in (attributes or {}).items()]
        rows = self._rows(
            "select record from runs where (created_at, run_id) < (?, ?) and status = coalesce(?, status) "
            "and workflow_name = coalesce(?, workflow_name) "
            + f"and {_HAS} " * len(wanted)
            + "order by created_at desc, run_id desc limit ?",
            created_at,
            run_id,
            status,
            workflow,
            *(part for name, value in wanted for part in (name, value, value)),
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
                "webhooks need a URL: set LocalWorld(..., webhook_url='https://.../webhooks'), "
                "or WORLDFLOW_WEBHOOK_URL for the command line"
            )
        return f"{self._webhook_url.rstrip('/')}/{token}"

    def webhook_keys(self) -> Sequence[bytes]:
        with self._transaction() as db:
            db.execute("insert into keys select ? where not exists (select 1 from keys)", (secrets.token_bytes(32),))
            return [key for (key,) in db.execute("select key from keys")]

    # --- the step ledger ---

    def put_outcome(self, outcome: StepOutcome, *, replace: bool = False) -> StepOutcome:
        key = f"{outcome.run_id}#{outcome.fact.fact_id}"
        with self._transaction() as db:
            row = db.execute("select outcome from outcomes where id = ?", (key,)).fetchone()
            if row and not replace and (recorded := StepOutcome.model_validate_json(row[0])).is_of(outcome.call):
                return recorded
            db.execute("insert or replace into outcomes values (?, ?)", (key, outcome.model_dump_json()))
        return outcome

    def get_outcome(self, run_id: str, step_id: str, attempt: int) -> StepOutcome | None:
        rows = self._rows("select outcome from outcomes where id = ?", f"{run_id}#{step_id}/{attempt}")
        return StepOutcome.model_validate_json(rows[0][0]) if rows else None

    def claim(self, run_id: str, step_id: str, attempt: int) -> bool:
        with self._transaction() as db:
            key = f"{run_id}#{step_id}/{attempt}"
            return db.execute("insert or ignore into claims values (?)", (key,)).rowcount > 0

    def begin(self, run_id: str, step_id: str, attempt: int) -> bool:
        with self._transaction() as db:
            (abandoned,) = db.execute(
                "insert into beats (id, at, details) values (?, ?, 'null') on conflict do update set at = excluded.at, "
                "details = coalesce(details, excluded.details) returning abandoned",
                (f"{run_id}#{step_id}/{attempt}", _time(self.now())),
            ).fetchone()
            return not abandoned

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

    def is_abandoned(self, run_id: str, step_id: str, attempt: int) -> bool:
        sql = "select 1 from beats where id = ? and abandoned"
        return bool(self._rows(sql, f"{run_id}#{step_id}/{attempt}"))

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


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _listed(text: str) -> RunRecord:
    record = RunRecord.model_validate_json(text)
    return record.model_copy(update=dict.fromkeys(("input", "result", "error", "blocked_reason")))


def _row(record: RunRecord) -> tuple[object, ...]:
    text = record.model_dump_json(exclude_none=True)
    return (record.run_id, record.seq, record.status, record.workflow_name, _time(record.created_at), text)
