"""Schedules and timers of EventBridge Scheduler, and the messages that wake what is open."""

from __future__ import annotations

import uuid
from collections.abc import Set
from datetime import datetime

from worldflow.runtime import schedules
from worldflow.runtime.reconcile.work import Found, Work
from worldflow.worlds import ledger
from worldflow.worlds.messages import FactArrived, Message, Poke, StepTask
from worldflow.worlds.schedules import get_schedule


class Waiting:
    def __init__(self, work: Work, found: Found, schedule_ids: Set[str]) -> None:
        self._work = work
        self._found = found
        self._schedule_ids = schedule_ids

    def arm(self) -> None:
        for _ in self._work.side_by_side(self._arm, sorted(self._schedule_ids)):
            pass
        for _ in self._work.side_by_side(self._left_over, list(self._work.tables.scheduled())):
            pass

    def wake(self) -> None:
        for _ in self._work.side_by_side(self._wake, self._found.to_wake):
            pass

    def _arm(self, schedule_id: str) -> None:
        record = get_schedule(self._work.world, schedule_id)
        if record is None:
            return
        self._work.done("schedules_armed", schedule_id)
        if not self._work.dry_run:
            schedules.take_up(self._work.world, record)

    def _left_over(self, found: tuple[str, datetime]) -> None:
        name, created_at = found
        kind, _, schedule_id = name.partition("schedule-")
        if not kind and schedule_id:
            if schedule_id in self._schedule_ids or get_schedule(self._work.world, schedule_id):
                return
        elif name in self._found.waits or created_at > self._work.began:
            return
        self._work.done("schedules_deleted", name)
        if not self._work.dry_run:
            self._work.tables.unschedule(name)

    def _wake(self, run: tuple[str, list[tuple[StepTask, bool]]]) -> None:
        """Has a run send again what it waits for, and sends it the outcomes of its steps. They must arrive before
        timeouts that have passed, which the first message brings about.
        """
        run_id, attempts = run
        messages: list[Message] = [Poke(run_id=run_id, reread=True)]
        for task, has_heartbeats in attempts:
            attempt = run_id, task.step_id, task.attempt
            outcome = None if task.ledger is False else ledger.get_outcome(self._work.world, *attempt)
            if outcome and outcome.is_of(task.call):
                self._work.done("outcomes_told", f"{run_id} {task.step_id}/{task.attempt}")
                messages.append(FactArrived(run_id=run_id, fact=outcome.fact, nonce=uuid.uuid4().hex))
            elif has_heartbeats and not self._work.dry_run and ledger.last_beat(self._work.world, *attempt):
                ledger.begin(self._work.world, *attempt)  # so that it is not taken for silent before it is begun again
        self._work.done("woken", run_id)
        if not self._work.dry_run:
            self._work.world.send(messages)
