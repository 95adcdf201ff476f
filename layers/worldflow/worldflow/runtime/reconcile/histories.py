"""Runs with a history: their records, their archives, and the steps, hooks and timers that they have open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from worldflow.engine.errors import ConflictError
from worldflow.engine.history import ChildStarted, Event, RunContinued, RunRestored, RunStarted
from worldflow.engine.history.state import RunState
from worldflow.runtime.reconcile.work import FoundRun, Work, is_whole
from worldflow.turns.acts import Acts
from worldflow.worlds import ledger
from worldflow.worlds.archives import load_archive
from worldflow.worlds.records import RunRecord, run_record

_TRIES = 3
"""How often a history is read again to which another process has appended."""


class Histories:
    def __init__(self, work: Work) -> None:
        self._work = work

    def reconcile(self, found: tuple[str, list[dict[str, Any]]]) -> FoundRun:
        run_id, commits = found
        record = self._work.world.get_run(run_id)  # before the history, so that it is not ahead of it by itself
        events = self._work.tables.events(commits)
        for _ in range(_TRIES):
            if events is None or not is_whole(events) or (record and record.seq > events[-1].seq):
                events = self._work.tables.load(run_id)
            try:
                return self._reconciled(run_id, record, events)
            except ConflictError:
                events = None
        raise ConflictError(f"run {run_id!r} is not at rest: its history is being appended to")

    def _reconciled(self, run_id: str, record: RunRecord | None, events: list[Event] | None) -> FoundRun:
        state = RunState(events) if events and is_whole(events) else None
        if record and record.archived_at and self._work.world.archive.get(run_id):
            return FoundRun(run_id)  # the caretaker continues its archiving
        if state is None or not state.ended:
            if archived := self.archived(run_id, record, events if state else None):
                self._work.done("from_archive", run_id)
                if not self._work.dry_run:
                    self._work.tables.rewrite(run_id, events if state else None, archived)
                events, state = archived, RunState(archived)
            elif state is None:
                self._work.done("damaged", run_id)
                return FoundRun(run_id)
        assert events
        return self.of_history(run_id, record, events, state)

    def of_history(self, run_id: str, record: RunRecord | None, events: Sequence[Event], state: RunState) -> FoundRun:
        with self._work.lock:
            self._work.report.runs += 1
        self._put_right(run_id, record, state)
        run = FoundRun(run_id, asked_for=[event.child_run_id for event in events if isinstance(event, ChildStarted)])
        if state.ended:
            run.children = list(state.children.values())
            if isinstance(state.ended, RunContinued):
                run.continued_as = state.ended.next_run_id
            return run
        run.is_open = True
        self._work.done("open_runs", run_id)
        self._interrupt(run_id, state)
        if state.restored is None or state.restored < self._work.began:
            self._work.done("marked", run_id)
            if not self._work.dry_run:
                restored = RunRestored().recorded(state.seq + 1, max(self._work.world.now(), state.at))
                self._work.world.append(run_id, [restored])
        run.hooks = list(state.hooks.values())
        acts = Acts(self._work.world, run_id, state)
        for step in state.steps.values():
            if step.attempt is not None:
                run.attempts.append((acts.task(step), bool(step.scheduled.heartbeat_timeout)))
        run.waits = [self._work.tables.name(delayed) for delayed in acts.waits()]
        return run

    def archived(self, run_id: str, record: RunRecord | None, known: list[Event] | None) -> list[Event] | None:
        """The history that the archive has of this very run, and not of one that had its id."""
        data = self._work.world.archive.get(run_id)
        if data is None:
            return None
        archived, events = load_archive(data)
        if known:
            started = known[0]
            is_same = isinstance(started, RunStarted) and started.created_at == archived.created_at
            if not is_same or len(known) > len(events) or events[len(known) - 1] != known[-1]:
                return None  # it is another run's, or this one has gone on differently since it was restored
        elif record and record.created_at != archived.created_at:
            return None
        return events

    def _put_right(self, run_id: str, record: RunRecord | None, state: RunState) -> None:
        """The record of a run that has a history."""
        right = run_record(run_id, state, None, self._work.world.now())
        if record is None:
            self._work.done("records_written", run_id)
            if not self._work.dry_run:
                self._work.world.create_run(right)
        elif record.archived_at or record.seq > state.seq or _told(record, state) != _told(right, state):
            self._work.done("records_written", run_id)
            if not self._work.dry_run:
                self._work.tables.replace(right, record)

    def _interrupt(self, run_id: str, state: RunState) -> None:
        """Says of attempts that are to run at most once, and may have begun, that they have."""
        for step in state.steps.values():
            scheduled, attempt = step.scheduled, step.attempt
            if attempt is None or not scheduled.at_most_once or step.dispatched > self._work.began:
                continue
            if scheduled.inline and step.due is None:
                continue  # its scheduling says so
            call = run_id, scheduled.step_id, attempt
            if not self._work.tables.is_claimed(*call):
                self._work.done("interrupted", f"{run_id} {scheduled.step_id}/{attempt}")
                if not self._work.dry_run:
                    ledger.claim(self._work.world, *call)


def _told(record: RunRecord, state: RunState) -> dict[str, Any]:
    """What a record must have of the history. While a run is open it may be behind, and may say that it is blocked."""
    kept = {"updated_at", "carried", "seen", "replaces", "restored", "newest_run_id", "blocked_reason"}
    if state.ended:
        return record.model_dump(exclude=kept)
    status = "running" if record.status in ("blocked", "paused") else record.status
    behind = {"seq", "version", "attributes", "status_text", "usage", "paused"}
    return {**record.model_dump(exclude=kept | behind), "status": status}
