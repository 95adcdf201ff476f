"""A copy of a `LocalWorld` file, made while others write to it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from worldflow.engine.errors import ConfigurationError


def back_up(path: Path, to: Path) -> int:
    """Copies the file as it is at one moment, checks the copy, and returns its size in bytes.

    Writers are not blocked; their write-ahead log grows until the copy is made. The copy appears under its name when it
    is whole and on the disk, with the permissions of the file.
    Raises `ConfigurationError` for a file that does not exist or is not a LocalWorld's, and for a copy that does, and
    `sqlite3.Error`.
    """
    if not path.exists():
        raise ConfigurationError(f"there is no file {path}")
    if to.exists():
        raise ConfigurationError(f"{to} already exists")
    descriptor, name = tempfile.mkstemp(prefix=f".{to.name}.", suffix=".partial", dir=to.parent)
    os.close(descriptor)
    partial = Path(name)
    try:
        with closing(sqlite3.connect(path, timeout=30)) as source, closing(sqlite3.connect(partial)) as copy:
            if not source.execute("select 1 from sqlite_master where name = 'commits'").fetchone():
                raise ConfigurationError(f"{path} is not a LocalWorld file")
            # All pages at once: a copy in steps begins anew whenever another process has written.
            source.backup(copy)
            copy.execute("pragma journal_mode = delete")  # one file, without a log beside it
            problem = copy.execute("pragma quick_check(1)").fetchone()[0]
            if problem != "ok":
                raise sqlite3.DatabaseError(f"the copy is damaged: {problem}")
        shutil.copymode(path, partial)
        os.link(partial, to)  # and not over a file that has appeared meanwhile
    except FileExistsError:
        raise ConfigurationError(f"{to} already exists") from None
    finally:
        partial.unlink(missing_ok=True)
    _sync(to.parent)
    return to.stat().st_size


def _sync(folder: Path) -> None:
    """Waits until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
