"""From a run's history to what the run has asked AWS for.

The history says what was committed, and when; what a commit asks for, `Acts` does here once more, before an AWS that
counts (`metering.py`). So that a request more in a turn is one more here. Said again is only what surrounds the
commits: who sent the messages that led to them, and what the step executor does with a task.

Counted are the requests of warm processes, which hold the run, and of messages that come once. A cold process reads
the run's history before its turn, and a message that comes twice is a turn more; the history has neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import assert_never, cast

from worldflow.costs import pauses, places
from worldflow.costs.asking import record_of, uncounted
from worldflow.costs.commits import Commits, Outcome
from worldflow.costs.large_data import count_data
from worldflow.costs.metering import Asked, MeteredWorld
from worldflow.costs.steps import run_inline_again, run_task, watch
from worldflow.costs.streams import StreamCommits, count_streams, with_values
from worldflow.engine import history as h
from worldflow.engine.history import AnyFact, Event, Fact
from worldflow.engine.history.base import UNRECORDED
from worldflow.engine.history.state import RunState
from worldflow.engine.ids import generation
from worldflow.turns.acts import Acts, Obsolete, carry_out
from worldflow.turns.announcing import status_events
from worldflow.turns.pausing import CHANGES
from worldflow.worlds import items, reading
from worldflow.worlds.histories import as_sent, as_stored
from worldflow.worlds.messages import (
    Delayed,
    FactArrived,
    HeartbeatDue,
    Message,
    Outgoing,
    Poke,
    RunMessage,
    Start,
    StepDue,
    StepTask,
    start_of,
)
from worldflow.worlds.records import RunRecord, run_record
from worldflow.worlds.workflow_pauses import pauses_key

CLOSE = timedelta(seconds=2)
"""Messages that come within so much time may be received together, and are one turn then."""


def count(run_id: str, commits: Commits, streams: StreamCommits | None = None, *, event_bus: bool = False) -> Asked:
    """The requests of a run, from its start to the last message after its end.

    Children are runs of their own: their requests are not included, except their start.

    streams: what was written to the run's streams.
    event_bus: whether its status events go to a bus of EventBridge.
    """
    account = _Account(run_id, event_bus=event_bus)
    for commit in commits:
        account.commit(commit)
    if commits:
        account.close()
    count_streams(account.world, run_id, streams or {}, account.say)
    return account.world.asked


class _Account:
    """One run, as its messages come and its commits are written."""

    def __init__(self, run_id: str, *, event_bus: bool) -> None:
        self.world = MeteredWorld(event_bus=event_bus)
        self._run_id = run_id
        self._state = RunState()
        self._inline: set[str] = set()
        self._tasks: dict[tuple[str, int], StepTask] = {}
        """Sent to the step executor, and not known to have run."""
        self._timers: list[tuple[datetime, Delayed]] = []
        """In the queue of timers, and when they can be received."""
        self._inbox: list[RunMessage] = []
        self._idle_at: datetime | None = None
        """When the last message came that brought nothing new."""

    # --- commits ---

    def commit(self, events: Sequence[Event]) -> None:
        self._inline |= {event.step_id for event in events if isinstance(event, h.StepScheduled) and event.inline}
        forked = next((event for event in events if isinstance(event, h.RunForked)), None)
        at = (forked or events[0]).at
        self._pass_time(at)
        self.world.moment = at
        if forked:
            self._ask_for(next(event for event in events if isinstance(event, h.RunStarted)), forked)
        for event in [forked] if forked else events:
            if isinstance(event, Fact):
                self._bring(event)
            count_data(self.world, event, self.say)
        self.world.moment = at
        self._turn(events)
        self._let_idle()

    def close(self) -> None:
        """What comes when the run has ended, or is under way."""
        if not self._state.ended:
            if self._tasks:
                self.say("steps in progress: counted once their results are recorded")
            return
        if self._tasks:
            self.say("outcomes of abandoned steps: assumed to be small")
        for step_id, attempt in list(self._tasks):
            self._execute(h.StepCompleted(step_id=step_id, attempt=attempt))
        self._let_idle()
        while self._timers or self.world.scheduled:
            self._deliver(*self._next())
            self._let_idle()

    def _turn(self, events: Sequence[Event]) -> None:
        """A turn with what is in the inbox, which commits these events, or nothing."""
        messages, self._inbox = self._inbox, []
        for message in messages:
            self.world.delivered(message)
        self._recall(is_new=bool(events))
        state, obsolete = self._state, Obsolete()
        for event in events:
            obsolete.add(event, state.record(event))
        acts = Acts(self.world, self._run_id, state)
        places.admit(self.world, state, events)
        forked = any(isinstance(event, h.RunForked) for event in events)
        pokes = any(isinstance(message, Poke) for message in messages)
        again = forked or pokes or any(isinstance(event, h.RunUnpaused) for event in events)
        if events:
            self.world.append(self._run_id, [as_stored(event) for event in events])
        events = [with_values(event) if isinstance(event, h.StreamWritten) else event for event in events]
        if state.ended and (events or again):
            for out in acts.finish(events, redo=again):
                self._send(out)
            acts.cancel_obsolete(obsolete)
            acts.cancel_obsolete(acts.all_open())
        elif not state.ended:
            if forked:
                self.world.copied[self._run_id] = events
            if again:
                carry_out(self.world, self._run_id, acts.redo())
            else:
                carry_out(self.world, self._run_id, acts.perform(events))
                acts.cancel_obsolete(obsolete)
            for message in messages:
                if isinstance(message, StepDue) and not state.paused:
                    self._send(acts.wake_step(message))
                if isinstance(message, HeartbeatDue):
                    watch(self.world, self._run_id, state, message)
            pauses.act(self.world, self._run_id, state, events, messages)
            held = not state.paused and any(isinstance(event, Fact) and event.held for event in events)
            if held:
                self.say("turns without the workflow's code while the run was blocked")
            told = (h.Applied, h.AttributesSet, *CHANGES)
            if held or again or any(isinstance(event, told) or self._is_taken_up(event) for event in events):
                self.world.update_run(run_record(self._run_id, state, None, self.world.now()))
        if state.has_limits:
            closed = obsolete.attempts
            self._send(places.settle(self.world, self._run_id, state, messages, events, closed, redo=again))
        asked = self.world.asked
        asked.starts += any(event.seq == 1 for event in events)
        asked.ends += bool(events and state.ended)
        if events:
            self.world.announce(status_events(self._run_id, state, events))
        self._collect()

    def _send(self, messages: Sequence[Outgoing]) -> None:
        if messages:
            self.world.send(messages)

    def _is_taken_up(self, event: Event) -> bool:
        """Whether it is the result of an inline step that a turn before this one has left."""
        return isinstance(event, Outcome) and event.step_id in self._inline and event.attempt > 1

    def _recall(self, *, is_new: bool) -> None:
        """What a turn reads of the run in a process that holds it."""
        world, state = self.world, self._state
        may_be_archived = state.started is not None and reading.is_quiet(world, state.at)
        if state.started is None or state.ended or state.paused or may_be_archived:
            world.load_history(self._run_id)
            if state.started is None:
                world.get_run_and_item(self._run_id, pauses_key(self._run_id))
            elif may_be_archived:
                world.get_run(self._run_id)
        elif not is_new:
            world.load_history(self._run_id, state.seq, commits=1)

    def _let_idle(self) -> None:
        """The turns of messages that bring nothing new."""
        while self._inbox:
            if self._idle_at and self.world.moment - self._idle_at < CLOSE:
                self.say("messages without news that arrive close together: each is counted as a turn")
            self._idle_at = self.world.moment
            later, self._inbox = self._inbox[1:], self._inbox[:1]
            self._turn(())
            self._inbox = later + self._inbox

    # --- who sent what led to a commit ---

    def _bring(self, fact: AnyFact) -> None:
        """Has the message sent that brings a fact."""
        world, state = self.world, self._state
        match fact:
            case h.RunStarted():
                self._ask_for(fact)
            case h.RunForked() | h.RunRestored():
                pass
            case h.StepCompleted() | h.StepFailed():
                self._bring_due(StepDue(run_id=self._run_id, step_id=fact.step_id, attempt=fact.attempt))
                if fact.step_id not in self._inline:
                    self._execute(fact)
                elif fact.attempt > 1:
                    run_inline_again(world, self._run_id, state, fact)
            case h.TimerFired(woken=True):
                world.load_history(self._run_id)
                self._send_to_run(fact)
            case h.TimerFired():
                self._bring_due(FactArrived(run_id=self._run_id, fact=h.TimerFired(timer_id=fact.timer_id)))
            case h.ChildCompleted() | h.ChildFailed():
                self._inbox.append(self._arrived(fact))  # the child has sent it
            case h.HookConflicted():
                self.say("requests to find that another run holds a hook")
                world.send([self._arrived(fact)])
            case h.CancelRequested() | h.TerminateRequested() if fact.by_parent:
                self._inbox.append(self._arrived(fact))  # the parent has sent it
                return
            case h.RunUnpaused():
                if not (state.paused and fact.pause_id == state.paused.pause_id):  # else the run is cancelled
                    self._send_to_run(fact)
                if fact.of_workflow:
                    pauses.look_up(world)
            case h.RunPaused() if pauses.comes_with_record(fact, state):
                return
            case h.SignalReceived() | h.UpdateReceived() | h.CancelRequested() | h.TerminateRequested() | h.RunPaused():
                if isinstance(fact, h.UpdateReceived):
                    self.say("polls for the answers to updates: not counted")
                self._send_to_run(fact)
            case h.HookResumed():
                items.get_hook(world, state.hooks[fact.hook_id].token if fact.hook_id in state.hooks else "")
                self._send_to_run(fact)
            case _:
                assert_never(fact)
        self._collect()

    def _ask_for(self, started: h.RunStarted, forked: h.RunForked | None = None) -> None:
        """The record and the start message, sent by the run's starter, unless that is in another run's account."""
        world = self.world
        record = record_of(self._run_id, started)
        list(map(self.say, uncounted(started)))
        start = Start(run_id=self._run_id, asked_by=started.parent)
        if forked:
            self.say("requests to start from the history of another run")
        if forked or (started.parent is None and generation(self._run_id)[1] == 1):
            self._create(record, throttled=bool(started.throttled))
        else:
            # Of its parent's account, or of the generation's before it.
            world.remember(record)
            self._inbox.append(start)
        if started.throttled and not started.start_at:
            places.throttle(world, started.workflow_name)
        self._collect()

    def _create(self, record: RunRecord, *, throttled: bool) -> None:
        """Starts the run, some time before it begins if it is delayed, or waits for its place at a throttle."""
        world, begins_at = self.world, self.world.moment
        world.moment = record.created_at if record.start_at else begins_at
        start_at = None if throttled else record.start_at
        world.create_run(record.model_copy(update={"start_at": start_at}))
        world.send([start_of(record.run_id, start_at, record.parent)])
        if throttled and record.start_at:
            self._collect()
            self._wait_for_place(record)
        if record.start_at:
            self._collect()
            world.moment = begins_at
            self._bring_due(Start(run_id=record.run_id, due=record.start_at))

    def _wait_for_place(self, record: RunRecord) -> None:
        """A turn in which a throttled run learns when it may begin."""
        messages, self._inbox = self._inbox, []
        for message in messages:
            self.world.delivered(message)
        self._recall(is_new=False)
        places.throttle(self.world, record.workflow_name)
        self.world.update_run(record.model_copy(update={"throttled": True}))
        self.world.send([start_of(record.run_id, record.start_at)])

    def _send_to_run(self, fact: AnyFact) -> None:
        """A sender to a run first checks whether the run is still open."""
        base, number = generation(self._run_id)
        if number > 1:
            self.world.get_run(base)
            items.get_generation(self.world, base)
        self.world.get_run(self._run_id)
        self.world.send([self._arrived(fact)])

    def _arrived(self, fact: Fact) -> FactArrived:
        return FactArrived(run_id=self._run_id, fact=self._unrecorded(fact))

    def _execute(self, fact: Outcome) -> None:
        """What the step executor does with a task, of which this comes."""
        world, task = self.world, self._tasks.pop((fact.step_id, fact.attempt), None)
        if task is None:
            if (step := self._state.steps.get(fact.step_id)) and step.scheduled.entity:
                self._inbox.append(self._arrived(fact))  # the entity has sent it
            return
        run_task(world, task, cast("Outcome", self._unrecorded(fact)), self.say)
        self._collect()

    # --- time ---

    def _pass_time(self, until: datetime) -> None:
        """What comes before the next commit, and is no part of it."""
        while True:
            timers = [*self._timers, *self.world.scheduled.values()]
            due = [timer for timer in timers if timer[0] <= until and not self._is_awaited(timer[1].message)]
            if not due:
                return
            self._deliver(*min(due, key=lambda timer: timer[0]))
            self._let_idle()

    def _is_awaited(self, message: Message) -> bool:
        """Whether a commit is to come for a message."""
        if isinstance(message, FactArrived):
            return self._state.accepts(message.fact)
        if not isinstance(message, StepDue) or message.step_id not in self._inline:
            return False
        step = self._state.steps.get(message.step_id)
        return step is not None and step.attempt == message.attempt

    def _bring_due(self, message: RunMessage) -> None:
        """Delivers a message that was to come later, if there is one."""
        same = [timer for timer in self._waiting() if timer[1].message == message]
        if not same:
            return
        self._deliver(*same[0])
        if isinstance(message, StepDue):
            self._let_idle()

    def _next(self) -> tuple[datetime, Delayed]:
        return min(self._waiting(), key=lambda timer: timer[0])

    def _waiting(self) -> list[tuple[datetime, Delayed]]:
        return [*self._timers, *self.world.scheduled.values()]

    def _deliver(self, at: datetime, delayed: Delayed) -> None:
        """Lets a message go from the queue of timers to its own: on the way there it may have to wait once more."""
        world, asked = self.world, self.world.asked
        world.moment = at
        names = [name for name, (_, other) in world.scheduled.items() if other == delayed]
        if names:
            del world.scheduled[names[0]]
            asked.schedules += 1
            asked.sends += 1  # Scheduler's own
        else:
            self._timers.remove((at, delayed))
        world.delivered(delayed)
        world.send([delayed])
        self._collect()
        for timer in self._timers:
            if timer[1].message == delayed.message:
                self._deliver(*timer)
                return

    def _collect(self) -> None:
        """Takes what was sent to where it comes out."""
        sent, self.world.sent = self.world.sent, []
        for at, message in sent:
            if isinstance(message, Delayed):
                self._timers.append((at, message))
            elif isinstance(message, StepTask):
                self._tasks[message.step_id, message.attempt] = message
            elif isinstance(message, RunMessage) and message.run_id == self._run_id:  # else of another's account
                self._inbox.append(message)

    def _unrecorded(self, fact: Fact) -> Fact:
        """A fact as a message has it."""
        unrecorded = as_sent(self.world, self._run_id, fact)
        return unrecorded.model_copy(update={"seq": 0, "at": UNRECORDED, "held": None})

    def say(self, what: str) -> None:
        if what not in self.world.asked.estimated:
            self.world.asked.estimated.append(what)
