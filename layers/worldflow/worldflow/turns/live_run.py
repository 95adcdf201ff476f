"""A run that a process holds: its state, and the live execution of its workflow, from one turn to the next."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from worldflow.engine.errors import (
    ConfigurationError,
    HistoryLimitError,
    NonDeterminismError,
    PayloadTooLargeError,
    SerializationError,
    WorkflowNotFoundError,
    WorkflowStuckError,
)
from worldflow.engine.history import (
    AnyDecision,
    AnyFact,
    ChildCompleted,
    ChildStarted,
    Event,
    HookResumed,
    Json,
    Replied,
    RunStarted,
    SignalReceived,
    StepCompleted,
    StepScheduled,
    UpdateReceived,
)
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.history.state import OpenStep, RunState
from worldflow.engine.privacy import described
from worldflow.engine.texts import escaped
from worldflow.engine.values.repeats import Repeats
from worldflow.engine.workflow.definitions import oldest_version
from worldflow.engine.workflow.execution import Execution
from worldflow.engine.workflow.ramps import version_for
from worldflow.turns.loading import explain_failures
from worldflow.turns.watchdog import watched
from worldflow.turns.webhook_tokens import WebhooksOf
from worldflow.worlds.base import World
from worldflow.worlds.histories import History, as_stored, share
from worldflow.worlds.outages import OutageError, is_outage
from worldflow.worlds.payloads import fetch_event, stash_event

T = TypeVar("T")

BLOCKED_LIMIT = 8_000
"""Characters of the reason why a run is blocked, which stands in its record."""

_BLOCKING = (WorkflowNotFoundError, NonDeterminismError, SerializationError, ConfigurationError, WorkflowStuckError)

_CALLS = (StepScheduled, ChildStarted)
_BRINGS_DATA = (StepCompleted, ChildCompleted, SignalReceived, HookResumed, UpdateReceived)
"""Events whose data is written once, as the calls' is. What others have is read without the events before them."""

_log = logging.getLogger("worldflow")


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for all runs of a process."""

    chance: random.Random
    """Where the seeds of runs and the jitter of retries come from."""
    history_limit: int
    """Events that a history may have."""
    cpu_limit: float
    """Seconds of processor time that a workflow may take over one fact."""
    strict: bool
    """For tests; see `Execution`."""

    def too_long(self, events: int) -> HistoryLimitError:
        """The error of a run whose history has this many events."""
        return HistoryLimitError(
            f"the history has {events} events; the limit is {self.history_limit}: "
            f"let the workflow call continue_as_new() earlier"
        )


@dataclass(frozen=True, slots=True)
class Replay:
    """How a run was given a live execution."""

    events: int
    difference: str | None = None
    """Where the replay differs from the history, though not in a way that blocks the run."""
    anew: Mapping[str, Json] = field(default_factory=dict)
    """The arguments of calls in a history that is adopted, by their ids, where the code has others now."""


class LiveRun:
    """One run, as its history stands."""

    def __init__(self, world: World, run_id: str, state: RunState, rules: Rules) -> None:
        self.id = run_id
        self.state = state
        self.execution: Execution | None = None
        self.blocked: str | None = None
        """Why the workflow's code cannot run."""
        self.code_was_tried = True
        """False where a turn is taken without the workflow's code, which may be what kills its turns."""
        self._world = world
        self._rules = rules
        self._repeats = Repeats()

    def dispose(self) -> None:
        """Lets go of the execution."""
        if self.execution:
            self.execution.dispose()
            self.execution = None

    __del__ = dispose  # such as that of a turn which failed

    # --- the workflow's code ---

    def open(self, workflow_name: str, version: int | None) -> None:
        """Gives a run that has not begun an execution, unless its code cannot run: then the run is blocked."""
        if self.blocked is not None:
            return
        try:
            self.execution = self._execution(workflow_name, version)
        except _BLOCKING as error:
            self._block(error)

    def revive(self, started: RunStarted, history: Iterable[Event], *, adopted: bool = False) -> Replay | None:
        """Gives the run a live execution. Returns None if its code cannot run: then the run is blocked.

        adopted: see `Execution.replay`.
        """
        try:
            version = started.version
            if version is None and started.fact_id not in self.state.held:
                version = oldest_version(started.workflow_name)
            execution = self._execution(started.workflow_name, version)
            try:
                reader = History(self._world)
                events = self._read(lambda: list(map(reader.read, history)))
                watched(execution, lambda: execution.replay(events, adopted=adopted), self._rules.cpu_limit)
            except BaseException:
                execution.dispose()
                raise
        except _BLOCKING as error:
            self._block(error)
            return None
        self.execution = execution
        self._note(reader)
        difference = execution.recorded.differences[0] if execution.recorded.differences else None
        if difference:
            _log.warning("the replay of run %s differs from its history: %s", self.id, difference)
        return Replay(len(events), difference, execution.recorded.anew)

    def read_anew(self, history: Sequence[Event]) -> None:
        """Takes other data of open calls than that of the history that the run was revived with."""
        steps, children = self.state.steps, self.state.children
        for event in history:
            if isinstance(event, StepScheduled) and event.step_id in steps:
                steps[event.step_id].scheduled = event
            elif isinstance(event, ChildStarted) and event.child_id in children:
                children[event.child_id].started = event
        reader = History(self._world)
        self._read(lambda: list(map(reader.read, history)))
        self._note(reader)

    def _note(self, reader: History) -> None:
        """Keeps what is known of a history that was read."""
        self._repeats = reader.repeats()
        for step in self.state.steps.values():
            step.scheduled = reader.whole(step.scheduled)
        for child in self.state.children.values():
            child.started = reader.whole(child.started)

    def learn(self, fact: AnyFact, at: datetime) -> tuple[AnyFact, list[AnyDecision]] | None:
        """Tells the workflow of a fact. Returns the fact and the workflow's decisions, to be recorded next; None if its
        code cannot run.

        Raises `PayloadTooLargeError` for decisions that cannot be stored: the run must fail then.
        """
        execution = self.execution
        if execution is None:
            return None
        try:
            known = self._read(lambda: fetch_event(self._world, fact))
            decisions = watched(execution, lambda: execution.apply(known, at), self._rules.cpu_limit)
            self._check_queues(decisions)
        except _BLOCKING as error:
            self._block(error)
            return None
        except (SystemExit, KeyboardInterrupt) as error:  # which tasks do not keep to themselves
            code = next((arg for arg in error.args if isinstance(arg, int)), "")  # and not a text, which may be data
            self._block(ConfigurationError(f"the workflow's code raised {type(error).__name__}({code})"))
            return None
        seq = self.state.seq + 1
        recorded = fact if fact.seq else self._noted(fact, known, seq)  # one that was held is in the history
        return recorded, [self._stashed(decision, seq + place) for place, decision in enumerate(decisions, 1)]

    def refusal(self, fact: AnyFact) -> Replied | None:
        """The answer to an update that the workflow's validator refuses; None for everything that is to be applied."""
        execution = self.execution
        if execution is None or not isinstance(fact, UpdateReceived):
            return None
        if (validator := execution.inbox.validator(fact.name)) is None:
            return None
        try:
            known = self._read(lambda: fetch_event(self._world, fact))
            refusal = watched(execution, lambda: validator.refusal(known), self._rules.cpu_limit)
        except _BLOCKING as error:
            self._block(error)
            return None
        return None if refusal is None else Replied(fact_id=fact.fact_id, error=encode_exception(refusal))

    def validates(self, fact: AnyFact) -> bool:
        """Whether the workflow has a validator for a fact."""
        inbox = self.execution.inbox if self.execution else None
        return inbox is not None and isinstance(fact, UpdateReceived) and inbox.validator(fact.name) is not None

    def pass_over(self) -> None:
        """Counts an event that is recorded and that the workflow does not learn of now: a replay counts it, too."""
        if self.execution:
            self.execution.length += 1

    def _execution(self, workflow_name: str, version: int | None) -> Execution:
        known = version_for(workflow_name, self.id, version)
        return Execution(self.id, known, self._rules.chance, WebhooksOf(self._world), strict=self._rules.strict)

    def _check_queues(self, decisions: Iterable[AnyDecision]) -> None:
        """Raises `ConfigurationError` for a step whose queue is not there: the run is blocked until it is."""
        queues = self._world.step_queues
        for decision in decisions if queues is not None else ():
            if isinstance(decision, StepScheduled) and decision.queue and decision.queue not in (queues or ()):
                known = ", ".join(("default", *sorted(queues or ())))
                raise ConfigurationError(
                    f"step {decision.name!r} needs the step queue {decision.queue!r}, which is not deployed (deployed: "
                    f"{known}). Add it to template.yaml and to the parameter StepQueues"
                )

    def _block(self, error: Exception) -> None:
        because = explain_failures() if isinstance(error, WorkflowNotFoundError) else ""
        summary = error.summary if isinstance(error, WorkflowNotFoundError) else error
        known = str(summary)[: BLOCKED_LIMIT // 2]  # which may name hundreds of workflows
        self.blocked = escaped(f"{type(error).__name__}: {known}{because}")[:BLOCKED_LIMIT]
        logged = self.blocked if isinstance(error, WorkflowNotFoundError) else described(error)
        _log.error("run %s is blocked: %s", self.id, logged)
        self.dispose()

    def _read(self, read: Callable[[], T]) -> T:
        """What `read` returns, which reads the user's data. An outage blocks no run, whatever a codec makes of it."""
        try:
            return read()
        except _BLOCKING as error:
            if is_outage(error):
                raise OutageError(f"run {self.id}: its data cannot be read at the moment") from error
            raise

    def _noted(self, fact: AnyFact, known: AnyFact, seq: int) -> AnyFact:
        """A fact as event `seq` has it.

        known: the fact with its data.
        """
        if isinstance(known, _BRINGS_DATA) and (shared := share(self._world, self.id, known, seq, self._repeats)):
            return as_stored(shared)
        if isinstance(known, RunStarted):
            self._repeats.share(seq, known.input)
        return fact

    def _stashed(self, decision: AnyDecision, seq: int) -> AnyDecision:
        """A decision as event `seq` has it, or with its data `Whole`."""
        try:
            if isinstance(decision, _CALLS) and (shared := share(self._world, self.id, decision, seq, self._repeats)):
                return shared
            return stash_event(self._world, self.id, decision)
        except PayloadTooLargeError as error:
            if not (isinstance(decision, Replied) and decision.fact_id.startswith("update/")):
                raise
            # The caller of the update gets the error, and the run continues.
            return decision.model_copy(update={"result": None, "error": encode_exception(error)})

    # --- what waits for it ---

    def waits_for_code(self, woken: Collection[tuple[str, int]] = ()) -> bool:
        """Whether something is left to do that takes the workflow's code."""
        return bool(self.state.held) or any(self.inline_due(woken))

    def waits_since(self, woken: Collection[tuple[str, int]] = ()) -> datetime | None:
        """Since when the oldest of what waits for the workflow's code has waited; None if nothing does."""
        waiting = [fact.at for fact in self.state.held.values()]
        if self.state.forked:  # what is held of another run's history was not this one's to wait for
            waiting = [max(at, self.state.forked.at) for at in waiting]
        return min([*waiting, *(step.dispatched for step in self.inline_due(woken))], default=None)

    def inline_due(self, woken: Collection[tuple[str, int]] = ()) -> Iterator[OpenStep]:
        """The inline steps whose open attempt is due.

        woken: attempts whose wake-up has come, by the queue's clock.
        """
        now = self._world.now()
        for step in self.state.steps.values():
            if not step.scheduled.inline or step.attempt is None:
                continue
            if step.due is None or step.due <= now or (step.scheduled.step_id, step.attempt) in woken:
                yield step
