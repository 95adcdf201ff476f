"""The SQLite database of a `LocalWorld`: transactions, one at a time, and when they are on the disk."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from io import FileIO
from typing import Literal

from worldflow.engine.errors import ConfigurationError, WorldClosedError
from worldflow.worlds.records import time_text
from worldflow.worlds.served import Durable

Synchronous = Literal["FULL", "NORMAL"]

Note = tuple[Literal["sent to", "changed"], str]
"""What a transaction has done that another thread may wait for."""

MEMORY = ":memory:"

_write_out: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
"""Waits until all that was written to a file is on the disk, as SQLite itself does."""

_ASK_EVERY = 0.02
"""Seconds between two looks at what others have written to the file."""


def _time_text(moment: str | None) -> str | None:
    """A time of a record as text that sorts as the times do."""
    return time_text(datetime.fromisoformat(moment)) if moment else None


class Database:
    """One database, in a file or in memory. May be used from several threads, and closed by any of them: what is under
    way then is waited for, and whatever comes later raises `WorldClosedError`. SQLite itself looks after neither, and
    a connection that is closed while another thread uses it takes the process with it.

    on_commit: called with the notes of a transaction when it is committed, in the thread that did.
    """

    def __init__(
        self, path: str, schema: str, synchronous: Synchronous, on_commit: Callable[[set[Note]], None]
    ) -> None:
        self.path = path
        self._synchronous = synchronous
        self._on_commit = on_commit
        self._set = ""
        self._notes: set[Note] = set()
        self._calls: list[Callable[[], None]] = []
        """What waits for the open transaction to be committed."""
        self._version, self._asked_at = 0, 0.0
        self._lock = threading.RLock()
        self._writer = 0
        """The thread whose transaction is open."""
        self._closed = False
        self._process = os.getpid()
        self._outs = threading.Condition()
        self._writing_out = 0
        """How many threads wait for the disk, which is done outside the lock."""
        self._log: FileIO | None = None
        """SQLite's write-ahead log, once a commit has made the file itself durable."""
        self._db = self._reader = self._connect()
        self._reading = self._lock
        try:
            (journal,) = self._db.execute("pragma journal_mode = wal").fetchone()
            self._log_path = f"{os.path.realpath(path)}-wal" if journal == "wal" else None
            self._set_synchronous(synchronous)
            self._db.executescript(schema)
            if path != MEMORY:  # to read while another thread's commit goes to the disk
                self._reader, self._reading = self._connect(), threading.RLock()
        except sqlite3.Error:
            self._db.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
        db.create_function("time_text", 1, _time_text, deterministic=True)
        return db

    def close(self) -> None:
        """Closes the database when what is under way is over. Closing it again does nothing."""
        if self._writer == threading.get_ident():
            raise RuntimeError(f"{self.path} cannot be closed inside one of its own transactions")
        if os.getpid() != self._process:
            return  # the file is the parent's, and SQLite would let go of locks that are not this process's
        with self._lock, self._reading:
            if self._closed:
                return
            self._closed = True
            with self._outs:
                self._outs.wait_for(lambda: not self._writing_out)
            if self._log:
                self._log.close()
            self._reader.close()
            self._db.close()

    def _check_open(self) -> None:
        if self._closed:
            raise WorldClosedError(f"the LocalWorld {self.path} is closed")

    def _check_process(self) -> None:
        """To be asked before a lock is awaited: after a fork, the thread that held it may be in the parent."""
        if os.getpid() != self._process:
            raise ConfigurationError(
                f"the LocalWorld {self.path} was opened before a fork: open it in the process that uses it"
            )

    @contextmanager
    def transaction(self, *, durable: Durable = "first") -> Iterator[sqlite3.Connection]:
        """What is written within is written together: also by transactions within, which are parts of it."""
        self._check_process()
        with self._lock:
            self._check_open()
            if self._db.in_transaction:
                yield self._db
                return
            log = self._log if durable == "next" else None
            self._set_synchronous("NORMAL" if durable == "later" or log else self._synchronous)
            self._db.execute("begin immediate")
            before = self._db.total_changes
            self._writer = threading.get_ident()
            try:
                yield self._db
                self._db.execute("commit")
            except BaseException:
                self._notes, self._calls = set(), []
                if self._db.in_transaction:
                    self._db.execute("rollback")
                raise
            finally:
                self._writer = 0
            has_written = self._db.total_changes > before
            if self._log is None and self._log_path and self._set == "FULL" and has_written:
                self._log = FileIO(self._log_path, "r+")
            notes, self._notes = self._notes, set()
            calls, self._calls = self._calls, []
            if log:
                with self._outs:
                    self._writing_out += 1
        try:
            if notes:
                self._on_commit(notes)
        finally:
            if log:
                self._write_out(log)
        for call in calls:
            call()

    def _write_out(self, log: FileIO) -> None:
        try:
            _write_out(log.fileno())
        finally:
            with self._outs:
                self._writing_out -= 1
                self._outs.notify_all()

    def note(self, *notes: Note) -> None:
        """Notes something for when the open transaction is committed."""
        self._notes.update(notes)

    def when_committed(self, call: Callable[[], None]) -> None:
        """Calls when the transaction that this thread has open is committed, if it is; at once if it has none open."""
        if self._writer == threading.get_ident():
            self._calls.append(call)
        else:
            call()

    def rows(self, sql: str, *values: object) -> list[tuple[str, ...]]:
        """What is committed, and what this thread has written and not committed yet."""
        if self._writer == threading.get_ident():
            return self._db.execute(sql, values).fetchall()
        self._check_process()
        with self._reading:
            self._check_open()
            return self._reader.execute(sql, values).fetchall()

    def writes_of_others(self) -> int:
        """Changes when another connection has written to the file, which is asked now and then."""
        if time.monotonic() - self._asked_at > _ASK_EVERY and self._lock.acquire(blocking=False):
            try:
                self._check_open()
                self._version = self._db.execute("pragma data_version").fetchone()[0]
                self._asked_at = time.monotonic()
            finally:
                self._lock.release()
        return self._version

    def _set_synchronous(self, wanted: str) -> None:
        if wanted != self._set:
            self._db.execute(f"pragma synchronous = {wanted}")
            self._set = wanted
