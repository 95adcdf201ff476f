"""A turn: everything that happens to a run when messages for it arrive.

    load         the history, unless this process holds the execution live
    apply        each fact that is new, and collect the decisions
    commit       facts and decisions as one conditional write
    act          on what was decided: send step tasks and timers, write the record of a run that ended
    acknowledge  the messages (the caller does, when `take` returns)

Turns of one run are taken one at a time, since the queue groups its messages by run; two at once do no harm, because a
commit is written only if it is the next. A crash anywhere leaves the messages unacknowledged, and the turn is taken
again.

A live execution is trusted without a read, since the conditional write finds out if it is stale. So a turn that has
nothing to commit reads the tail of the history before it drops messages or acts again. Whatever goes wrong between
apply and commit discards the live execution, which may be ahead of the history. What may have been committed and not
acted on (messages received before, a lost conditional write, a poke) is acted on again: acts are harmless to repeat.

Code that cannot run (it does not import, has no such workflow, is not deterministic, cannot read the history) blocks
its run and no other: facts are committed as `held`, and applied by the first turn of code that can.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from worldflow.engine.definitions import find_workflow
from worldflow.engine.errors import (
    ConfigurationError,
    ConflictError,
    NonDeterminismError,
    SerializationError,
    WorkflowNotFoundError,
)
from worldflow.engine.execution import Execution
from worldflow.engine.history import (
    AnyDecision,
    AnyFact,
    Applied,
    CancelRequested,
    Event,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStarted,
    StepRetryScheduled,
    StepScheduled,
    TimerFired,
    TimerStarted,
)
from worldflow.engine.state import OpenStep, RunState
from worldflow.runtime.loading import explain_failures
from worldflow.worlds.base import RunRecord, Status, World
from worldflow.worlds.messages import FactArrived, Message, Poke, RunMessage, StepDue, StepTask
from worldflow.worlds.payloads import fetch_event, stash_event

LIVE_LIMIT = 200
"""Live executions that a process keeps, oldest out: some tens of kilobytes each."""

CONFLICT_LIMIT = 5
"""How often a turn that lost its conditional write is taken again before the messages go back to the queue."""

_BLOCKING = (WorkflowNotFoundError, NonDeterminismError, SerializationError, ConfigurationError)

_log = logging.getLogger("worldflow")


@dataclass(slots=True)
class _Run:
    """A run as one turn has it in hand."""

    state: RunState
    execution: Execution | None = None
    blocked: str | None = None
    """Why the workflow's code cannot run."""
    was_read: bool = True
    """Whether the history was read in this turn, and not remembered from one before."""
    new: list[Event] = field(default_factory=list)
    """Events that are not committed yet."""

    def record(self, event: AnyFact | AnyDecision, at: datetime) -> None:
        recorded = event.recorded(self.state.seq + 1, at)
        self.state.record(recorded)
        self.new.append(recorded)


class Turns:
    """Takes turns of runs. May be used from several threads, for different runs at a time."""

    def __init__(self, world: World, *, live_limit: int = LIVE_LIMIT) -> None:
        self._world = world
        self._live: OrderedDict[str, _Run] = OrderedDict()
        self._live_limit = live_limit
        self._lock = threading.Lock()

    def take(self, run_id: str, messages: Sequence[RunMessage], *, redo: bool = False, use_code: bool = True) -> None:
        """Takes the turn that `messages` of a run ask for.

        redo: a message was received before, so that what the history holds may not have been acted on.
        use_code: False takes the turn without the workflow's code, and blocks the run: for messages whose turns die.

        When it returns, the messages may be acknowledged; if it raises, they must come again.
        """
        redo = redo or any(isinstance(message, Poke) for message in messages)
        for _ in range(CONFLICT_LIMIT):
            try:
                self._take(run_id, messages, redo, use_code)
                return
            except ConflictError:
                redo = True
        raise ConflictError(f"run {run_id!r}: {CONFLICT_LIMIT} turns in a row lost their conditional write")

    def close(self) -> None:
        """Lets go of all live executions."""
        with self._lock:
            runs, self._live = list(self._live.values()), OrderedDict()
        for run in runs:
            if run.execution:
                run.execution.dispose()

    def _take(self, run_id: str, messages: Sequence[RunMessage], redo: bool, use_code: bool) -> None:
        run = self._recall(run_id) if use_code else None
        if run is None:
            run = self._load(run_id, use_code)
        try:
            if not self._apply(run, run_id, messages):
                _log.warning("run %s has no record: %d messages dropped", run_id, len(messages))
                return
            if run.new:
                self._world.append(run_id, run.new)
            elif not run.was_read and self._world.load_history(run_id, run.state.seq, commits=1):
                raise ConflictError(f"run {run_id!r}: the live execution is behind its history")
            self._act(run, run_id, messages, redo)
        except BaseException:
            if run.execution:
                run.execution.dispose()
            raise
        self._remember(run_id, run)

    # --- load ---

    def _recall(self, run_id: str) -> _Run | None:
        with self._lock:
            return self._live.pop(run_id, None)

    def _remember(self, run_id: str, run: _Run) -> None:
        if run.execution is None or run.state.ended:
            return
        run.was_read, run.new = False, []
        with self._lock:
            self._live[run_id] = run
            oldest = self._live.popitem(last=False)[1] if len(self._live) > self._live_limit else None
        if oldest and oldest.execution:
            oldest.execution.dispose()

    def _load(self, run_id: str, use_code: bool) -> _Run:
        history = self._world.load_history(run_id)
        run = _Run(RunState(history))
        if not use_code:
            run.blocked = "its turns failed or died each time that they were taken; the log says why"
        elif run.state.started and not run.state.ended:
            self._revive(run, run_id, run.state.started.workflow_name, history)
        return run

    def _revive(self, run: _Run, run_id: str, workflow_name: str, history: Iterable[Event]) -> None:
        """Gives the run a live execution, or the reason why it has none."""
        try:
            execution = Execution(run_id, find_workflow(workflow_name))
            try:
                execution.replay(fetch_event(self._world, event) for event in history)
            except BaseException:
                execution.dispose()
                raise
            run.execution = execution
        except _BLOCKING as error:
            self._block(run, run_id, error)

    def _block(self, run: _Run, run_id: str, error: Exception) -> None:
        because = explain_failures() if isinstance(error, WorkflowNotFoundError) else ""
        summary = error.summary if isinstance(error, WorkflowNotFoundError) else error
        run.blocked = f"{type(error).__name__}: {summary}{because}"
        _log.error("run %s is blocked: %s", run_id, run.blocked)
        if run.execution:
            run.execution.dispose()
            run.execution = None

    # --- apply ---

    def _apply(self, run: _Run, run_id: str, messages: Sequence[RunMessage]) -> bool:
        """Applies what is new to the run. Returns False if there is no such run."""
        now = self._world.now()
        if run.state.started is None:
            record = self._world.get_run(run_id)
            if record is None:
                return False
            if run.blocked is None:
                self._revive(run, run_id, record.workflow_name, ())
            started = RunStarted(
                run_id=run_id, workflow_name=record.workflow_name, created_at=record.created_at, input=record.input
            )
            self._apply_fact(run, run_id, started, now)
        elif run.execution:
            for fact in list(run.state.held.values()):
                if not run.state.ended:
                    self._apply_held(run, run_id, fact, now)
        for message in messages:
            if not isinstance(message, FactArrived):
                continue
            if run.state.accepts(message.fact):
                for fact in (*_timers_before(message.fact, run.state), message.fact):
                    if run.state.accepts(fact):
                        self._apply_fact(run, run_id, fact, now)
            elif run.blocked and not run.state.ended and isinstance(message.fact, CancelRequested):
                # It was asked to cancel, and its code broke while it did.
                run.record(RunCancelled(reason=message.fact.reason), max(now, run.state.at))
        return True

    def _apply_fact(self, run: _Run, run_id: str, fact: AnyFact, now: datetime) -> None:
        at = max(now, run.state.earliest(fact))
        decisions = self._decide(run, run_id, fact, at)
        if decisions is None:
            run.record(fact.model_copy(update={"held": True}), at)
            if isinstance(fact, CancelRequested):
                run.record(RunCancelled(reason=fact.reason), at)
            return
        run.record(fact, at)
        for decision in decisions:
            run.record(decision, at)

    def _apply_held(self, run: _Run, run_id: str, fact: AnyFact, now: datetime) -> None:
        at = max(now, run.state.at)
        decisions = self._decide(run, run_id, fact, at)
        if decisions is not None:
            run.record(Applied(fact_id=fact.fact_id), at)
            for decision in decisions:
                run.record(decision, at)

    def _decide(self, run: _Run, run_id: str, fact: AnyFact, at: datetime) -> list[AnyDecision] | None:
        """What the workflow decides on learning of `fact`, as it is stored; None if its code cannot run."""
        if run.execution is None:
            return None
        try:
            decisions = run.execution.apply(fetch_event(self._world, fact), at)
        except _BLOCKING as error:
            self._block(run, run_id, error)
            return None
        except SystemExit as error:
            self._block(run, run_id, ConfigurationError(f"the workflow's code raised {error!r}"))
            return None
        return [stash_event(self._world, run_id, decision) for decision in decisions]

    # --- act ---

    def _act(self, run: _Run, run_id: str, messages: Sequence[RunMessage], redo: bool) -> None:
        state = run.state
        if not state.ended:
            acts = self._open_acts(run_id, state) if redo else self._new_acts(run_id, run)
            self._send([*acts, *self._due_acts(run_id, state, messages)])
        unblocked = any(isinstance(event, Applied) for event in run.new)
        if state.ended or unblocked or redo or (run.blocked and run.new):
            blocked = run.blocked if state.held else None
            self._world.update_run(run_record(run_id, state, blocked, self._world.now()))

    def _new_acts(self, run_id: str, run: _Run) -> Iterator[_Act]:
        """What the decisions of this turn ask for, unless the turn itself has closed it again."""
        for event in run.new:
            if isinstance(event, StepScheduled):
                step = run.state.steps.get(event.step_id)
                if step and step.attempt == 1:
                    yield None, _task(run_id, step, redo=False)
            elif isinstance(event, StepRetryScheduled):
                if event.step_id in run.state.steps:
                    yield event.due, StepDue(run_id=run_id, step_id=event.step_id, attempt=event.attempt)
            elif isinstance(event, TimerStarted) and event.timer_id in run.state.timers:
                yield event.due, _timer(run_id, event)

    def _open_acts(self, run_id: str, state: RunState) -> Iterator[_Act]:
        """What all open work asks for."""
        now = self._world.now()
        for step_id, step in state.steps.items():
            if step.attempt is None:
                continue
            if step.due and step.due > now:
                yield step.due, StepDue(run_id=run_id, step_id=step_id, attempt=step.attempt)
            else:
                yield None, _task(run_id, step, redo=True)
        for timer in state.timers.values():
            yield timer.due, _timer(run_id, timer)

    def _due_acts(self, run_id: str, state: RunState, messages: Sequence[RunMessage]) -> Iterator[_Act]:
        """The attempts whose time has come. A wake may come twice, so each may have been under way before."""
        for message in messages:
            if isinstance(message, StepDue):
                step = state.steps.get(message.step_id)
                if step and step.attempt == message.attempt:
                    yield None, _task(run_id, step, redo=True)

    def _send(self, acts: Sequence[_Act]) -> None:
        def due(act: _Act) -> float:
            return act[0].timestamp() if act[0] else 0.0

        for _, same_time in groupby(sorted(acts, key=due), key=due):
            batch = list(same_time)
            self._world.send([message for _, message in batch], deliver_at=batch[0][0])


def _timers_before(fact: AnyFact, state: RunState) -> list[TimerFired]:
    """The open timers that were due before the one that fired: asyncio fires them first, and no queue keeps order."""
    if not isinstance(fact, TimerFired):
        return []
    due = state.timers[fact.timer_id].due
    earlier = sorted((timer.due, timer.timer_id) for timer in state.timers.values() if timer.due < due)
    return [TimerFired(timer_id=timer_id) for _, timer_id in earlier]


_Act = tuple[datetime | None, Message]
"""A message, and when it is to be delivered if not at once."""


def _task(run_id: str, step: OpenStep, *, redo: bool) -> StepTask:
    scheduled = step.scheduled
    assert step.attempt is not None
    return StepTask(
        run_id=run_id,
        step_id=scheduled.step_id,
        attempt=step.attempt,
        name=scheduled.name,
        input=scheduled.input,
        redo=redo,
    )


def _timer(run_id: str, timer: TimerStarted) -> FactArrived:
    return FactArrived(run_id=run_id, fact=TimerFired(timer_id=timer.timer_id))


def run_record(run_id: str, state: RunState, blocked: str | None, now: datetime) -> RunRecord:
    """The record of a run as its history tells it."""
    started, ended = state.started, state.ended
    assert started is not None
    status: Status = "running"
    match ended:
        case RunCompleted():
            status = "completed"
        case RunFailed():
            status = "failed"
        case RunCancelled():
            status = "cancelled"
        case None if blocked:
            status = "blocked"
    return RunRecord(
        run_id=run_id,
        workflow_name=started.workflow_name,
        status=status,
        created_at=started.created_at,
        updated_at=now,
        ended_at=ended.at if ended else None,
        seq=state.seq,
        input=started.input,
        result=ended.result if isinstance(ended, RunCompleted) else None,
        error=ended.error if isinstance(ended, RunFailed) else None,
        blocked_reason=blocked if status == "blocked" else None,
    )
