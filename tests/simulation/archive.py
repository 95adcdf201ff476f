"""The archive of the simulated world: what S3 and DynamoDB do for it, each request of which may fail."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from worldflow.worlds.archives import Archive, Attempt
from worldflow.worlds.items import generation_key
from worldflow.worlds.ledger import keys_of
from worldflow.worlds.records import RunRecord

if TYPE_CHECKING:
    from tests.simulation.world import Commit, SimWorld


class SimArchive(Archive):
    """Uses the requests of its world."""

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self._store = world.store

    def get(self, run_id: str) -> bytes | None:
        return self._world.read("archive.get", run_id, lambda: self._store.archives.get(run_id))

    def put(self, run_id: str, data: bytes, *, replace: bool = False, keep_as: str | None = None) -> bool:
        def copy() -> None:
            self._store.archives[f"{run_id}/{keep_as}"] = self._store.archives[run_id]

        if keep_as:
            self._world.write("archive.keep", run_id, copy)

        def put() -> bool:
            if run_id in self._store.archives and not replace:
                return False
            self._store.archives[run_id] = data
            return True

        return self._world.write("archive.put", run_id, put)

    def seal(self, records: Sequence[RunRecord], reserved: str | None, absent: str | None = None) -> bool:
        store = self._store

        def seal() -> bool:
            if reserved and (reserved in store.records or reserved in store.reserved):
                return False
            if absent and absent in store.items:
                return False
            for record in records:
                if record.run_id in store.sealed or store.records.get(record.run_id, (-1,))[0] != record.seq:
                    return False
            for record in records:
                store.records[record.run_id] = record.seq, record.model_dump_json(exclude_none=True)
                store.sealed.add(record.run_id)
            store.reserved.update({reserved} if reserved else ())
            return True

        return self._world.write("archive.seal", records[0].run_id, seal)

    def clear(self, run_id: str, attempts: Sequence[Attempt]) -> None:
        keys = list(keys_of(run_id, attempts))

        def clear_ledger() -> None:
            for key in keys:
                self._store.items.pop(key, None)

        self._world.write("archive.clear the ledger", run_id, clear_ledger)
        commits = self._store.commits.get(run_id, [])
        while commits:  # a batch after the other
            self._world.write("archive.clear the history", run_id, partial(_take_two, commits))
        self._store.commits.pop(run_id, None)

    def remaining(self, run_ids: Sequence[str]) -> Sequence[str]:
        return self._world.read("archive.remaining", "", lambda: [id for id in run_ids if id in self._store.records])

    def forget(self, run_ids: Sequence[str], base: str | None, reserved: str | None) -> None:
        store = self._store

        def forget() -> None:
            for run_id in run_ids:
                store.records.pop(run_id, None)
                store.sealed.discard(run_id)
            store.items.pop(generation_key(base or ""), None)
            store.reserved.discard(reserved or "")

        self._world.write("archive.forget", run_ids[0], forget)


def _take_two(commits: list[Commit]) -> None:
    del commits[:2]
