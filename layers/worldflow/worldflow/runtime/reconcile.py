"""After the tables were restored to a point in time: makes all that is beside the histories agree with them again.

The two tables are not restored to one consistent point, what was in the queues is of a future that is gone, and
EventBridge Scheduler was not restored at all. **The histories are the truth.** A pass reads both tables whole and, run
by run, writes what they say:

    records       one that is ahead of its history, behind it, or missing is made of the history. One without a history
                  begins anew; but a child or a generation that no history asks for is removed, since the run that asks
                  for it will do so again
    archives      a run that was archived after the point in time has its whole history in the archive, and gets it back
    steps         open attempts with an outcome in the ledger get it, and are not run again. An attempt of a step
                  that runs at most once and may have begun is taken for begun. Each open run gets a `RunRestored`, by
                  which the steps that it schedules from now on are looked up in the ledger before they run
    hooks         a token is held by the run whose history holds it
    generations   the newest is the newest that there is
    schedules     those of records are armed again. Others are deleted, as are timers that no history waits for: they
                  would fire into timers of the same ids, which the runs start again, and too early
    requests      idempotency records are forgotten: what they say was accepted may be lost, and may be sent again
    messages      each open run is poked, and sends again what it waits for

Each of these is harmless to repeat: who dies midway begins again. What runs do meanwhile is not undone, since each
write has the condition that what it replaces is what was read before the history was; but the pass is meant for a time
at which nothing runs.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from worldflow.engine.errors import ConflictError, InvalidInputError
from worldflow.engine.history import (
    ChildStarted,
    Event,
    HookCreated,
    RunContinued,
    RunRestored,
    RunStarted,
    StepScheduled,
)
from worldflow.engine.history.forking import forked
from worldflow.engine.history.state import OpenChild, RunState
from worldflow.engine.ids import generation, generation_id
from worldflow.runtime import schedules
from worldflow.turns.acts import Acts, following_record
from worldflow.worlds import items, ledger, reading
from worldflow.worlds.archives import Attempt, load_archive
from worldflow.worlds.aws.restored import AWSRestored
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived, Message, Poke, StepTask
from worldflow.worlds.records import HookRecord, RunRecord, run_record
from worldflow.worlds.schedules import get_schedule

CONCURRENCY = 8
"""Runs that are reconciled side by side."""

_TRIES = 3
"""How often a history is read again to which another process has appended."""

_log = logging.getLogger("worldflow")

_UNBEGUN: dict[str, Any] = {
    "status": "running",
    "seq": 0,
    "restored": True,
    "attributes": {},
    **dict.fromkeys(("ended_at", "result", "error", "blocked_reason", "status_text", "reason", "next_run_id")),
}
"""What a record says of a run that has not begun."""

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
class _Run:
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


def reconcile(
    world: World,
    tables: AWSRestored,
    *,
    dry_run: bool = False,
    concurrency: int = CONCURRENCY,
    tell: Tell = lambda what, id: None,
) -> ReconcileReport:
    """Makes records, hooks, schedules, timers and messages agree with the histories. Harmless to repeat.

    dry_run: nothing is written or sent; the report says what would be.
    concurrency: how many runs are dealt with side by side.
    tell: called for each thing that is done, from several threads.
    """
    with ThreadPoolExecutor(concurrency, "worldflow-reconcile") as threads:
        return _Pass(world, tables, threads, concurrency, dry_run, tell).go()


class _Pass:
    def __init__(
        self,
        world: World,
        tables: AWSRestored,
        threads: ThreadPoolExecutor,
        concurrency: int,
        dry_run: bool,
        tell: Tell,
    ) -> None:
        self._world, self._tables, self._dry_run, self._tell = world, tables, dry_run, tell
        self._threads, self._ahead = threads, 4 * concurrency
        self._lock = threading.Lock()
        self.report = ReconcileReport()
        self.began = tables.began() or world.now()
        """What happened before is of the past that was restored, or of the future that was lost."""
        self.seen: set[str] = set()
        """Runs with a history."""
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

    def go(self) -> ReconcileReport:
        if not self._dry_run:
            self._tables.begin(self.began)
        for run in self._side_by_side(self._history, self._tables.histories()):
            self._note(run)
        self._rest_of_the_table()
        self._schedules()
        for _ in self._side_by_side(self._wake, self.to_wake):
            pass
        return self.report

    def _done(self, what: str, id: str, count: int = 1) -> None:
        with self._lock:
            setattr(self.report, what, getattr(self.report, what) + count)
        self._tell(what, id)

    def _side_by_side(self, work: Callable[[Any], T | None], items: Iterable[Any]) -> Iterable[T]:
        """What comes of items, of which no more than some are read ahead. One that fails stops no other."""
        pending: deque[Future[T | None]] = deque()

        def dealt_with(item: Any) -> T | None:
            try:
                return work(item)
            except Exception:
                _log.exception("%s could not be reconciled", _id(item))
                self._done("failed", _id(item))
                return None

        for item in items:
            pending.append(self._threads.submit(dealt_with, item))
            if len(pending) > self._ahead and (result := pending.popleft().result()) is not None:
                yield result
        while pending:
            if (result := pending.popleft().result()) is not None:
                yield result

    # --- runs with a history ---

    def _history(self, found: tuple[str, list[dict[str, Any]]]) -> _Run:
        run_id, commits = found
        record = self._world.get_run(run_id)  # before the history, so that it is not ahead of it by itself
        events = self._tables.events(commits)
        for _ in range(_TRIES):
            if events is None or not _is_whole(events) or (record and record.seq > events[-1].seq):
                events = self._tables.load(run_id)
            try:
                return self._reconciled(run_id, record, events)
            except ConflictError:
                events = None
        raise ConflictError(f"run {run_id!r} goes on meanwhile: its history is appended to")

    def _reconciled(self, run_id: str, record: RunRecord | None, events: list[Event] | None) -> _Run:
        state = RunState(events) if events and _is_whole(events) else None
        if record and record.archived_at and self._world.archive.get(run_id):
            return _Run(run_id)  # the caretaker goes on with it
        if state is None or not state.ended:
            if archived := self._archived(run_id, record, events if state else None):
                self._done("from_archive", run_id)
                if not self._dry_run:
                    self._tables.rewrite(run_id, events if state else None, archived)
                events, state = archived, RunState(archived)
            elif state is None:
                self._done("damaged", run_id)
                return _Run(run_id)
        assert events
        return self._of_history(run_id, record, events, state)

    def _of_history(self, run_id: str, record: RunRecord | None, events: Sequence[Event], state: RunState) -> _Run:
        with self._lock:
            self.report.runs += 1
        self._put_right(run_id, record, state)
        run = _Run(run_id, asked_for=[event.child_run_id for event in events if isinstance(event, ChildStarted)])
        if state.ended:
            run.children = list(state.children.values())
            if isinstance(state.ended, RunContinued):
                run.continued_as = state.ended.next_run_id
            return run
        run.is_open = True
        self._done("open_runs", run_id)
        self._interrupt(run_id, state)
        if state.restored is None or state.restored < self.began:
            self._done("marked", run_id)
            if not self._dry_run:
                restored = RunRestored().recorded(state.seq + 1, max(self._world.now(), state.at))
                self._world.append(run_id, [restored])
        run.hooks = list(state.hooks.values())
        acts = Acts(self._world, run_id, state)
        for step in state.steps.values():
            if step.attempt is not None:
                run.attempts.append((acts.task(step), bool(step.scheduled.heartbeat_timeout)))
        run.waits = [self._tables.name(delayed) for delayed in acts.waits()]
        return run

    def _archived(self, run_id: str, record: RunRecord | None, known: list[Event] | None) -> list[Event] | None:
        """The history that the archive has of this very run, and not of one that had its id."""
        data = self._world.archive.get(run_id)
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
        right = run_record(run_id, state, None, self._world.now())
        if record is None:
            self._done("records_written", run_id)
            if not self._dry_run:
                self._world.create_run(right)
        elif record.archived_at or record.seq > state.seq or _told(record, state) != _told(right, state):
            self._done("records_written", run_id)
            if not self._dry_run:
                self._tables.replace(right, record)

    def _interrupt(self, run_id: str, state: RunState) -> None:
        """Says of attempts that are to run at most once, and may have begun, that they have."""
        for step in state.steps.values():
            scheduled, attempt = step.scheduled, step.attempt
            if attempt is None or not scheduled.at_most_once or step.dispatched > self.began:
                continue
            if scheduled.inline and step.due is None:
                continue  # its scheduling says so
            call = run_id, scheduled.step_id, attempt
            if not self._tables.is_claimed(*call):
                self._done("interrupted", f"{run_id} {scheduled.step_id}/{attempt}")
                if not self._dry_run:
                    ledger.claim(self._world, *call)

    def _note(self, run: _Run) -> None:
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

    # --- what else is in the table of runs ---

    def _rest_of_the_table(self) -> None:
        self._lost: list[RunRecord] = []
        self._records: set[str] = set()
        self._generations: dict[str, int] = {}
        self._schedule_ids: set[str] = set()
        self._held: set[str] = set()
        for _ in self._side_by_side(self._item, self._tables.items()):
            pass
        self._without_history()
        self._followers()
        self._left_behind()
        self._newest()
        for token, holders in self.hooks.items():
            if token not in self._held:
                _, run_id, hook = min(holders, key=lambda holder: holder[:2])
                self._done("hooks_held", token)
                if not self._dry_run:
                    items.put_hook(self._world, _hook_record(run_id, hook))

    def _item(self, item: dict[str, Any]) -> None:
        kind, _, rest = str(item["run_id"]).partition("#")
        if not rest:
            self._record(item)
        elif kind == "generation":
            with self._lock:
                self._generations[rest] = item["number"]
        elif kind == "hook":
            self._hook(HookRecord.model_validate_json(item["hook"]))
        elif kind == "schedule":
            with self._lock:
                self._schedule_ids.add(rest)
        elif kind == "step" and "abandoned" in item:
            self._abandoned(rest)
        elif kind == "idempotency":
            self._done("requests_forgotten", item["run_id"])
            if not self._dry_run:
                self._tables.forget(item["run_id"])

    def _record(self, item: dict[str, Any]) -> None:
        run_id = item["run_id"]
        if "record" in item:
            record = RunRecord.model_validate_json(item["record"])
            with self._lock:
                self._records.add(run_id)
                if run_id not in self.seen:
                    self._lost.append(record)
        elif "reserved" in item and not self._is_being_archived(run_id):
            self._done("records_removed", run_id)
            if not self._dry_run:
                self._tables.forget(run_id)

    def _is_being_archived(self, reserved: str) -> bool:
        base, number = generation(reserved)
        before = self._world.get_run(generation_id(base, number - 1))
        return before is not None and before.archived_at is not None

    def _hook(self, hook: HookRecord) -> None:
        if hook.run_id in {run_id for _, run_id, _ in self.hooks.get(hook.token, ())} or self._holds(hook):
            with self._lock:
                self._held.add(hook.token)
            return
        self._done("hooks_released", hook.token)
        if not self._dry_run:
            items.delete_hook(self._world, hook.token, hook.run_id)

    def _holds(self, hook: HookRecord) -> bool:
        """Whether a run holds a token by now."""
        events = self._tables.load(hook.run_id) if hook.run_id in self.open or hook.run_id not in self.seen else None
        if not events or not _is_whole(events):
            return False
        state = RunState(events)
        return state.ended is None and any(held.token == hook.token for held in state.hooks.values())

    def _abandoned(self, key: str) -> None:
        """An attempt that is not wanted any more, as the ledger says."""
        run_id, step_id, number, _ = key.split("#")
        events = self._tables.load(run_id) if run_id in self.open else []
        if events and _is_whole(events):
            step = RunState(events).steps.get(step_id)
            is_open = step is not None and step.attempt == int(number)
            is_known = any(isinstance(event, StepScheduled) and event.step_id == step_id for event in events)
            if is_known and not is_open:
                return
        elif run_id in self.seen:
            return
        self._done("wanted_again", f"{run_id} {step_id}/{number}")
        if not self._dry_run:
            self._tables.want_again(run_id, Attempt(step_id, int(number)))

    # --- runs without a history ---

    def _without_history(self) -> None:
        lost = {record.run_id for record in self._lost}
        for record in sorted(self._lost, key=lambda record: generation(record.run_id)):
            try:
                self._begin_anew(record, lost)
            except Exception:
                _log.exception("run %s could not be reconciled", record.run_id)
                self._done("failed", record.run_id)

    def _begin_anew(self, record: RunRecord, lost: set[str]) -> None:
        run_id = record.run_id
        if record.archived_at:
            return  # the caretaker goes on with it
        if self._tables.load(run_id):
            return  # it has begun meanwhile
        if archived := self._archived(run_id, record, None):
            self._done("from_archive", run_id)
            if not self._dry_run:
                self._tables.rewrite(run_id, [], archived)
            self._note(self._of_history(run_id, record, archived, RunState(archived)))
            return
        if not self._is_asked_for(record, lost):
            self._records.discard(run_id)
            self._done("records_removed", run_id)
            if not self._dry_run:
                self._tables.remove(record)
            return
        self._done("begun_anew", run_id)
        self.to_wake.append((run_id, []))
        if not record.restored and not self._dry_run:
            self._tables.replace(self._at_first(record), record)

    def _is_asked_for(self, record: RunRecord, lost: set[str]) -> bool:
        """Whether a run without a history is one that somebody waits for: a child or a generation that comes from what
        the histories have lost is asked for again by the run that it comes from.
        """
        base, number = generation(record.run_id)
        if record.fork_of and record.fork_of.after is not None:
            try:
                forked(
                    reading.find_history(self._world, record.fork_of.run_id) or [], record.run_id, record.fork_of.after
                )
            except InvalidInputError:
                return False
        if number > 1:
            before = generation_id(base, number - 1)
            if record.replaces == before:
                return True
            return before not in self.open and before not in lost
        if record.parent:
            parent = record.parent.run_id
            if parent in self.seen:
                return record.run_id in self.asked_for
            return parent not in lost
        return True

    def _at_first(self, record: RunRecord) -> RunRecord:
        """The record as it was before the run began."""
        run_id = record.run_id
        if before := self.continued.get(run_id):
            state = RunState(self._world.load_history(before))
            following = following_record(self._world, state)
            return following.model_copy(update={"created_at": record.created_at, "restored": True})
        if record.seq == 0:
            return record.model_copy(update={"restored": True})
        return record.model_copy(update={**_UNBEGUN, "updated_at": self._world.now()})

    # --- what follows from runs that have ended ---

    def _followers(self) -> None:
        """The generations that should follow others."""
        for run_id, before in self.continued.items():
            if run_id in self.seen or run_id in self._records or self._world.archive.get(run_id):
                continue
            self._done("begun_anew", run_id)
            self._records.add(run_id)
            self.to_wake.append((run_id, []))
            if not self._dry_run:
                record = following_record(self._world, RunState(self._world.load_history(before)))
                self._world.create_run(record.model_copy(update={"restored": True}))

    def _left_behind(self) -> None:
        """Ends again the runs that have ended, where children of theirs were not told, or not started."""
        going = {generation(run_id)[0] for run_id in (*self.open, *(run_id for run_id, _ in self.to_wake))}
        for run_id, children in self.left_behind:
            if any(self._waits_for_its_parent(child, going) for child in children):
                self.to_wake.append((run_id, []))

    def _waits_for_its_parent(self, child: OpenChild, going: set[str]) -> bool:
        child_run_id = child.started.child_run_id
        if generation(child_run_id)[0] in going:
            return child.cancel_requested or child.started.parent_close != "abandon"
        if child_run_id in self.seen or child_run_id in self._records or child.cancel_requested:
            return False
        return child.started.parent_close == "abandon" and self._world.archive.get(child_run_id) is None

    def _newest(self) -> None:
        """Which generation of each run is the newest."""
        newest: dict[str, int] = {}
        for run_id in self.seen | self._records:
            base, number = generation(run_id)
            newest[base] = max(number, newest.get(base, 1))
        for base in {*self._generations, *(base for base, number in newest.items() if number > 1)}:
            number, before = newest.get(base, 1), self._generations.get(base)
            if number != before:
                self._done("generations", generation_id(base, number))
                if not self._dry_run:
                    self._tables.set_generation(base, number, before)

    # --- schedules ---

    def _schedules(self) -> None:
        for _ in self._side_by_side(self._arm, sorted(self._schedule_ids)):
            pass
        for _ in self._side_by_side(self._left_over, list(self._tables.scheduled())):
            pass

    def _arm(self, schedule_id: str) -> None:
        record = get_schedule(self._world, schedule_id)
        if record is None:
            return
        self._done("schedules_armed", schedule_id)
        if not self._dry_run:
            schedules.take_up(self._world, record)

    def _left_over(self, found: tuple[str, datetime]) -> None:
        name, created_at = found
        kind, _, schedule_id = name.partition("schedule-")
        if not kind and schedule_id:
            if schedule_id in self._schedule_ids or get_schedule(self._world, schedule_id):
                return
        elif name in self.waits or created_at > self.began:
            return
        self._done("schedules_deleted", name)
        if not self._dry_run:
            self._tables.unschedule(name)

    # --- messages ---

    def _wake(self, run: tuple[str, list[tuple[StepTask, bool]]]) -> None:
        """Has a run send again what it waits for, and tells it what came of its steps: before it can hear of timeouts
        that have passed, which come in answer to the first message.
        """
        run_id, attempts = run
        messages: list[Message] = [Poke(run_id=run_id, reread=True)]
        for task, has_heartbeats in attempts:
            attempt = run_id, task.step_id, task.attempt
            outcome = None if task.ledger is False else ledger.get_outcome(self._world, *attempt)
            if outcome and outcome.is_of(task.call):
                self._done("outcomes_told", f"{run_id} {task.step_id}/{task.attempt}")
                messages.append(FactArrived(run_id=run_id, fact=outcome.fact, nonce=uuid.uuid4().hex))
            elif has_heartbeats and not self._dry_run and ledger.last_beat(self._world, *attempt):
                ledger.begin(self._world, *attempt)  # so that it is not taken for silent before it is begun again
        self._done("woken", run_id)
        if not self._dry_run:
            self._world.send(messages)


def _id(item: Any) -> str:
    """What an item of work is about."""
    match item:
        case {"run_id": id} | (id, *_) | id:
            return str(id)


def _is_whole(events: Sequence[Event]) -> bool:
    """Whether a history begins at its beginning and has no gap."""
    return bool(events) and all(event.seq == seq for seq, event in enumerate(events, start=1))


def _told(record: RunRecord, state: RunState) -> dict[str, Any]:
    """What a record must have of the history. While a run is open it may be behind, and may say that it is blocked."""
    kept = {"updated_at", "carried", "seen", "replaces", "restored", "newest_run_id", "blocked_reason"}
    if state.ended:
        return record.model_dump(exclude=kept)
    status = "running" if record.status == "blocked" else record.status
    behind = {"seq", "version", "attributes", "status_text"}
    return {**record.model_dump(exclude=kept | behind), "status": status}


def _hook_record(run_id: str, hook: HookCreated) -> HookRecord:
    return HookRecord(
        token=hook.token,
        run_id=run_id,
        hook_id=hook.hook_id,
        metadata=hook.metadata,
        webhook=hook.webhook,
        answers=hook.answers,
    )
