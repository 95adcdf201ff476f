"""The disk itself: as many SQLite commits, each with its fsync, as the row cannot do without."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from benchmarks.peers.workloads import Workload, answer


class Disk:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    async def prepare(self, workload: Workload) -> None:
        self._commit(10)

    async def run(self, run_id: str, workload: Workload) -> None:
        self._commit(workload.commits // workload.runs)

    def _commit(self, times: int) -> None:
        for _ in range(times):
            self._db.execute("insert into t (text) values (?)", ("x" * 200,))


@asynccontextmanager
async def opened(folder: Path, variant: str) -> AsyncIterator[Disk]:
    with closing(sqlite3.connect(folder / "disk.db", isolation_level=None)) as db:
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = full")
        db.execute("create table t (id integer primary key, text text)")
        yield Disk(db)


if __name__ == "__main__":
    answer(opened)
