"""Runs without a history: they begin anew, or are removed where the run that asks for them will do so again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from worldflow.engine.errors import InvalidInputError
from worldflow.engine.history.forking import forked
from worldflow.engine.history.state import RunState
from worldflow.engine.ids import generation, generation_id
from worldflow.runtime.reconcile.histories import Histories
from worldflow.runtime.reconcile.work import Found, Work
from worldflow.turns.acts import following_record
from worldflow.turns.beginning import edits_of
from worldflow.worlds import reading
from worldflow.worlds.records import RunRecord

_log = logging.getLogger("worldflow")

_UNBEGUN: dict[str, Any] = {
    "status": "running",
    "seq": 0,
    "restored": True,
    "attributes": {},
    **dict.fromkeys(("ended_at", "result", "error", "blocked_reason", "status_text", "reason", "next_run_id", "usage")),
}
"""What a record says of a run that has not begun."""


class Unbegun:
    def __init__(self, work: Work, found: Found, histories: Histories) -> None:
        self._work = work
        self._found = found
        self._histories = histories

    def reconcile(self, records: Sequence[RunRecord]) -> None:
        lost = {record.run_id for record in records}
        for record in sorted(records, key=lambda record: generation(record.run_id)):
            try:
                self._begin_anew(record, lost)
            except Exception:
                _log.exception("run %s could not be reconciled", record.run_id)
                self._work.done("failed", record.run_id)

    def _begin_anew(self, record: RunRecord, lost: set[str]) -> None:
        run_id = record.run_id
        if record.archived_at:
            return  # the caretaker continues its archiving
        if self._work.tables.load(run_id):
            return  # it has begun meanwhile
        if archived := self._histories.archived(run_id, record, None):
            self._work.done("from_archive", run_id)
            if not self._work.dry_run:
                self._work.tables.rewrite(run_id, [], archived)
            self._found.note(self._histories.of_history(run_id, record, archived, RunState(archived)))
            return
        if not self._is_asked_for(record, lost):
            self._found.records.discard(run_id)
            self._work.done("records_removed", run_id)
            if not self._work.dry_run:
                self._work.tables.remove(record)
            return
        self._work.done("begun_anew", run_id)
        self._found.to_wake.append((run_id, []))
        if not record.restored and not self._work.dry_run:
            self._work.tables.replace(self._at_first(record), record)

    def _is_asked_for(self, record: RunRecord, lost: set[str]) -> bool:
        """Whether a run without a history is still wanted. A child or a generation that was started by lost events is
        not: the run that it comes from starts it again.
        """
        base, number = generation(record.run_id)
        if record.fork_of and record.fork_of.after is not None:
            history = reading.find_history(self._work.world, record.fork_of.run_id) or []
            try:
                forked(history, record.run_id, record.fork_of.after, edits_of(self._work.world, record.fork_of))
            except InvalidInputError:
                return False
        if number > 1:
            before = generation_id(base, number - 1)
            if record.replaces == before:
                return True
            return before not in self._found.open and before not in lost
        if record.parent:
            parent = record.parent.run_id
            if parent in self._found.seen:
                return record.run_id in self._found.asked_for
            return parent not in lost
        return True

    def _at_first(self, record: RunRecord) -> RunRecord:
        """The record as it was before the run began."""
        run_id = record.run_id
        if before := self._found.continued.get(run_id):
            state = RunState(self._work.world.load_history(before))
            following = following_record(self._work.world, state)
            return following.model_copy(update={"created_at": record.created_at, "restored": True})
        if record.seq == 0:
            return record.model_copy(update={"restored": True})
        return record.model_copy(update={**_UNBEGUN, "updated_at": self._work.world.now()})
