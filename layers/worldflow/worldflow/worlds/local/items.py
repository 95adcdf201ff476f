"""The items of a `LocalWorld`: a table, with the fields of each as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from worldflow.worlds.items import Expected, Item
from worldflow.worlds.local.database import Database

SCHEMA = "create table if not exists items (key text primary key, item text) without rowid;"


class LocalItems:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> Item | None:
        rows = self._database.rows("select item from items where key = ?", key)
        return _read(rows[0][0]) if rows else None

    def put(self, key: str, item: Item | None, expected: Expected | None) -> bool:
        with self._database.transaction() as db:
            if expected and not expected.holds(self.get(key)):
                return False
            if item is None:
                db.execute("delete from items where key = ?", (key,))
            else:
                db.execute("insert or replace into items values (?, ?)", (key, json.dumps(item, ensure_ascii=False)))
        return True

    def update(self, key: str, fields: Item, defaults: Item) -> Item:
        with self._database.transaction():
            item = {**defaults, **(self.get(key) or {}), **fields}
            self.put(key, item, None)
        return item

    def list(self, prefix: str, limit: int, after: str) -> Sequence[Item]:
        rows = self._database.rows(
            "select item from items where key > ? and key < ? order by key limit ?",
            prefix + after,
            f"{prefix}\U0010ffff",
            limit,
        )
        return [_read(text) for (text,) in rows]


def _read(text: str) -> dict[str, Any]:
    item: dict[str, Any] = json.loads(text)
    return item


# --- files of earlier versions, which had a table for each kind ---

_TABLES = ("outcomes", "claims", "beats", "generations", "hooks", "schedules")


def upgrade(database: Database) -> None:
    """Moves what an earlier version stored in tables of their own into items."""
    names = f"select name from sqlite_master where type = 'table' and name in {_TABLES}"
    if not database.rows(names):
        return
    with database.transaction() as db:
        for (name,) in database.rows(names):  # none, if another process has moved them meanwhile
            for key, item in _OLD[name](db.execute(f"select * from {name}")):
                db.execute("insert or ignore into items values (?, ?)", (key, json.dumps(item, ensure_ascii=False)))
            db.execute(f"drop table {name}")


def _old_beats(rows: Iterable[Any]) -> Iterator[tuple[str, Item]]:
    for id, at, details, abandoned in rows:
        beat = {"beat_at": at, "details": details if isinstance(details, str) else details.decode()} if at else {}
        yield _attempt(id, "#beat"), {**beat, **({"abandoned": 1} if abandoned else {})}


def _attempt(id: str, what: str = "") -> str:
    step, _, attempt = id.rpartition("/")
    return f"step#{step}#{attempt}{what}"


_OLD: dict[str, Callable[[Iterable[Any]], Iterable[tuple[str, Item]]]] = {
    "outcomes": lambda rows: ((_attempt(id), {"outcome": outcome}) for id, outcome in rows),
    "claims": lambda rows: ((_attempt(id, "#claim"), {"claimant": ""}) for (id,) in rows),
    "beats": _old_beats,
    "generations": lambda rows: ((f"generation#{base}", {"number": number}) for base, number in rows),
    "hooks": lambda rows: ((f"hook#{token}", {"hook": hook, "holder": run_id}) for token, run_id, hook in rows),
    "schedules": lambda rows: ((f"schedule#{id}", {"schedule": record, "version": v}) for id, v, record in rows),
}
