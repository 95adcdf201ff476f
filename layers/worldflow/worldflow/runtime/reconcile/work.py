"""What all parts of a pass share: what it works on, what it reports, and what it has found of the runs so far."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from worldflow.engine.history import Event, HookCreated
from worldflow.engine.history.state import OpenChild
from worldflow.worlds.aws.restored import AWSRestored
from worldflow.worlds.base import World
from worldflow.worlds.messages import StepTask

_log = logging.getLogger("worldflow")

T = TypeVar("T")

Tell = Callable[[str, str], None]
"""Called with what is done, and with the id of the run, hook or schedule that it is done to."""


@dataclass(slots=True)
class ReconcileReport:
    """How often each thing was done; of a dry run, how often it would be."""

    runs: int = 0
    open_runs: int = 0
    records_written: int = 0
    records_removed: int = 0
    begun_anew: int = 0
    """Runs without a history."""
    from_archive: int = 0
    """Runs whose history is that of the archive again."""
    marked: int = 0
    """Open runs that got a `RunRestored`."""
    interrupted: int = 0
    """Attempts of steps that run at most once, and are taken for begun."""
    wanted_again: int = 0
    """Attempts that the lost future did not want any more."""
    generations: int = 0
    hooks_released: int = 0
    hooks_held: int = 0
    requests_forgotten: int = 0
    schedules_armed: int = 0
    schedules_deleted: int = 0
    """Of EventBridge Scheduler: timers and schedules that nobody knows of."""
    outcomes_told: int = 0
    woken: int = 0
    damaged: int = 0
    """Histories with a gap, or of which a part is gone: nothing was done to them."""
    failed: int = 0
    """Runs and items that could not be dealt with; the log says why."""


@dataclass(slots=True)
class FoundRun:
    """What is to be known of a run that has a history, after it was dealt with."""

    run_id: str
    is_open: bool = False
    hooks: list[HookCreated] = field(default_factory=list)
    attempts: list[tuple[StepTask, bool]] = field(default_factory=list)
    """The tasks of open attempts, and whether they send heartbeats."""
    waits: list[str] = field(default_factory=list)
    """The names of the schedules that bring what it waits for."""
    asked_for: list[str] = field(default_factory=list)
    """The children that it has started."""
    children: list[OpenChild] = field(default_factory=list)
    """Of a run that has ended: those that had not."""
    continued_as: str | None = None


class Found:
    """What the histories say, of all runs together."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        """Runs with a history."""
        self.records: set[str] = set()
        """Runs with a record."""
        self.open: set[str] = set()
        self.asked_for: set[str] = set()
        self.continued: dict[str, str] = {}
        """The runs that should follow others, and those."""
        self.hooks: dict[str, list[tuple[datetime, str, HookCreated]]] = {}
        """Who holds each token, as the histories say."""
        self.waits: set[str] = set()
        self.left_behind: list[tuple[str, list[OpenChild]]] = []
        """Runs that have ended, and children of theirs that had not."""
        self.to_wake: list[tuple[str, list[tuple[StepTask, bool]]]] = []

    def note(self, run: FoundRun) -> None:
        self.seen.add(run.run_id)
        self.asked_for.update(run.asked_for)
        if run.continued_as:
            self.continued[run.continued_as] = run.run_id
        if run.children:
            self.left_behind.append((run.run_id, run.children))
        if run.is_open:
            self.open.add(run.run_id)
            self.waits.update(run.waits)
            self.to_wake.append((run.run_id, run.attempts))
            for hook in run.hooks:
                self.hooks.setdefault(hook.token, []).append((hook.at, run.run_id, hook))


class Work:
    """What a pass works on, and how."""

    def __init__(
        self, world: World, tables: AWSRestored, threads: ThreadPoolExecutor, ahead: int, dry_run: bool, tell: Tell
    ) -> None:
        """
        ahead: how many items are read before the first of them is dealt with.
        """
        self.world, self.tables, self.dry_run = world, tables, dry_run
        self._threads, self._ahead, self._tell = threads, ahead, tell
        self.lock = threading.Lock()
        self.report = ReconcileReport()
        self.began = tables.began() or world.now()
        """What happened before is of the past that was restored, or of the future that was lost."""

    def done(self, what: str, id: str, count: int = 1) -> None:
        with self.lock:
            setattr(self.report, what, getattr(self.report, what) + count)
        self._tell(what, id)

    def side_by_side(self, work: Callable[[Any], T | None], items: Iterable[Any]) -> Iterable[T]:
        """What comes of items, of which no more than some are read ahead. One that fails stops no other."""
        pending: deque[Future[T | None]] = deque()

        def dealt_with(item: Any) -> T | None:
            try:
                return work(item)
            except Exception:
                _log.exception("%s could not be reconciled", _id(item))
                self.done("failed", _id(item))
                return None

        for item in items:
            pending.append(self._threads.submit(dealt_with, item))
            if len(pending) > self._ahead and (result := pending.popleft().result()) is not None:
                yield result
        while pending:
            if (result := pending.popleft().result()) is not None:
                yield result


def _id(item: Any) -> str:
    """What an item of work is about."""
    match item:
        case {"run_id": id} | (id, *_) | id:
            return str(id)


def is_whole(events: Sequence[Event]) -> bool:
    """Whether a history begins at its beginning and has no gap."""
    return bool(events) and all(event.seq == seq for seq, event in enumerate(events, start=1))
