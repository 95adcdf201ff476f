"""The archive of a World: where runs are that ended long ago, and how they are taken out of the tables.

    get / put          the archive of a run: one piece of data, written whole
    seal               from here on the run counts as archived: it is read from there, and nothing follows it any more
    clear              removes what the run has beside its record
    forget             removes the records and all that leads to them, in one go

`runtime.archive` says in which order, and why.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from worldflow.engine.history import Event, dump_events, load_events
from worldflow.worlds.records import RunRecord


def dump_archive(record: RunRecord, events: Sequence[Event]) -> bytes:
    """A run as it is archived: gzip of a line of JSON for the record and one for each event."""
    import gzip  # which hardly any process needs

    lines = [record.model_dump_json(exclude_none=True), *(dump_events([event])[1:-1] for event in events), ""]
    return gzip.compress("\n".join(lines).encode(), mtime=0)


def load_archive(data: bytes) -> tuple[RunRecord, list[Event]]:
    """What `dump_archive` was given."""
    import gzip

    first, *lines = gzip.decompress(data).splitlines()
    return RunRecord.model_validate_json(first), load_events(b"[%s]" % b",".join(lines))


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the step ledger may have of an attempt, beside its outcome."""

    step_id: str
    number: int
    claimed: bool = False
    beats: bool = False
    """It sends heartbeats, or was not wanted any more."""


class Archive(ABC):
    """The archive of a World."""

    @abstractmethod
    def get(self, run_id: str) -> bytes | None:
        """The archive of the run that had this id last, if there is one. Raises `ConfigurationError` if this process
        may not read it.
        """

    @abstractmethod
    def put(self, run_id: str, data: bytes, *, replace: bool = False, keep_as: str | None = None) -> bool:
        """Stores the archive of a run. Returns False, and stores nothing, where there is one that is not replaced.

        keep_as: first copies the one that is replaced aside, under this name. Harmless to repeat.
        """

    @abstractmethod
    def seal(self, records: Sequence[RunRecord], reserved: str | None, absent: str | None = None) -> bool:
        """Replaces the records, all or none, if nobody has changed or sealed them since they were read.

        reserved: the id of the run that would follow. From now on nobody can create it: `RunArchivedError`.
        absent: the key of an item that must not exist.
        Returns False, and does nothing, where one was changed, or where that run or that item exists.
        """

    @abstractmethod
    def clear(self, run_id: str, attempts: Sequence[Attempt]) -> None:
        """Removes a run's history and what the step ledger has of it. Payloads are moved to the archive, or stay
        where they are: `World.get_payload` finds them. Harmless to repeat.
        """

    @abstractmethod
    def remaining(self, run_ids: Sequence[str]) -> Sequence[str]:
        """Those of the runs that have a record."""

    @abstractmethod
    def forget(self, run_ids: Sequence[str], base: str | None, reserved: str | None) -> None:
        """Removes records, which generation of `base` is the newest, and the reservation, all or none of them."""
