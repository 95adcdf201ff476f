"""A turn: everything that happens to a run when messages for it arrive.

    load         the history, unless this process holds the execution live
    apply        each fact that is new, and collect the decisions
    commit       facts and decisions as one conditional write
    act          on what was decided: see `acts.py`
    inline       steps are run here and now, and what comes of them is applied, committed and acted on in turn
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
import random
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from worldflow.engine.definitions import find_workflow, oldest_version
from worldflow.engine.errors import (
    ConfigurationError,
    ConflictError,
    HistoryLimitError,
    NonDeterminismError,
    SerializationError,
    StepCrashedError,
    StepInterruptedError,
    WorkflowNotFoundError,
)
from worldflow.engine.execution import Execution
from worldflow.engine.failures import encode_exception
from worldflow.engine.forking import forked, retried
from worldflow.engine.history import (
    AnyDecision,
    AnyFact,
    Applied,
    AttributesSet,
    CancelRequested,
    Event,
    RunCancelled,
    RunContinued,
    RunFailed,
    RunForked,
    RunStarted,
    SignalReceived,
    StepFailed,
    StepScheduled,
    TerminateRequested,
    TimerFired,
    UpdateReceived,
)
from worldflow.engine.ids import generation, generation_id
from worldflow.engine.state import OpenStep, RunState, with_what_was_unknown
from worldflow.runtime.acts import Acts, Closed, run_record
from worldflow.runtime.loading import explain_failures
from worldflow.runtime.steps import StepExecutor
from worldflow.runtime.webhooks import webhook_url
from worldflow.worlds.base import RunRecord, World
from worldflow.worlds.messages import FactArrived, HeartbeatDue, Poke, RunMessage, Start, StepDue
from worldflow.worlds.payloads import fetch_event, stash_event

LIVE_LIMIT = 200
"""Live executions that a process keeps, oldest out: some tens of kilobytes each."""

CONFLICT_LIMIT = 5
"""How often a turn that lost its conditional write is taken again before the messages go back to the queue."""

HISTORY_LIMIT = 50_000
"""Events of a history. A run that would have more fails; at a fifth of it the log warns."""

_BLOCKING = (WorkflowNotFoundError, NonDeterminismError, SerializationError, ConfigurationError)

_log = logging.getLogger("worldflow")


@dataclass(slots=True)
class _Run:
    """A run as one turn has it in hand."""

    id: str
    state: RunState
    execution: Execution | None = None
    blocked: str | None = None
    """Why the workflow's code cannot run."""
    was_read: bool = True
    """Whether the history was read in this turn, and not remembered from one before."""
    redo: bool = False
    """What the history holds may not have been acted on."""
    new: list[Event] = field(default_factory=list)
    """Events that are not committed yet."""
    closed: Closed = field(default_factory=Closed)
    begun: set[tuple[str, int | None]] = field(default_factory=set)
    """Attempts of inline steps that nobody can have begun before this turn."""
    woken: set[tuple[str, int | None]] = field(default_factory=set)
    """Attempts whose time this turn was told to have come."""

    def record(self, event: AnyFact | AnyDecision, at: datetime) -> None:
        self.keep(event.recorded(self.state.seq + 1, at))

    def keep(self, recorded: Event) -> None:
        self.closed.note(recorded, self.state)
        self.state.record(recorded)
        self.new.append(recorded)
        if isinstance(recorded, StepScheduled):
            self.begun.add((recorded.step_id, 1))


class Turns:
    """Takes turns of runs. May be used from several threads, for different runs at a time."""

    def __init__(
        self,
        world: World,
        *,
        live_limit: int = LIVE_LIMIT,
        history_limit: int = HISTORY_LIMIT,
        chance: random.Random | None = None,
    ) -> None:
        """
        chance: where the seeds of runs and the jitter of retries come from; the system's source unless given.
        """
        self._world = world
        self._executor = StepExecutor(world)
        self._live: OrderedDict[str, _Run] = OrderedDict()
        self._live_limit = live_limit
        self._history_limit = history_limit
        self._chance = chance or random.SystemRandom()
        self._lock = threading.Lock()

    def take(
        self,
        run_id: str,
        messages: Sequence[RunMessage],
        *,
        redo: bool = False,
        use_code: bool = True,
        out_of_time: Callable[[], bool] = lambda: False,
    ) -> None:
        """Takes the turn that `messages` of a run ask for.

        redo: a message was received before, so that what the history holds may not have been acted on.
        use_code: False takes the turn without the workflow's code, and blocks the run: for messages whose turns die.
        out_of_time: asked after inline steps; once it says so, what came of them is left to a turn after this one.

        When it returns, the messages may be acknowledged; if it raises, they must come again.
        """
        redo = redo or any(isinstance(message, Poke) for message in messages)
        for _ in range(CONFLICT_LIMIT):
            try:
                self._take(run_id, messages, redo, use_code, out_of_time)
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

    def _take(
        self,
        run_id: str,
        messages: Sequence[RunMessage],
        redo: bool,
        use_code: bool,
        out_of_time: Callable[[], bool],
    ) -> None:
        run = self._recall(run_id) if use_code else None
        if run is None:
            run = self._load(run_id, use_code)
        run.redo = redo
        try:
            if not self._apply(run, messages, use_code):
                _log.warning("run %s has no record: %d messages dropped", run_id, len(messages))
                return
            self._commit(run)
            self._act(run, messages)
            self._run_inline(run, out_of_time)
        except BaseException:
            if run.execution:
                run.execution.dispose()
            raise
        self._remember(run)

    # --- load ---

    def _recall(self, run_id: str) -> _Run | None:
        with self._lock:
            return self._live.pop(run_id, None)

    def _remember(self, run: _Run) -> None:
        if run.execution is None or run.state.ended:
            return
        run.was_read, run.new, run.closed, run.begun, run.woken = False, [], Closed(), set(), set()
        with self._lock:
            self._live[run.id] = run
            oldest = self._live.popitem(last=False)[1] if len(self._live) > self._live_limit else None
        if oldest and oldest.execution:
            oldest.execution.dispose()

    def _load(self, run_id: str, use_code: bool) -> _Run:
        history = self._world.load_history(run_id)
        run = _Run(run_id, RunState(history))
        if not use_code:
            run.blocked = "its turns failed or died each time that they were taken; the log says why"
        elif run.state.started and not run.state.ended:
            self._revive(run, run.state.started, history)
        return run

    def _revive(self, run: _Run, started: RunStarted, history: Iterable[Event]) -> None:
        """Gives the run a live execution, or the reason why it has none."""
        try:
            version = started.version
            if version is None and started.fact_id not in run.state.held:
                version = oldest_version(started.workflow_name)
            execution = self._execution(run.id, started.workflow_name, version)
            try:
                execution.replay(fetch_event(self._world, event) for event in history)
            except BaseException:
                execution.dispose()
                raise
            run.execution = execution
        except _BLOCKING as error:
            self._block(run, error)

    def _execution(self, run_id: str, workflow_name: str, version: int | None) -> Execution:
        workflow = find_workflow(workflow_name, version)
        return Execution(run_id, workflow, self._chance, lambda *hook: webhook_url(self._world, *hook))

    def _block(self, run: _Run, error: Exception) -> None:
        because = explain_failures() if isinstance(error, WorkflowNotFoundError) else ""
        summary = error.summary if isinstance(error, WorkflowNotFoundError) else error
        run.blocked = f"{type(error).__name__}: {summary}{because}"
        _log.error("run %s is blocked: %s", run.id, run.blocked)
        if run.execution:
            run.execution.dispose()
            run.execution = None

    # --- apply ---

    def _apply(self, run: _Run, messages: Sequence[RunMessage], use_code: bool) -> bool:
        """Applies what is new to the run. Returns False if there is no such run."""
        now = self._world.now()
        if run.state.started is None:
            record = self._world.get_run(run.id)
            if record is None:
                return False
            self._begin(run, record, now)
        if run.execution:
            for held in list(run.state.held.values()):
                if not run.state.ended:
                    self._apply_held(run, held, now)
        elif not use_code:
            self._fail_inline(run, now)
        for message in messages:
            if (fact := self._fact(run, message)) is None:
                continue
            if run.state.accepts(fact):
                for new in (*_timers_before(fact, run.state), fact):
                    if run.state.accepts(new):
                        self._apply_fact(run, new, now)
            elif run.blocked and not run.state.ended and isinstance(fact, CancelRequested):
                # It was asked to cancel, and its code broke while it did.
                run.record(RunCancelled(reason=fact.reason, forced=True), max(now, run.state.at))
        return True

    def _fact(self, run: _Run, message: RunMessage) -> AnyFact | None:
        """The fact that a message brings, if it brings one."""
        if isinstance(message, FactArrived):
            return message.fact
        if isinstance(message, HeartbeatDue) and not run.state.ended:
            return Acts(self._world, run.id, run.state).heartbeat_lost(message)
        if isinstance(message, StepDue):
            run.woken.add((message.step_id, message.attempt))
            if not run.redo:
                run.begun.add((message.step_id, message.attempt))
        return None

    def _begin(self, run: _Run, record: RunRecord, now: datetime) -> None:
        """The first events of a run, from its record."""
        if record.fork_of:
            self._go_on(run, record)
            return
        if run.blocked is None:
            try:
                run.execution = self._execution(run.id, record.workflow_name, record.version)
            except _BLOCKING as error:
                self._block(run, error)
        workflow = run.execution.workflow if run.execution else None
        started = RunStarted(
            run_id=run.id,
            workflow_name=record.workflow_name,
            version=workflow.version if workflow else record.version,
            created_at=record.created_at,
            input=record.input,
            timeout=workflow.timeout if workflow else None,
            seed=f"{self._chance.getrandbits(128):032x}",
            parent=record.parent,
            attributes=record.attributes or None,
            carried=record.carried,
            seen=record.seen or None,
        )
        self._apply_fact(run, started, now)

    def _go_on(self, run: _Run, record: RunRecord) -> None:
        """Begins with the history of another run."""
        assert record.fork_of is not None
        source = self._world.load_history(record.fork_of.run_id)
        after = record.fork_of.after
        for event in retried(source, run.id) if after is None else forked(source, run.id, after):
            is_start = isinstance(event, RunStarted)
            run.keep(event.model_copy(update={"created_at": record.created_at}) if is_start else event)
        run.record(RunForked(run_id=record.fork_of.run_id, after=after), max(self._world.now(), run.state.at))
        assert run.state.started is not None
        if run.blocked is None:
            self._revive(run, run.state.started, run.new)
        run.redo = True

    def _apply_fact(self, run: _Run, fact: AnyFact, now: datetime) -> None:
        at = max(now, run.state.earliest(fact))
        if isinstance(fact, TerminateRequested):
            run.record(fact, at)
            run.record(RunCancelled(reason=fact.reason, forced=True), at)
            return
        if run.state.seq >= self._history_limit:
            self._give_up(run, fact, at)
            return
        decisions = self._decide(run, fact, at)
        if decisions is None:
            run.record(fact.model_copy(update={"held": True}), at)
            if isinstance(fact, CancelRequested):
                run.record(RunCancelled(reason=fact.reason, forced=True), at)
            return
        run.record(fact, at)
        for decision in decisions:
            run.record(decision, at)

    def _apply_held(self, run: _Run, fact: AnyFact, now: datetime) -> None:
        at = max(now, run.state.at)
        applied = Applied(fact_id=fact.fact_id)
        if isinstance(fact, RunStarted) and run.execution:
            workflow = run.execution.workflow
            applied = Applied(fact_id=fact.fact_id, version=workflow.version, timeout=workflow.timeout)
            fact = with_what_was_unknown(fact, applied)
        decisions = self._decide(run, fact, at)
        if decisions is not None:
            run.record(applied, at)
            for decision in decisions:
                run.record(decision, at)

    def _decide(self, run: _Run, fact: AnyFact, at: datetime) -> list[AnyDecision] | None:
        """What the workflow decides on learning of `fact`, as it is stored; None if its code cannot run."""
        if run.execution is None:
            return None
        try:
            decisions = run.execution.apply(fetch_event(self._world, fact), at)
        except _BLOCKING as error:
            self._block(run, error)
            return None
        except SystemExit as error:
            self._block(run, ConfigurationError(f"the workflow's code raised {error!r}"))
            return None
        return [stash_event(self._world, run.id, decision) for decision in decisions]

    def _give_up(self, run: _Run, fact: AnyFact, at: datetime) -> None:
        """Fails a run whose history has become too long."""
        error = HistoryLimitError(
            f"the history has {run.state.seq} events, and {self._history_limit} is the limit: "
            f"let the workflow go on with continue_as_new() in time"
        )
        run.record(fact.model_copy(update={"held": True}), at)
        run.record(RunFailed(error=encode_exception(error), forced=True), at)

    # --- commit and act ---

    def _commit(self, run: _Run) -> None:
        if run.new:
            self._world.append(run.id, run.new)
            before = run.new[0].seq - 1
            if before < self._history_limit // 5 <= run.state.seq:
                _log.warning("the history of run %s is long: %d events", run.id, run.state.seq)
        elif not run.was_read and self._world.load_history(run.id, run.state.seq, commits=1):
            raise ConflictError(f"run {run.id!r}: the live execution is behind its history")

    def _act(self, run: _Run, messages: Sequence[RunMessage] = ()) -> None:
        state, acts = run.state, Acts(self._world, run.id, run.state)
        if state.ended:
            # A start that comes when all is over is a parent's, which has not heard of the end.
            redo = run.redo or (not run.new and any(isinstance(message, Start) for message in messages))
            if run.new or redo:
                acts.end(run.new, run.closed, redo=redo)
            self._forward(run, messages)
            return
        if run.redo:
            acts.again()
            acts.tidy(run.closed)
        else:
            acts.after(run.new, run.closed)
        for message in messages:
            if isinstance(message, StepDue):
                acts.due(message)
        told = any(isinstance(event, (Applied, AttributesSet)) for event in run.new)
        if told or run.redo or (run.blocked and run.new):
            blocked = run.blocked if state.held else None
            self._world.update_run(run_record(run.id, state, blocked, self._world.now()))

    def _forward(self, run: _Run, messages: Sequence[RunMessage]) -> None:
        """Sends what came for a generation that has ended to the one that follows it, if one does."""
        for message in messages:
            if not isinstance(message, FactArrived) or not isinstance(message.fact, _FORWARDED):
                continue
            if not run.state.has_seen(message.fact) and (following := self._following(run)):
                self._world.send([message.model_copy(update={"run_id": following})])

    def _following(self, run: _Run) -> str | None:
        """The generation that follows one that has ended."""
        if isinstance(run.state.ended, RunContinued):
            return run.state.ended.next_run_id
        base, number = generation(run.id)
        newest = self._world.get_generation(base)
        return generation_id(base, newest) if newest > number else None

    # --- inline steps ---

    def _run_inline(self, run: _Run, out_of_time: Callable[[], bool]) -> None:
        """Runs inline steps until none is due."""
        while run.execution and not run.state.ended and (steps := list(self._inline_due(run))):
            lost = [step for step in steps if self._is_lost(run, step)]
            acts = Acts(self._world, run.id, run.state)
            facts: list[AnyFact] = [_interrupted(step) for step in lost]
            facts += self._executor.run_inline([acts.task(step) for step in steps if step not in lost])
            if out_of_time():
                # What came of them goes on by the queue, as from the executor's function.
                self._world.send([FactArrived(run_id=run.id, fact=fact) for fact in facts])
                return
            run.new, run.closed, run.redo, run.was_read = [], Closed(), False, True
            now = self._world.now()
            for fact in facts:
                if run.state.accepts(fact):
                    self._apply_fact(run, fact, now)
            self._commit(run)
            self._act(run)

    def _inline_due(self, run: _Run) -> Iterator[OpenStep]:
        now = self._world.now()
        for step in run.state.steps.values():
            if step.scheduled.inline and step.attempt is not None:
                # An at-most-once attempt that has a time waits for its wake, by which it is known whether it was begun.
                is_due = step.due is None or (step.due <= now and not step.scheduled.at_most_once)
                if is_due or (step.scheduled.step_id, step.attempt) in run.woken:
                    yield step

    def _is_lost(self, run: _Run, step: OpenStep) -> bool:
        return bool(step.scheduled.at_most_once) and (step.scheduled.step_id, step.attempt) not in run.begun

    def _fail_inline(self, run: _Run, now: datetime) -> None:
        """Fails the inline attempts of a run whose code cannot run: they may be what kills its turns."""
        for step in list(self._inline_due(run)):
            error = StepCrashedError(f"the function died, or lost its code, while {step.scheduled.name!r} was to run")
            fact = _failed(step, error)
            if run.state.accepts(fact):
                self._apply_fact(run, fact, now)


_FORWARDED = (SignalReceived, UpdateReceived, CancelRequested, TerminateRequested)


def _failed(step: OpenStep, error: Exception) -> StepFailed:
    scheduled = step.scheduled
    assert step.attempt is not None
    retryable = not scheduled.at_most_once
    return StepFailed(
        step_id=scheduled.step_id, attempt=step.attempt, error=encode_exception(error), retryable=retryable
    )


def _interrupted(step: OpenStep) -> StepFailed:
    return _failed(step, StepInterruptedError(f"{step.scheduled.name!r} began, and it is not known what came of it"))


def _timers_before(fact: AnyFact, state: RunState) -> list[TimerFired]:
    """The open timers that were due before the one that fired: asyncio fires them first, and no queue keeps order."""
    if not isinstance(fact, TimerFired):
        return []
    due = state.timers[fact.timer_id].due
    earlier = sorted((timer.due, timer.timer_id) for timer in state.timers.values() if timer.due < due)
    return [TimerFired(timer_id=timer_id) for _, timer_id in earlier]
