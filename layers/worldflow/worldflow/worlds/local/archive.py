"""The archive of a `LocalWorld`: a table. Payloads stay where they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from worldflow.worlds.archives import Archive, Attempt
from worldflow.worlds.items import generation_key
from worldflow.worlds.ledger import keys_of
from worldflow.worlds.local.database import Database
from worldflow.worlds.records import RunRecord

SCHEMA = """
create table if not exists archives (run_id text, name text, data blob, primary key (run_id, name)) without rowid;
create table if not exists reserved (run_id text primary key) without rowid;
create table if not exists sealed (run_id text primary key) without rowid;
"""


class LocalArchive(Archive):
    def __init__(
        self,
        database: Database,
        replace: Callable[[RunRecord], None],
    ) -> None:
        self._database = database
        self._replace = replace

    def get(self, run_id: str) -> bytes | None:
        with self._database.transaction() as db:
            row = db.execute("select data from archives where run_id = ? and name = ''", (run_id,)).fetchone()
            return row[0] if row else None

    def put(self, run_id: str, data: bytes, *, replace: bool = False, keep_as: str | None = None) -> bool:
        with self._database.transaction() as db:
            if keep_as:
                kept = "select run_id, ?, data from archives where run_id = ? and name = ''"
                db.execute(f"insert or replace into archives {kept}", (keep_as, run_id))
            verb = "insert or replace" if replace else "insert or ignore"
            return db.execute(f"{verb} into archives values (?, '', ?)", (run_id, data)).rowcount > 0

    def seal(self, records: Sequence[RunRecord], reserved: str | None, absent: str | None = None) -> bool:
        with self._database.transaction() as db:
            if reserved and db.execute("select 1 from runs where run_id = ?", (reserved,)).fetchone():
                return False
            if absent and db.execute("select 1 from items where key = ?", (absent,)).fetchone():
                return False
            for record in records:
                sql = "select 1 from runs where run_id = ? and seq = ? and run_id not in (select run_id from sealed)"
                if not db.execute(sql, (record.run_id, record.seq)).fetchone():
                    return False
            for record in records:
                self._replace(record)
                db.execute("insert into sealed values (?)", (record.run_id,))
            if reserved:
                db.execute("insert or ignore into reserved values (?)", (reserved,))
        return True

    def clear(self, run_id: str, attempts: Sequence[Attempt]) -> None:
        with self._database.transaction() as db:
            keys = [(key,) for key in keys_of(run_id, attempts)]
            db.executemany("delete from items where key = ?", keys)
            db.execute("delete from commits where run_id = ?", (run_id,))

    def remaining(self, run_ids: Sequence[str]) -> Sequence[str]:
        with self._database.transaction() as db:
            sql = "select 1 from runs where run_id = ?"
            return [run_id for run_id in run_ids if db.execute(sql, (run_id,)).fetchone()]

    def forget(self, run_ids: Sequence[str], base: str | None, reserved: str | None) -> None:
        with self._database.transaction() as db:
            for table in ("runs", "attributes", "sealed"):
                db.executemany(f"delete from {table} where run_id = ?", [(run_id,) for run_id in run_ids])
            if base:
                db.execute("delete from items where key = ?", (generation_key(base),))
            db.execute("delete from reserved where run_id = ?", (reserved,))
