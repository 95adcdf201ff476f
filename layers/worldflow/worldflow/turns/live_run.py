"""A run as one turn has it in hand: what messages tell is applied to it, and what is to be committed collects.

Facts that the workflow's code cannot take, since it does not run, are held: see `turns.py`.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from worldflow.engine.errors import (
    ConfigurationError,
    HistoryLimitError,
    NonDeterminismError,
    PayloadTooLargeError,
    SerializationError,
    StepCrashedError,
    StepInterruptedError,
    WorkflowNotFoundError,
    WorkflowStuckError,
)
from worldflow.engine.history import (
    AnyDecision,
    AnyFact,
    Applied,
    BaseEvent,
    CancelRequested,
    Event,
    HookCreated,
    Replied,
    RunCancelled,
    RunFailed,
    RunForked,
    RunRestored,
    RunStarted,
    StepCompleted,
    StepFailed,
    StepScheduled,
    TerminateRequested,
)
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.history.forking import forked, retried
from worldflow.engine.history.state import OpenStep, RunState, with_what_was_unknown
from worldflow.engine.privacy import described
from worldflow.engine.texts import escaped
from worldflow.engine.traceparent import run_context
from worldflow.engine.workflow.definitions import find_workflow, oldest_version
from worldflow.engine.workflow.execution import Execution
from worldflow.turns.acts import Acts, Closed
from worldflow.turns.arrivals import TimersDue, in_order
from worldflow.turns.loading import explain_failures
from worldflow.turns.observer import Observer
from worldflow.turns.watchdog import watched
from worldflow.turns.webhook_tokens import WebhooksOf
from worldflow.worlds import ledger, reading
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived, HeartbeatDue, RunMessage, StepDue, StepOutcome, termination
from worldflow.worlds.outages import OutageError, is_outage
from worldflow.worlds.payloads import adopt_events, fetch_event, fetch_failure, stash_event
from worldflow.worlds.records import Fork, RunRecord

E = TypeVar("E", bound=BaseEvent)

_BLOCKING = (WorkflowNotFoundError, NonDeterminismError, SerializationError, ConfigurationError, WorkflowStuckError)

BLOCKED_LIMIT = 8_000
"""Characters of the reason why a run is blocked, which stands in its record."""

_log = logging.getLogger("worldflow")


class RunInHand:
    """One run. `new` are the events that are not committed yet."""

    def __init__(
        self,
        world: World,
        run_id: str,
        state: RunState,
        *,
        chance: random.Random,
        history_limit: int,
        cpu_limit: float,
        strict: bool = False,
        observer: Observer | None = None,
    ) -> None:
        self.id = run_id
        self.state = state
        self.execution: Execution | None = None
        self.blocked: str | None = None
        """Why the workflow's code cannot run."""
        self.code_was_tried = True
        """False where a turn is taken without the workflow's code, which may be what kills its turns."""
        self.was_read = True
        """Whether the history was read in this turn, and not remembered from one before."""
        self.replayed = 0
        """Events that were replayed in this turn."""
        self.difference: str | None = None
        """Where that replay differs from the history, though not in a way that blocks the run."""
        self.redo = False
        """What the history holds may not have been acted on."""
        self.redo_after = 0
        """Up to this event it has."""
        self.came_again = False
        """A message was received before, so that what the history holds may not have been announced."""
        self._world = world
        self._chance = chance
        self._history_limit = history_limit
        self._cpu_limit = cpu_limit
        self._strict = strict
        self._observer = observer or Observer()
        self.forget_turn()

    def forget_turn(self) -> None:
        """Lets go of what a turn has collected."""
        self.new: list[Event] = []
        self.closed = Closed()
        self.scheduled: set[str] = set()
        """Steps whose first attempt nobody can have begun before this turn, which has scheduled it."""
        self.woken: set[tuple[str, int | None]] = set()
        """Attempts whose time this turn was told to have come."""
        self.taken_up = False
        """It runs inline steps that a turn before this one has left: perhaps of a run that was blocked."""

    def committed(self) -> None:
        """Goes on in the same turn, after what was new is committed and acted on."""
        self.new, self.closed, self.redo, self.was_read = [], Closed(), False, True
        self.taken_up = self.came_again = False

    def dispose(self) -> None:
        """Lets go of the execution."""
        if self.execution:
            self.execution.dispose()
            self.execution = None

    def record(self, event: AnyFact | AnyDecision, at: datetime) -> None:
        self.keep(event.recorded(self.state.seq + 1, at))

    def keep(self, recorded: Event) -> None:
        self.closed.note(recorded, self.state)
        self.state.record(recorded)
        self.new.append(recorded)
        if isinstance(recorded, StepScheduled):
            self.scheduled.add(recorded.step_id)

    # --- the workflow's code ---

    def revive(self, started: RunStarted, history: Iterable[Event], *, adopted: bool = False) -> None:
        """Gives the run a live execution, or the reason why it has none. See `Execution.replay`."""
        try:
            version = started.version
            if version is None and started.fact_id not in self.state.held:
                version = oldest_version(started.workflow_name)
            execution = self._execution(started.workflow_name, version)
            try:
                events = [self._fetched(event) for event in history]
                watched(execution, lambda: execution.replay(events, adopted=adopted), self._cpu_limit)
            except BaseException:
                execution.dispose()
                raise
            self.execution = execution
            self.replayed = len(events)
            if execution.differences:
                self.difference = execution.differences[0]
                _log.warning("the replay of run %s differs from its history: %s", self.id, self.difference)
        except _BLOCKING as error:
            self._block(error)

    def _fetched(self, event: E) -> E:
        """The event as the workflow sees it. An outage blocks no run, whatever a codec makes of it."""
        try:
            return fetch_event(self._world, event)
        except _BLOCKING as error:
            if is_outage(error):
                raise OutageError(f"run {self.id}: its data cannot be read at the moment") from error
            raise

    def _execution(self, workflow_name: str, version: int | None) -> Execution:
        workflow = find_workflow(workflow_name, version)
        return Execution(self.id, workflow, self._chance, WebhooksOf(self._world), strict=self._strict)

    def _block(self, error: Exception) -> None:
        because = explain_failures() if isinstance(error, WorkflowNotFoundError) else ""
        summary = error.summary if isinstance(error, WorkflowNotFoundError) else error
        self.blocked = escaped(f"{type(error).__name__}: {summary}{because}")[:BLOCKED_LIMIT]
        told = self.blocked if isinstance(error, WorkflowNotFoundError) else described(error)
        _log.error("run %s is blocked: %s", self.id, told)
        self.dispose()

    # --- what has happened ---

    def apply(self, messages: Sequence[RunMessage], *, use_code: bool, arrived: Sequence[datetime | None] = ()) -> bool:
        """Applies what is new. Returns False if there is no such run.

        arrived: when each of the messages came into its queue, where that is known.
        """
        now = self._world.now()
        if self.state.started is None:
            record = self._world.get_run(self.id)
            if record is None or record.ended:
                return False  # it is archived, or about to be
            if record.replaces:
                # Again: whoever asked for this run may have died before it was told.
                self._world.send([termination(record.replaces, successor=self.id)])
            self._begin(record, now)
        if self.execution:
            for held in list(self.state.held.values()):
                if not self.state.ended:
                    self._apply_held(held, now)
        elif not use_code:
            self._fail_inline(now)
        timers = TimersDue(self.state, now)
        for arrival in in_order(messages, arrived, self.state):
            if (fact := self._fact(arrival.message)) is None:
                continue
            if self.state.accepts(fact):
                for new in (*timers.before(arrival.at, fact), fact):
                    if self.state.accepts(new):
                        self.apply_fact(new, now)
            elif self.blocked and not self.state.ended and isinstance(fact, CancelRequested):
                # It was asked to cancel, and its code broke while it did.
                self.record(RunCancelled(reason=fact.reason, forced=True), max(now, self.state.at))
        return True

    def _fact(self, message: RunMessage) -> AnyFact | None:
        """The fact that a message brings, if it brings one."""
        if isinstance(message, FactArrived):
            fact = message.fact
            if message.unrecorded and isinstance(fact, (StepCompleted, StepFailed)) and self.state.accepts(fact):
                # A copy of its task may have found that it began, and have recorded that it was interrupted.
                ledger.put_outcome(self._world, StepOutcome(run_id=self.id, fact=fact, call=message.call), replace=True)
            return fact
        if isinstance(message, HeartbeatDue) and not self.state.ended:
            return Acts(self._world, self.id, self.state).heartbeat_lost(message)
        if isinstance(message, StepDue):
            self.woken.add((message.step_id, message.attempt))
        return None

    def _begin(self, record: RunRecord, now: datetime) -> None:
        """The first events of a run, from its record."""
        if record.fork_of:
            self._go_on(record)
            return
        if self.blocked is None:
            try:
                self.execution = self._execution(record.workflow_name, record.version)
            except _BLOCKING as error:
                self._block(error)
        workflow = self.execution.workflow if self.execution else None
        started = RunStarted(
            run_id=self.id,
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
            restored=record.restored,
            traceparent=self._traceparent(record),
        )
        self.apply_fact(started, now)

    def _go_on(self, record: RunRecord) -> None:
        """Begins with the history of another run."""
        assert record.fork_of is not None
        source = reading.find_history(self._world, record.fork_of.run_id) or []
        after = record.fork_of.after
        read = partial(fetch_failure, self._world)
        taken = retried(source, self.id, read) if after is None else forked(source, self.id, after)
        for event in adopt_events(self._world, self.id, taken):
            self.keep(self._of_its_own(event, record))
        seed = f"{self._chance.getrandbits(128):032x}"
        assert self.state.started is not None
        if self.blocked is None:
            self.revive(self.state.started, self.new, adopted=True)
        fork = RunForked(
            run_id=record.fork_of.run_id, after=after, seed=seed, traceparent=_span_of(source, record.fork_of)
        )
        self.apply_fact(fork, self._world.now())
        if record.restored:
            self.record(RunRestored(), self.state.at)
        self.redo = True

    def _of_its_own(self, event: Event, record: RunRecord) -> Event:
        """The event with what cannot be the other run's: when this one was asked for, its place in traces, and the
        webhooks of a fork.
        """
        assert record.fork_of is not None
        if isinstance(event, RunStarted):
            taken = event.traceparent if record.fork_of.after is None else None
            traceparent = taken or self._traceparent(record)
            return event.model_copy(update={"created_at": record.created_at, "traceparent": traceparent})
        if isinstance(event, HookCreated) and event.webhook and record.fork_of.after is not None:
            return event.model_copy(update={"token": WebhooksOf(self._world).another(self.id, event)})
        return event

    def _traceparent(self, record: RunRecord) -> str | None:
        """What the run was started with; else its own span, where an observer traces it."""
        return record.traceparent or self._observer.traceparent(self.id, record.created_at)

    def apply_fact(self, fact: AnyFact, now: datetime) -> None:
        at = max(now, self.state.earliest(fact))
        if isinstance(fact, TerminateRequested):
            self.record(fact, at)
            self.record(RunCancelled(reason=fact.reason, forced=True), at)
            return
        if self.state.seq >= self._history_limit:
            self._give_up(fact, at, self._too_long())
            return
        try:
            decisions = self._decide(fact, at)
        except PayloadTooLargeError as error:
            self._give_up(fact, at, error)
            return
        if decisions is None:
            self.record(fact.model_copy(update={"held": True}), at)
            if isinstance(fact, CancelRequested):
                self.record(RunCancelled(reason=fact.reason, forced=True), at)
            return
        self.record(fact, at)
        for decision in decisions:
            self.record(decision, at)

    def _apply_held(self, fact: AnyFact, now: datetime) -> None:
        at = max(now, self.state.at)
        applied = Applied(fact_id=fact.fact_id)
        if isinstance(fact, RunStarted) and self.execution:
            workflow = self.execution.workflow
            applied = Applied(fact_id=fact.fact_id, version=workflow.version, timeout=workflow.timeout)
            fact = with_what_was_unknown(fact, applied)
        try:
            decisions = self._decide(fact, at)
        except PayloadTooLargeError as error:
            self.record(RunFailed(error=encode_exception(error), forced=True), at)
            return
        if decisions is not None:
            self.record(applied, at)
            for decision in decisions:
                self.record(decision, at)

    def _decide(self, fact: AnyFact, at: datetime) -> list[AnyDecision] | None:
        """What the workflow decides on learning of `fact`, as it is stored; None if its code cannot run.

        Raises `PayloadTooLargeError` for what cannot be stored: then nothing was decided, and the run is to fail.
        """
        execution = self.execution
        if execution is None:
            return None
        try:
            known = self._fetched(fact)
            decisions = watched(execution, lambda: execution.apply(known, at), self._cpu_limit)
        except _BLOCKING as error:
            self._block(error)
            return None
        except (SystemExit, KeyboardInterrupt) as error:  # which tasks do not keep to themselves
            code = next((arg for arg in error.args if isinstance(arg, int)), "")  # and not a text, which may be data
            self._block(ConfigurationError(f"the workflow's code raised {type(error).__name__}({code})"))
            return None
        return [self._stashed(decision) for decision in decisions]

    def _stashed(self, decision: AnyDecision) -> AnyDecision:
        try:
            return stash_event(self._world, self.id, decision)
        except PayloadTooLargeError as error:
            if not (isinstance(decision, Replied) and decision.fact_id.startswith("update/")):
                raise
            # Whoever asked is told, and the run goes on.
            return decision.model_copy(update={"result": None, "error": encode_exception(error)})

    def _too_long(self) -> HistoryLimitError:
        return HistoryLimitError(
            f"the history has {self.state.seq} events; the limit is {self._history_limit}: "
            f"let the workflow call continue_as_new() earlier"
        )

    def _give_up(self, fact: AnyFact, at: datetime, error: Exception) -> None:
        """Fails a run for what no code of its own can answer."""
        self.record(fact.model_copy(update={"held": True}), at)
        self.record(RunFailed(error=encode_exception(error), forced=True), at)

    # --- inline steps ---

    def waits_for_code(self) -> bool:
        """Whether something is left to do that takes the workflow's code."""
        return bool(self.state.held) or any(self.inline_due())

    def waits_since(self) -> datetime | None:
        """When that began to wait which waits for the workflow's code longest; None if nothing does."""
        waiting = [fact.at for fact in self.state.held.values()]
        if self.state.forked:  # what is held of another run's history was not this one's to wait for
            waiting = [max(at, self.state.forked.at) for at in waiting]
        return min([*waiting, *(step.dispatched for step in self.inline_due())], default=None)

    def inline_due(self) -> Iterator[OpenStep]:
        now = self._world.now()
        for step in self.state.steps.values():
            if not step.scheduled.inline or step.attempt is None:
                continue
            if step.due is None or step.due <= now or (step.scheduled.step_id, step.attempt) in self.woken:
                yield step

    def _fail_inline(self, now: datetime) -> None:
        """Fails the inline attempts of a run whose code cannot run: they may be what kills its turns."""
        for step in list(self.inline_due()):
            error = StepCrashedError(
                f"the function died, or its code was missing, when {step.scheduled.name!r} was due to run"
            )
            fact = _failed(step, error)
            if self.state.accepts(fact):
                self.apply_fact(fact, now)


def _span_of(history: Sequence[Event], fork_of: Fork) -> str | None:
    """The span of the run that a run goes on from, where that is in a trace."""
    started = history[0] if history else None
    if not isinstance(started, RunStarted) or started.traceparent is None:
        return None
    return str(run_context(fork_of.run_id, started.created_at, started.traceparent))


def _failed(step: OpenStep, error: Exception) -> StepFailed:
    scheduled = step.scheduled
    assert step.attempt is not None
    retryable = not scheduled.at_most_once
    return StepFailed(
        step_id=scheduled.step_id, attempt=step.attempt, error=encode_exception(error), retryable=retryable
    )


def interrupted(step: OpenStep) -> StepFailed:
    return _failed(step, StepInterruptedError(f"{step.scheduled.name!r} started but its outcome is unknown"))
