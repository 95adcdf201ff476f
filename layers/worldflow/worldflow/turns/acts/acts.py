"""The acts of a run: what its committed decisions ask for, as messages for the turn to send."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import assert_never

from worldflow.engine import history as h
from worldflow.engine.history.state import OpenStep, RunState
from worldflow.engine.ids import generation, is_entity
from worldflow.turns.acts import children, hooks, steps, streams
from worldflow.turns.acts.run import ActingRun, starts_restored
from worldflow.turns.attempts import is_timeout
from worldflow.worlds import items, ledger
from worldflow.worlds.base import World
from worldflow.worlds.messages import (
    Delayed,
    FactArrived,
    Outgoing,
    Poke,
    ScheduledRunEnded,
    Start,
    StepDue,
    StepTask,
    start_of,
    termination,
)
from worldflow.worlds.payloads import adopt, adopt_event
from worldflow.worlds.records import RunRecord, run_record

PAGE = 100
"""Acts that are carried out before the turn checks whether it has time for more."""

_SENT = (h.SignalReceived, h.UpdateReceived)
"""What others send to a run, whichever generation receives it."""

Act = tuple[int, Callable[[], Iterable[Outgoing]]]
"""The number of the event that asks for it, and what does it and returns the messages to send."""


@dataclass(slots=True)
class Obsolete:
    """Timers and attempts that the events of one commit have closed, as they were."""

    timers: list[h.TimerStarted] = field(default_factory=list)
    attempts: list[OpenStep] = field(default_factory=list)
    running: list[OpenStep] = field(default_factory=list)
    """Those of the attempts that may still be running."""

    def add(self, event: h.Event, closed: OpenStep | h.TimerStarted | None) -> None:
        """
        closed: what `event` has closed, as `RunState.record` returns it.
        """
        if isinstance(closed, h.TimerStarted):
            self.timers.append(closed)
        elif closed is not None:
            self.attempts.append(closed)
            # Where a step sends no heartbeats, it learns of a timeout by the deadline of its task.
            is_notified = isinstance(event, h.StepAbandoned) and closed.scheduled.cancellation != "abandon"
            if is_notified or (is_timeout(event) and closed.scheduled.heartbeat_timeout):
                self.running.append(closed)


def _writes(event: h.Event) -> bool:
    return isinstance(event, h.StreamWritten)


def never() -> bool:
    """Of time: it is never out."""
    return False


def carry_out(world: World, run_id: str, acts: Sequence[Act], out_of_time: Callable[[], bool] = never) -> bool:
    """Carries out acts, page by page. Returns False if time ran out: a message is sent then for the turn that does the
    rest.
    """
    for start in range(0, len(acts), PAGE):
        page = acts[start : start + PAGE]
        if messages := [message for _, act in page for message in act()]:
            world.send(messages)
        if start + PAGE < len(acts) and out_of_time():
            world.send([Poke(run_id=run_id, after=page[-1][0])])
            return False
    return True


class Acts:
    """The acts of one run, as its history stands."""

    def __init__(self, world: World, run_id: str, state: RunState) -> None:
        self._run = ActingRun(world, run_id, state)

    # --- while the run is open ---

    def perform(self, events: Iterable[h.Event]) -> list[Act]:
        """What the decisions among `events` ask for, unless others among them have closed it again."""
        decisions = [event for event in events if isinstance(event, h.Decision)]
        # Streams first: a step that was called after a write to one may write to it too.
        written = [(0, partial(self._write, decisions))] if any(map(_writes, decisions)) else []
        return [*written, *((0, partial(self._perform, event)) for event in decisions)]

    def _perform(self, event: h.AnyDecision) -> Iterable[Outgoing]:
        run, state = self._run, self._run.state
        match event:
            case h.StepScheduled():
                step = state.steps.get(event.step_id)
                return steps.begin(run, step) if step and step.attempt == 1 and not event.inline else ()
            case h.StepRetryScheduled():
                step = state.steps.get(event.step_id)
                return steps.begin_later(run, step) if step and step.attempt == event.attempt else ()
            case h.TimerStarted():
                return self._set(event) if event.timer_id in state.timers else ()
            case h.ChildStarted():
                child = state.children.get(event.child_id)
                return children.start(run, child, redo=False) if child else ()
            case h.ChildCancelRequested():
                child = state.children.get(event.child_id)
                return [children.cancel(run, child)] if child else ()
            case h.HookCreated():
                return hooks.hold(run, event) if event.hook_id in state.hooks else ()
            case h.HookDisposed():
                hook = state.closed_hooks.get(event.hook_id)
                return hooks.release(run, hook) if hook else ()
            case h.StepCancelRequested():
                step = state.steps.get(event.step_id)
                return steps.request_cancel(run, step) if step else ()
            case h.StepAbandoned() | h.TimerCancelled():
                return ()  # `cancel_obsolete` sees to what they have closed
            case h.StreamWritten():
                return ()  # `perform` sees to all of them together
            case h.Applied() | h.AttributesSet() | h.VersionMarked() | h.Replied():
                return ()
            case h.RunCompleted() | h.RunFailed() | h.RunCancelled() | h.RunContinued():
                return ()  # `finish` sees to the end
            case _:
                assert_never(event)

    def redo(self, after: int = 0) -> list[Act]:
        """All that is open once more, in the order in which it was asked for: what events after number `after` ask
        for.
        """
        run, state = self._run, self._run.state
        acts: list[Act] = [(1, self._end_replaced)] if state.started and state.started.replaces else []
        acts += [(hook.seq, partial(hooks.release, run, hook)) for hook in state.closed_hooks.values()]
        acts += [(hook.seq, partial(hooks.hold, run, hook)) for hook in state.hooks.values()]
        acts += [(step.scheduled.seq, partial(steps.begin_again, run, step)) for step in state.steps.values()]
        acts += [(timer.seq, partial(self._set, timer)) for timer in state.timers.values()]
        acts += [(child.started.seq, partial(children.start_again, run, child)) for child in state.children.values()]
        acts = sorted((act for act in acts if act[0] > after), key=itemgetter(0))
        return [(after, self._write_again), *acts] if state.streams or state.streams_taken else acts

    def _write(self, events: Sequence[h.Event]) -> Iterable[Outgoing]:
        streams.write(self._run, events)
        return ()

    def _write_again(self) -> Iterable[Outgoing]:
        streams.redo(self._run)
        return ()

    def _end_replaced(self) -> list[Outgoing]:
        """Ends the run that this one replaces, unless it has ended: the turn that was to do so may have died."""
        run, started = self._run, self._run.state.started
        if started is None or started.replaces is None:
            return []
        replaced = run.world.get_run(started.replaces)
        if replaced is None or replaced.ended:
            return []
        return [termination(replaced.run_id, successor=run.id)]

    def _notify_callers(self, started: h.RunStarted) -> Iterator[Outgoing]:
        """Notifies the schedule whose next run waits for this one, and answers the callers of an entity."""
        if started.notifies_schedule:
            yield ScheduledRunEnded(schedule_id=started.notifies_schedule, run_id=self._run.id)
        if is_entity(started.workflow_name):
            from worldflow.turns.acts.entity_calls import answer_all  # which hardly any turn needs

            yield from answer_all(self._run)

    def _set(self, timer: h.TimerStarted) -> list[Outgoing]:
        return [Delayed(due=timer.due, message=self._timer(timer))]

    def _timer(self, timer: h.TimerStarted) -> FactArrived:
        return FactArrived(run_id=self._run.id, fact=h.TimerFired(timer_id=timer.timer_id))

    def task(self, step: OpenStep) -> StepTask:
        """The task of a step's open attempt."""
        return steps.task(self._run, step)

    def wake_step(self, message: StepDue) -> list[Outgoing]:
        """The task of an attempt whose time has come. A wake-up may come twice, so the attempt may have been under way
        before.
        """
        step = self._run.state.steps.get(message.step_id)
        if step is None or step.attempt != message.attempt or step.scheduled.inline or step.scheduled.is_limited:
            return []
        return [steps.task(self._run, step, redo=True)]

    def waits(self) -> list[Delayed]:
        """The messages that are on their way to what is open, and not due yet."""
        run, now = self._run, self._run.world.now()
        messages = [message for timer in run.state.timers.values() for message in self._set(timer)]
        for step in run.state.steps.values():
            if step.attempt is not None:
                messages += steps.begin_later(run, step) if step.due else steps.watches(run, step)
        return [message for message in messages if isinstance(message, Delayed) and message.due > now]

    # --- the end ---

    def finish(self, events: Sequence[h.Event], *, redo: bool) -> Iterator[list[Outgoing]]:
        """What the end of the run asks for: streams first, of which readers learn then that they have ended; the next
        generation, the record, the parent, the schedule. Yields messages to send before it continues.

        What was decided with the end is not begun, except children that outlive it.
        """
        run, state = self._run, self._run.state
        if redo:
            streams.redo(run)
        else:
            streams.write(run, events)
        if isinstance(state.ended, h.RunContinued):
            yield self._continue(state.ended, redo=redo)
            yield self._hand_on(state.ended.next_run_id)
        record = run_record(run.id, state, None, run.world.now())
        run.world.update_run(record)
        messages = self._end_replaced() if redo else []
        if state.started and state.started.parent:
            messages += children.notify_parent(run, state.started.parent, record, nonce=run.id)
        if state.started and not isinstance(state.ended, h.RunContinued):
            messages += self._notify_callers(state.started)
        for hook in (*state.hooks.values(), *(state.closed_hooks.values() if redo else ())):
            items.delete_hook(run.world, hook.token, run.id)
        for event in events:
            if isinstance(event, h.HookDisposed) and event.hook_id in state.closed_hooks:
                hooks.release(run, state.closed_hooks[event.hook_id])
        if state.started and state.started.start_at and state.started.fact_id in state.held:
            start = Start(run_id=run.id, due=state.started.start_at)
            run.world.cancel_delayed(start, state.started.start_at, state.started.created_at)
        begun_now = {event.child_id for event in events if isinstance(event, h.ChildStarted)}
        for child in state.children.values():
            is_new = child.started.child_id in begun_now
            if child.cancel_requested:
                messages += [] if is_new else [children.cancel(run, child)]
            elif child.started.parent_close == "abandon" and (is_new or redo):
                messages += children.start(run, child, redo=redo)
            elif not is_new and (message := children.close(run, child)):
                messages.append(message)
        yield messages

    def all_open(self) -> Obsolete:
        """The timers and attempts that the end of the run has made obsolete."""
        state = self._run.state
        attempts = [step for step in state.steps.values() if step.attempt]
        return Obsolete(list(state.timers.values()), attempts, attempts)

    def begin_following(self) -> list[Outgoing]:
        """Creates the generation that follows a run that has continued, unless that was done."""
        ended = self._run.state.ended
        if isinstance(ended, h.RunContinued):
            base, number = generation(ended.next_run_id)
            if items.get_generation(self._run.world, base) < number:
                return self._continue(ended, redo=False)
        return []

    def _continue(self, ended: h.RunContinued, *, redo: bool) -> list[Outgoing]:
        world = self._run.world
        base, number = generation(ended.next_run_id)
        if not redo or items.get_generation(world, base) < number:  # else it was created, and may be archived by now
            world.create_run(following_record(world, self._run.state))
            items.put_generation(world, base, number)
        return [start_of(ended.next_run_id, ended.start_at)]

    def _hand_on(self, run_id: str) -> list[Outgoing]:
        """Sends on what the workflow has not learned of: it was held, and the run continued before its turn came."""
        world, unrecorded = self._run.world, {"held": None, "seq": 0, "at": h.UNRECORDED}
        waiting = [fact for fact in self._run.state.held.values() if isinstance(fact, _SENT)]
        adopted = (adopt_event(world, run_id, fact.model_copy(update=unrecorded)) for fact in waiting)
        return [FactArrived(run_id=run_id, fact=fact) for fact in adopted]

    def answer(self, parent: h.Parent) -> list[Outgoing]:
        """Tells the call that asked for this run how it has ended: it may be another call than the first."""
        run, ended = self._run, self._run.state.ended
        if isinstance(ended, h.RunContinued):
            from worldflow.turns.generations import not_archived  # which hardly any turn needs

            following = not_archived(run.world, ended.next_run_id, run.state.started)
            return [Start(run_id=following, asked_by=parent)]
        record = run_record(run.id, run.state, None, run.world.now())
        return children.notify_parent(run, parent, record, nonce=f"{run.id}:asked")

    # --- what is obsolete ---

    def cancel_obsolete(self, obsolete: Obsolete, out_of_time: Callable[[], bool] = never) -> None:
        """Takes back the messages of timers and attempts that are obsolete, and tells attempts that may still be
        running or waiting in the queue. Stops when time runs out.
        """
        run = self._run
        for timer in obsolete.timers:
            if out_of_time():
                return
            run.world.cancel_delayed(self._timer(timer), timer.due, timer.at)
        for step in obsolete.attempts:
            if out_of_time():
                return
            if step.deadline and not step.scheduled.inline:
                run.world.cancel_delayed(steps.timeout(run, step), step.deadline, step.dispatched)
        for step in obsolete.running:
            if out_of_time():
                return
            if step.attempt and not (step.scheduled.inline or step.scheduled.entity):
                ledger.abandon(run.world, run.id, step.scheduled.step_id, step.attempt)


def following_record(world: World, state: RunState) -> RunRecord:
    """The record of the run that follows one that has continued."""
    started, ended, now = state.started, state.ended, world.now()
    assert started is not None and isinstance(ended, h.RunContinued)
    return RunRecord(
        run_id=ended.next_run_id,
        workflow_name=started.workflow_name,
        created_at=now,
        updated_at=now,
        input=adopt(world, ended.next_run_id, ended.input),
        parent=started.parent,
        attributes=state.attributes,
        carried=adopt(world, ended.next_run_id, ended.carried),
        seen=ended.seen or [],
        restored=starts_restored(state, now),
        limit=started.limit,
        start_at=ended.start_at,
        attempt=ended.attempt,
        first_at=ended.first_at,
        expires_at=ended.expires_at,
        notifies_schedule=started.notifies_schedule,
        # Under the span that the first generation is under, or under the first.
        traceparent=started.traceparent,
        headers=started.headers,
    )
