"""The next commit of a run while it is drafted: facts that are new, and the decisions in answer to them.

Facts that the workflow cannot take, since its code cannot run, are held: see `turns.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from worldflow.engine.errors import PayloadTooLargeError, StepCrashedError
from worldflow.engine.history import (
    AnyDecision,
    AnyFact,
    Applied,
    CancelRequested,
    Event,
    Replied,
    RunCancelled,
    RunFailed,
    RunForked,
    RunRestored,
    RunStarted,
    StepCancelRequested,
    StepCompleted,
    StepFailed,
    StepScheduled,
    TerminateRequested,
    UpdateReceived,
)
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.history.state import RunState, with_what_was_unknown
from worldflow.engine.workflow.ramps import is_limited
from worldflow.turns import attempts, beginning, gathering, pausing, throttling
from worldflow.turns.acts import Obsolete
from worldflow.turns.acts.run import ActingRun
from worldflow.turns.acts.steps import check_heartbeat
from worldflow.turns.arrivals import TimersDue, in_order
from worldflow.turns.live_run import LiveRun, Replay, Rules
from worldflow.turns.observer import Observer
from worldflow.worlds import ledger
from worldflow.worlds.base import World
from worldflow.worlds.histories import as_stored
from worldflow.worlds.messages import (
    FactArrived,
    HeartbeatDue,
    Outgoing,
    Poke,
    RunMessage,
    Start,
    StepDue,
    StepOutcome,
    start_of,
    termination,
)
from worldflow.worlds.records import RunRecord


class Draft:
    """Sends nothing: what is to be sent after the commit collects in `outbox`.

    scheduled: the steps that the turn has scheduled, whose first attempt no other process can have begun.
    woken: the attempts whose wake-up came in this turn.
    """

    def __init__(
        self,
        world: World,
        run: LiveRun,
        rules: Rules,
        observer: Observer,
        scheduled: set[str],
        woken: set[tuple[str, int]],
    ) -> None:
        self.run = run
        self.events: list[Event] = []
        """What is new."""
        self.obsolete = Obsolete()
        """What that has closed."""
        self.outbox: list[Outgoing] = []
        """Messages besides those that the decisions ask for."""
        self.replay: Replay | None = None
        """How a fork or a retry was given an execution."""
        self.messages: Sequence[RunMessage] = ()
        """What the turn has received, in its first commit."""
        self.was_read = True
        """The history was read in this turn, and not remembered from one before."""
        self.redo = False
        """What the history holds may not have been acted on."""
        self.redo_after = 0
        """Up to this event it has."""
        self.came_again = False
        """A message was received before, so that what the history holds may not have been announced."""
        self.is_early = False
        """The run is delayed, or waits for its place: its code does not run, and what comes for it is held."""
        self.begins_paused = False
        """The run is paused before it begins: its start is held."""
        self.is_put_off = False
        """Nothing came for a run that is early: there is nothing to commit."""
        self.limit: dict[str, Any] | None = None
        """The place that a run which begins has at its workflow's limit, or waits for."""
        self._refusal: AnyDecision | None = None
        """How the run ends, which has found no place and does not wait."""
        self._wake: Outgoing | None = None
        """The start of a run that is early, where it may not have been sent."""
        self.took_up = False
        """Inline steps have run that a turn before had left: perhaps of a run that was blocked."""
        self.refused: dict[str, Replied] = {}
        """The answers to updates that the workflow's validators refuse, which nothing records."""
        self.scheduled = scheduled
        self.woken = woken
        self._world = world
        self._rules = rules
        self._observer = observer

    @property
    def state(self) -> RunState:
        return self.run.state

    def record(self, event: AnyFact | AnyDecision, at: datetime) -> None:
        self._keep(event.recorded(self.state.seq + 1, at))

    def _keep(self, event: Event) -> None:
        self.obsolete.add(event, self.state.record(event))
        self.events.append(as_stored(event) if event.data_fields else event)
        if isinstance(event, StepScheduled):
            self.scheduled.add(event.step_id)

    # --- messages ---

    def apply(
        self, messages: Sequence[RunMessage], arrived: Sequence[datetime | None], *, redo: bool, use_code: bool
    ) -> bool:
        """Applies the facts that messages bring. Returns False if there is no such run. The arguments are those of
        `turn.How`.
        """
        now = self._world.now()
        pokes = [message.after or 0 for message in messages if isinstance(message, Poke)]
        self.messages, self.came_again, self.redo = messages, redo, redo or bool(pokes)
        self.redo_after = min(pokes) if pokes and (not redo or len(pokes) == len(messages)) else 0
        pause = pausing.first_pause(messages)
        if self.state.started is None:
            record, pause_of_all = pausing.record_and_pause(self._world, self.run.id)
            if record is None or record.ended:  # it is archived, or about to be
                return False
            record = gathering.gathered(self._world, self._joined(record), messages, now)
            if self._refusal is None and not self._is_early(record.start_at, now):
                record = throttling.throttled(self._world, record, now)
            early = self._refusal is not None or self._is_early(record.start_at, now)
            if not (early or pausing.stops(pause or pause_of_all, messages) or record.limit or record.fork_of):
                self._enter(record)
            if self.is_early and self._refusal is None and not any(isinstance(one, FactArrived) for one in messages):
                return self._put_off()
            self.begins_paused = (pause := pause or pause_of_all) is not None
            self._begin(record, now)
        elif "start" in self.state.held:
            started = self.state.started
            stops = pausing.stops(pause, messages) and pause and self.state.accepts(pause)
            if not self._is_early(started.start_at, now) and self.run.execution and not stops:
                self._enter(started)
        if self._refusal:
            self.record(self._refusal, max(now, self.state.at))
        if pause and self.state.accepts(pause):
            pausing.note(self, pause, now)
        elif self.redo:
            pausing.look_again(self, self._world)
        if not self.waits:
            if self.run.execution:
                self.apply_all_held(now)
            elif not use_code:
                self._fail_inline(now)
        timers = TimersDue(self.state, now)
        for arrival in in_order(messages, arrived, self.state):
            if (fact := self._fact(arrival.message)) is None or pausing.take(self, arrival.message, fact, now):
                continue
            if self.state.accepts(fact):
                for new in (*timers.before(arrival.at, fact), fact):
                    if self.state.accepts(new):
                        self.apply_fact(new, now)
            elif isinstance(fact, UpdateReceived) and fact.caller and self.state.has_seen(fact):
                from worldflow.turns.acts.entity_calls import answer_again

                self.outbox += answer_again(self._world, self.run.id, self.state, fact)
            elif self.run.blocked and not self.state.ended and isinstance(fact, CancelRequested):
                # It was asked to cancel, and its code broke while it did.
                self.record(RunCancelled(reason=fact.reason, forced=True), max(now, self.state.at))
        if self._wake and not self.state.ended:
            self.outbox.append(self._wake)
        return True

    @property
    def waits(self) -> bool:
        """Whether the workflow's code is not to run now, so that facts are held."""
        return self._begins_late or self.state.paused is not None

    @property
    def _begins_late(self) -> bool:
        return self.is_early or self.begins_paused

    def apply_all_held(self, now: datetime) -> None:
        for held in list(self.state.held.values()):
            if not self.state.ended:
                self._apply_held(held, now)

    def _fact(self, message: RunMessage) -> AnyFact | None:
        """The fact that a message brings, if it brings one."""
        match message:
            case FactArrived(fact=fact):
                if message.unrecorded and isinstance(fact, (StepCompleted, StepFailed)) and self.state.accepts(fact):
                    # A copy of its task may have found that it began, and have recorded that it was interrupted.
                    outcome = StepOutcome(run_id=self.run.id, fact=fact, call=message.call)
                    ledger.put_outcome(self._world, outcome, replace=True)
                return None if pausing.is_void(message, fact, self.state) else fact
            case HeartbeatDue() if not self.state.ended:
                found = check_heartbeat(ActingRun(self._world, self.run.id, self.state), message)
                if isinstance(found, StepFailed):
                    return found
                if found:
                    self.outbox.append(found)
            case StepDue():
                self.woken.add((message.step_id, message.attempt))
        return None

    # --- the beginning ---

    def _is_early(self, start_at: datetime | None, now: datetime) -> bool:
        """Whether a run is delayed that is to begin at `start_at`. Then its start is sent again, where it may have been
        lost or has come early.
        """
        if start_at is None or start_at <= now:
            return False
        starts = [message for message in self.messages if isinstance(message, Start)]
        self.is_early = all(start.due is None or start.due < start_at for start in starts)
        again = self.is_early and (starts or self.redo or self.state.started is None)
        nonce = next((message.nonce for message in self.messages if isinstance(message, Poke)), None)
        self._wake = start_of(self.run.id, start_at, nonce=nonce) if again else None
        return self.is_early

    def _put_off(self) -> bool:
        self.is_put_off = True
        self.outbox += [self._wake] if self._wake else []
        return False

    def _joined(self, record: RunRecord) -> RunRecord:
        """The record with which the run gathers starts, if it does; it ends if its start is another run's."""
        joined = gathering.joined(self._world, record)
        if joined.run_id == record.run_id:
            return joined
        self.is_early = True
        self._refusal = RunCancelled(reason=f"its start was added to run {joined.run_id}", forced=True)
        return record

    def _enter(self, record: RunRecord | RunStarted) -> None:
        """Asks for the run's place at its workflow's limit. Without one the run does not begin now."""
        if not is_limited(record.workflow_name, self.run.id, record.version):
            return
        from worldflow.turns.admission import admission  # which runs without limits do not need

        found = admission(self._world, self.run.id, record, self.messages, again=self.redo)
        self.limit, self._refusal = found.limit, found.decision
        self.outbox += found.messages
        self.is_early = found.waits or found.decision is not None

    def _begin(self, record: RunRecord, now: datetime) -> None:
        """The first events of a run, from its record."""
        run, chance = self.run, self._rules.chance
        traceparent = record.traceparent or self._observer.traceparent(run.id, record.created_at)
        if record.replaces:
            # Again: the process that asked for this run may have died before it sent this.
            self.outbox.append(termination(record.replaces, successor=run.id))
        if record.fork_of is None:
            if not self.is_early:
                run.open(record.workflow_name, record.version)
            workflow = run.execution.workflow if run.execution else None
            start = beginning.start(record, workflow, chance, traceparent)
            self.apply_fact(start.model_copy(update={"limit": self.limit}) if self.limit else start, now)
            return
        adopted, fork = beginning.fork(self._world, record, record.fork_of, chance, traceparent)
        for event in adopted:
            self._keep(event)
        assert self.state.started is not None
        if run.blocked is None:
            self.replay = run.revive(self.state.started, self.events, adopted=True)
        if self.replay and record.fork_of.edit is not None:
            edits = beginning.edits_of(self._world, record.fork_of)
            if events := beginning.called_anew(self._world, run.id, self.state, adopted, self.replay.anew, edits):
                self.events = list(map(as_stored, events))
                run.read_anew(self.events)
        self.apply_fact(fork, self._world.now())
        self.redo = True
        if record.restored:
            self.record(RunRestored(), self.state.at)

    # --- facts ---

    def apply_fact(self, fact: AnyFact, now: datetime) -> None:
        """Records a fact that the state accepts, and what the workflow decides on learning of it."""
        at = max(now, self.state.earliest(fact))
        if isinstance(fact, RunStarted) and fact.start_at and not self.is_early:
            at = max(at, fact.start_at)
        if isinstance(fact, TerminateRequested):
            self.record(fact, at)
            self.record(RunCancelled(reason=fact.reason, forced=True), at)
            return
        if self.state.seq >= self._rules.history_limit:
            self._give_up(fact, at, self._rules.too_long(self.state.seq))
            return
        if not self.waits and self.run.validates(fact) and self._is_refused(fact):
            return
        try:
            # A fork of a run that is paused is not.
            waits = self._begins_late if isinstance(fact, RunForked) else self.waits
            learned = None if waits else self.run.learn(fact, at)
        except PayloadTooLargeError as error:
            self._give_up(fact, at, error)
            return
        if learned is None:
            self.record(fact.model_copy(update={"held": True}), at)
            self.run.pass_over()
            if isinstance(fact, CancelRequested):
                self.record(RunCancelled(reason=fact.reason, forced=True), at)
            return
        fact, decisions = learned
        self.record(fact, at)
        for decision in decisions:
            self.record(decision, at)
        self._end_unbegun(decisions, now)

    def _end_unbegun(self, decisions: Sequence[AnyDecision], now: datetime) -> None:
        """Ends steps that are asked to end and are scheduled in this same commit: nobody can have begun them."""
        asked = [decision.step_id for decision in decisions if isinstance(decision, StepCancelRequested)]
        new = {event.step_id for event in self.events if isinstance(event, StepScheduled)} if asked else ()
        for step_id in asked:
            if step_id in new and not self.state.ended and (step := self.state.steps.get(step_id)):
                self.apply_fact(attempts.never_begun(step), now)

    def _is_refused(self, fact: AnyFact) -> bool:
        """Whether a validator refuses an update, or has refused it when it came before: that answer is final."""
        from worldflow.worlds.refusals import get_refusal  # which hardly any turn needs

        if fact.fact_id not in self.refused and get_refusal(self._world, self.run.id, fact.fact_id) is None:
            refusal = self.run.refusal(fact)
            if refusal is None:
                return False
            self.refused[fact.fact_id] = refusal
        return True

    def answer_refused(self) -> None:
        """Answers the updates that are refused, once a commit has shown that the execution is current."""
        if self.refused:
            from worldflow.worlds.refusals import put_refusal

            for reply in self.refused.values():
                put_refusal(self._world, self.run.id, reply)

    def _apply_held(self, fact: AnyFact, now: datetime) -> None:
        at = max(now, self.state.at)
        applied = Applied(fact_id=fact.fact_id)
        if isinstance(fact, RunStarted) and fact.start_at:
            at = max(at, fact.start_at)
        if isinstance(fact, RunStarted) and self.run.execution:
            workflow = self.run.execution.workflow
            applied = Applied(
                fact_id=fact.fact_id,
                version=workflow.version,
                timeout=workflow.timeout,
                execution_timeout=workflow.starts.execution_timeout,
                max_attempts=workflow.starts.max_attempts,
                limit=None if fact.limit == self.limit else self.limit,
            )
            fact = with_what_was_unknown(fact, applied)
        try:
            learned = self.run.learn(fact, at)
        except PayloadTooLargeError as error:
            self.record(RunFailed(error=encode_exception(error), forced=True), at)
            return
        if learned is not None:
            self.record(applied, at)
            for decision in learned[1]:
                self.record(decision, at)
            self._end_unbegun(learned[1], now)

    def _give_up(self, fact: AnyFact, at: datetime, error: Exception) -> None:
        """Fails a run for what no code of its own can answer."""
        self.record(fact.model_copy(update={"held": True}), at)
        self.record(RunFailed(error=encode_exception(error), forced=True), at)

    def _fail_inline(self, now: datetime) -> None:
        """Fails the inline attempts of a run whose code cannot run: they may be what kills its turns."""
        for step in list(self.run.inline_due(self.woken)):
            error = StepCrashedError(
                f"the function died, or its code was missing, when {step.scheduled.name!r} was due to run"
            )
            fact = attempts.died(step, error)
            if self.state.accepts(fact):
                self.apply_fact(fact, now)
