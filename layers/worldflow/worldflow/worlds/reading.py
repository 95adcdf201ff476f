"""Reading runs, wherever they are: in the tables or in the archive.

As they are stored, with references in place of large data and of what came before: `find_run` and `find_history`, or
`stored_run` and `stored_events`, which raise `RunNotFoundError`. With the user's data: the methods of `Reading`.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Any, Protocol

from worldflow.engine.errors import ConfigurationError, RunNotFoundError
from worldflow.engine.history import Event
from worldflow.worlds.archives import Archive, load_archive
from worldflow.worlds.histories import History
from worldflow.worlds.payloads import PayloadStore, fetch, fetch_failure, fetch_text
from worldflow.worlds.records import RunRecord

QUIET = timedelta(hours=12)
"""A run is archived days after its end. A run with an event more recent than this is not archived."""

_log = logging.getLogger("worldflow")


class Readable(PayloadStore, Protocol):
    """The members of a World that reading uses."""

    def get_run(self, run_id: str) -> RunRecord | None: ...

    def load_history(self, run_id: str, after: int = 0, commits: int | None = None) -> list[Event]: ...

    @property
    def archive(self) -> Archive: ...

    def now(self) -> datetime: ...


# --- as they are stored ---


def find_run(world: Readable, run_id: str) -> RunRecord | None:
    """The record of a run, archived or not."""
    record = world.get_run(run_id)
    if record is None and (archived := _find_archived(world, run_id)):
        record, _ = archived
    return record


def find_history(world: Readable, run_id: str, after: int = 0, commits: int | None = None) -> list[Event] | None:
    """The events of a run, archived or not, with a `seq` above `after`. None if there is no such run.

    commits: as for `World.load_history`; of an archived run all events are read.
    """
    events = world.load_history(run_id, after, commits)
    if events and not is_quiet(world, events[-1].at):
        return events
    # What was read may be half of the history. It is all of it if the record, read after it, is not archived yet.
    record = world.get_run(run_id)
    if record and record.archived_at is None:
        return events
    archived = _find_archived(world, run_id)
    if archived is None:
        return events or None
    return [event for event in archived[1] if event.seq > after]


def stored_run(world: Readable, run_id: str) -> RunRecord:
    """The record of a run; `pending` where nothing has happened yet. Raises `RunNotFoundError`."""
    record = find_run(world, run_id)
    if record is None:
        raise RunNotFoundError(run_id)
    if record.status == "running" and _is_pending(world, record):
        return record.model_copy(update={"status": "pending"})
    return record


def _is_pending(world: Readable, record: RunRecord) -> bool:
    """Whether a run that is open has not begun."""
    if record.start_at and record.start_at > world.now():
        return True
    return not world.load_history(record.run_id, commits=1)


def stored_events(world: Readable, run_id: str, after: int = 0, commits: int | None = None) -> list[Event]:
    """As `find_history`, but raises `RunNotFoundError`."""
    events = find_history(world, run_id, after, commits)
    if events is None:
        raise RunNotFoundError(run_id)
    return events


def history_of(world: Readable, run_id: str) -> History:
    """Reads the events of a run, whole."""
    return History(world, lambda: find_history(world, run_id) or ())


def is_quiet(world: Readable, since: datetime) -> bool:
    """Whether nothing has happened to a run for so long that it may have ended in another process and be archived."""
    return world.now() - since > QUIET


def _find_archived(world: Readable, run_id: str) -> tuple[RunRecord, list[Event]] | None:
    try:
        data = world.archive.get(run_id)
    except ConfigurationError as error:
        _log.warning("%s", error)
        return None
    return load_archive(data) if data else None


# --- with the user's data ---


def with_data(world: PayloadStore, record: RunRecord) -> RunRecord:
    """A stored record with the user's data."""
    update: dict[str, Any] = {
        "input": fetch(world, record.input),
        "result": fetch(world, record.result),
        "error": record.error and fetch_failure(world, record.error),
        "blocked_reason": fetch_text(world, record.blocked_reason),
    }
    return record.model_copy(update=update)


class Reading:
    """Reading one generation of a run: asynchronous for applications, synchronous for threads that may wait."""

    async def get_run_status(self: Readable, run_id: str) -> dict[str, Any]:
        """A run's record as JSON values: `status`, `workflow_name`, `input`, `result` and the rest.

        `RunHandle.record()` has the same as a `RunRecord`, of the newest generation. Raises `RunNotFoundError`.
        """
        return (await asyncio.to_thread(Reading.read_run, self, run_id)).describe()

    async def load_events(self: Readable, run_id: str, after: int = 0) -> list[Event]:
        """A run's events, each with `event_type`, `seq`, `at` and `payload`. Raises `RunNotFoundError`."""
        return await asyncio.to_thread(Reading.read_events, self, run_id, after)

    def read_run(self: Readable, run_id: str) -> RunRecord:
        """The record of a run; `pending` where nothing has happened yet. Raises `RunNotFoundError`."""
        return with_data(self, stored_run(self, run_id))

    def read_events(self: Readable, run_id: str, after: int = 0) -> list[Event]:
        """The events of a run with a `seq` above `after`. Raises `RunNotFoundError`."""
        return list(map(history_of(self, run_id).read, stored_events(self, run_id, after)))
