"""What a run's history asks of the world, once it is committed.

Steps are sent, timers set, children and next generations started, tokens of hooks held, and a run's end is told. Each
act is known by ids that the history has, so that doing it twice is harmless: after a crash everything open is done
again. Only what tidies up (a schedule that nobody waits for) is done once and may be lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter

from worldflow.engine.durations import spoken
from worldflow.engine.errors import RunCancelledError, RunExistsError, StepTimeoutError
from worldflow.engine.history import (
    CancelRequested,
    ChildCancelRequested,
    ChildCompleted,
    ChildFailed,
    ChildStarted,
    Decision,
    Event,
    HookConflicted,
    HookCreated,
    HookDisposed,
    Parent,
    RunContinued,
    StepAbandoned,
    StepCompleted,
    StepFailed,
    StepRetryScheduled,
    StepScheduled,
    TerminateRequested,
    TimerCancelled,
    TimerFired,
    TimerStarted,
)
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.history.state import OpenChild, OpenStep, RunState
from worldflow.engine.ids import generation
from worldflow.engine.traceparent import run_context
from worldflow.worlds import items, ledger
from worldflow.worlds.base import World
from worldflow.worlds.messages import (
    Delayed,
    FactArrived,
    HeartbeatDue,
    Outgoing,
    Poke,
    Start,
    StepDue,
    StepTask,
)
from worldflow.worlds.payloads import adopt, adopt_event
from worldflow.worlds.records import HookRecord, RunRecord, run_record

_log = logging.getLogger("worldflow")

PAGE = 100
"""Acts after which it is asked whether there is time for more."""

REMEMBERED = timedelta(days=35)
"""After so much time the step ledger has forgotten what came of steps before a run was restored."""


Act = Callable[[], Iterable[Outgoing]]
"""Does something, and returns what is to be sent."""


@dataclass(slots=True)
class Closed:
    """What the events of one commit have closed, as it was."""

    timers: list[TimerStarted] = field(default_factory=list)
    attempts: list[OpenStep] = field(default_factory=list)
    unwanted: list[OpenStep] = field(default_factory=list)
    """Attempts that may run still."""

    def note(self, event: Event, state: RunState) -> None:
        """To be told of each event before `state` is."""
        if isinstance(event, (StepCompleted, StepFailed, StepAbandoned)):
            if (step := state.steps.get(event.step_id)) and step.attempt:
                self.attempts.append(replace(step))
                # Where a step sends no heartbeats, a timeout is told by the deadline of its task.
                if isinstance(event, StepAbandoned) or (is_timeout(event) and step.scheduled.heartbeat_timeout):
                    self.unwanted.append(replace(step))
        elif isinstance(event, TimerCancelled) and (timer := state.timers.get(event.timer_id)):
            self.timers.append(timer)


class Acts:
    """The acts of one run, as its history stands."""

    def __init__(
        self, world: World, run_id: str, state: RunState, out_of_time: Callable[[], bool] = lambda: False
    ) -> None:
        """
        out_of_time: asked between pages of acts; what is left when it says so is done by turns after this one.
        """
        self._world = world
        self._run_id = run_id
        self._state = state
        self._out_of_time = out_of_time

    # --- while the run goes on ---

    def after(self, events: Sequence[Event], closed: Closed) -> None:
        """Does what the decisions among `events` ask for, unless others among them have closed it again."""
        if self._do([(0, partial(self._after, event)) for event in events if isinstance(event, Decision)]):
            self.tidy(closed)

    def _after(self, event: Event) -> Iterable[Outgoing]:
        state = self._state
        match event:
            case StepScheduled():
                step = state.steps.get(event.step_id)
                if step and step.attempt == 1 and not event.inline:
                    # The ledger of a run that was restored may know what came of a step that is scheduled once more.
                    return [self.task(step, redo=state.restored is not None), *self._watches(step)]
            case StepRetryScheduled():
                step = state.steps.get(event.step_id)
                if step and step.attempt == event.attempt:
                    return self._again_later(step)
            case TimerStarted() if event.timer_id in state.timers:
                return [Delayed(due=event.due, message=self._timer(event))]
            case ChildStarted() if event.child_id in state.children:
                return self._start(state.children[event.child_id], redo=False)
            case ChildCancelRequested() if event.child_id in state.children:
                return [self._cancel(state.children[event.child_id])]
            case HookCreated() if event.hook_id in state.hooks:
                return self._hold(event)
            case HookDisposed() if event.hook_id in state.closed_hooks:
                self._release(state.closed_hooks[event.hook_id])
        return []

    def again(self, after: int = 0) -> None:
        """Does all that is open once more, in the order in which it was asked for: what was asked for behind event
        `after`.
        """
        state = self._state
        acts: list[tuple[int, Act]] = []
        acts += [(hook.seq, partial(self._release_again, hook)) for hook in state.closed_hooks.values()]
        acts += [(hook.seq, partial(self._hold, hook)) for hook in state.hooks.values()]
        acts += [(step.scheduled.seq, partial(self._attempt_again, step)) for step in state.steps.values()]
        acts += [(timer.seq, partial(self._timer_again, timer)) for timer in state.timers.values()]
        acts += [(child.started.seq, partial(self._start_again, child)) for child in state.children.values()]
        self._do(sorted((act for act in acts if act[0] > after), key=itemgetter(0)))

    def waits(self) -> list[Delayed]:
        """The messages that are on their way to what is open, and not due yet."""
        state, now = self._state, self._world.now()
        messages = [message for timer in state.timers.values() for message in self._timer_again(timer)]
        for step in state.steps.values():
            if step.attempt is not None:
                messages += self._again_later(step) if step.due else self._watches(step)
        return [message for message in messages if isinstance(message, Delayed) and message.due > now]

    def _do(self, acts: Sequence[tuple[int, Act]]) -> bool:
        """Does acts, each of which has the event it is asked for by. Returns whether there was time for all."""
        for start in range(0, len(acts), PAGE):
            page = acts[start : start + PAGE]
            messages = [message for _, act in page for message in act()]
            self._send(messages)
            if start + PAGE < len(acts) and self._out_of_time():
                self._world.send([Poke(run_id=self._run_id, after=page[-1][0])])
                return False
        return True

    def _release_again(self, hook: HookCreated) -> list[Outgoing]:
        self._release(hook)
        return []

    def _attempt_again(self, step: OpenStep) -> list[Outgoing]:
        if step.attempt is None:
            return []
        if step.due and step.due > self._world.now():
            return self._again_later(step)
        return [] if step.scheduled.inline else [self.task(step, redo=True), *self._watches(step)]

    def _timer_again(self, timer: TimerStarted) -> list[Outgoing]:
        return [Delayed(due=timer.due, message=self._timer(timer))]

    def _start_again(self, child: OpenChild) -> list[Outgoing]:
        return [*self._start(child, redo=True), *([self._cancel(child)] if child.cancel_requested else [])]

    def due(self, message: StepDue) -> None:
        """The time of an attempt has come. A wake may come twice, so the attempt may have been under way before."""
        step = self._state.steps.get(message.step_id)
        if step and step.attempt == message.attempt and not step.scheduled.inline:
            self._world.send([self.task(step, redo=True)])

    def heartbeat_lost(self, message: HeartbeatDue) -> StepFailed | None:
        """The failure of an attempt that has sent no heartbeat in time. While it does, looks again later; also while it
        has sent none at all, since it sends one when it begins.
        """
        step = self._state.steps.get(message.step_id)
        if step is None or step.attempt != message.attempt or step.scheduled.heartbeat_timeout is None:
            return None
        timeout = timedelta(seconds=step.scheduled.heartbeat_timeout)
        beat = ledger.last_beat(self._world, self._run_id, message.step_id, message.attempt)
        now = self._world.now()
        # Without a beat, at times that do not depend on this one: copies of a look lead to copies of the next.
        due = beat.at + timeout if beat else step.dispatched + ((now - step.dispatched) // timeout + 1) * timeout
        if due > now:
            self._send([self._heartbeat(step, due)])
            return None
        return _timed_out(step, f"it sent no heartbeat for {spoken(step.scheduled.heartbeat_timeout)}")

    def task(self, step: OpenStep, *, redo: bool = False) -> StepTask:
        """The task of a step's attempt."""
        scheduled = step.scheduled
        assert step.attempt is not None
        return StepTask(
            run_id=self._run_id,
            step_id=scheduled.step_id,
            attempt=step.attempt,
            name=scheduled.name,
            input=scheduled.input,
            redo=redo,
            timeout=scheduled.timeout,
            deadline=None if scheduled.inline else step.deadline,
            heartbeats=True if scheduled.heartbeat_timeout else None,
            at_most_once=scheduled.at_most_once,
            ledger=scheduled.ledger,
            origin=step.origin,
            traceparent=self._traceparent(),
        )

    def _traceparent(self) -> str | None:
        """The span of this run, where it is in a trace."""
        started = self._state.started
        if started is None or started.traceparent is None:
            return None
        return str(run_context(self._run_id, started.created_at, started.traceparent))

    def _again_later(self, step: OpenStep) -> list[Outgoing]:
        assert step.attempt is not None
        due = StepDue(run_id=self._run_id, step_id=step.scheduled.step_id, attempt=step.attempt)
        assert step.due is not None
        return [Delayed(due=step.due, message=due), *self._watches(step)]

    def _watches(self, step: OpenStep) -> list[Outgoing]:
        """What finds out that an attempt takes too long."""
        watches: list[Outgoing] = []
        if step.deadline and not step.scheduled.inline:
            watches.append(Delayed(due=step.deadline, message=self._timeout(step)))
        if step.scheduled.heartbeat_timeout and not step.scheduled.inline:
            watches.append(self._heartbeat(step, step.dispatched + timedelta(seconds=step.scheduled.heartbeat_timeout)))
        return watches

    def _timeout(self, step: OpenStep) -> FactArrived:
        assert step.scheduled.timeout is not None
        fact = _timed_out(step, f"it took longer than {spoken(step.scheduled.timeout)}")
        return FactArrived(run_id=self._run_id, fact=fact, nonce="timeout")

    def _heartbeat(self, step: OpenStep, due: datetime) -> Outgoing:
        assert step.attempt is not None
        message = HeartbeatDue(run_id=self._run_id, step_id=step.scheduled.step_id, attempt=step.attempt, due=due)
        return Delayed(due=due, message=message)

    def _timer(self, timer: TimerStarted) -> FactArrived:
        return FactArrived(run_id=self._run_id, fact=TimerFired(timer_id=timer.timer_id))

    # --- children ---

    def _start(self, child: OpenChild, *, redo: bool) -> list[Outgoing]:
        started = child.started
        parent = Parent(run_id=self._run_id, child_id=started.child_id)
        existing = self._world.get_run(started.child_run_id) if redo else None
        if redo and existing is None and (told := self._archived(started, parent)):
            return [told]
        existing = existing or self._create(started, parent)
        if existing and not self._is_same_call(existing.parent, parent):
            run_id = started.child_run_id
            error = RunExistsError(f"run {run_id!r} already exists, and was not started by this call", run_id)
            _log.warning("run %s could not start a child: %s", self._run_id, error)
            fact = ChildFailed(child_id=started.child_id, error=encode_exception(error))
            return [FactArrived(run_id=self._run_id, fact=fact, nonce="refused")]
        # Also where the child exists: whoever created it may have died before this, and an ended one tells us again.
        return [Start(run_id=started.child_run_id, asked_by=parent)]

    def _create(self, started: ChildStarted, parent: Parent) -> RunRecord | None:
        run_id, now = started.child_run_id, self._world.now()
        return self._world.create_run(
            RunRecord(
                run_id=run_id,
                workflow_name=started.workflow_name,
                version=started.version,
                created_at=now,
                updated_at=now,
                input=adopt(self._world, run_id, started.input),
                parent=parent,
                restored=_restored(self._state, now),
                traceparent=self._traceparent(),
            )
        )

    def _archived(self, started: ChildStarted, parent: Parent) -> FactArrived | None:
        """What a child says again that is archived: nobody else says it any more, and it must not run once more."""
        from worldflow.turns.generations import archived_outcome

        record = archived_outcome(self._world, started.child_run_id)
        if record is None or not self._is_same_call(record.parent, parent):
            return None
        fact = _told(started.child_id, record)
        if fact is None:
            return None
        fact = adopt_event(self._world, self._run_id, fact)
        return FactArrived(run_id=self._run_id, fact=fact, nonce=f"{record.run_id}:archived")

    def _is_same_call(self, one: Parent | None, other: Parent) -> bool:
        """Whether a child belongs to a call: also to that of a run which this one is a retry of."""
        if one is None or one.child_id != other.child_id:
            return False
        return one.run_id == other.run_id or (
            self._state.forked is not None and generation(one.run_id)[0] == generation(other.run_id)[0]
        )

    def _cancel(self, child: OpenChild) -> FactArrived:
        reason = f"its parent {self._run_id} no longer waits for it"
        return FactArrived(run_id=child.started.child_run_id, fact=CancelRequested(reason=reason), nonce="parent")

    def _close(self, child: OpenChild) -> FactArrived | None:
        """What a child is told when its parent has ended."""
        reason = f"its parent {self._run_id} has ended"
        match child.started.parent_close:
            case "cancel":
                fact: CancelRequested | TerminateRequested = CancelRequested(reason=reason)
            case "terminate":
                fact = TerminateRequested(reason=reason)
            case _:
                return None
        return FactArrived(run_id=child.started.child_run_id, fact=fact, nonce="parent")

    # --- hooks ---

    def _hold(self, hook: HookCreated) -> list[Outgoing]:
        """Makes the run the holder of a hook's token, unless another live run is."""
        record = HookRecord(
            token=hook.token,
            run_id=self._run_id,
            hook_id=hook.hook_id,
            metadata=hook.metadata,
            webhook=hook.webhook,
            answers=hook.answers,
        )
        before: str | None = None
        while not items.put_hook(self._world, record, before):
            holder = items.get_hook(self._world, hook.token)
            if holder is None:
                continue
            if self._is_live(holder.run_id):
                return [FactArrived(run_id=self._run_id, fact=HookConflicted(hook_id=hook.hook_id))]
            before = holder.run_id
        return []

    def _is_live(self, run_id: str) -> bool:
        (base, number), (own_base, own_number) = generation(run_id), generation(self._run_id)
        if base == own_base and number < own_number:
            return False  # a generation before, which may not have said yet that it has ended
        record = self._world.get_run(run_id)
        return record is not None and not record.ended

    def _release(self, hook: HookCreated) -> None:
        if hook.token not in {other.token for other in self._state.hooks.values()}:
            items.delete_hook(self._world, hook.token, self._run_id)

    # --- the end ---

    def end(self, events: Sequence[Event], closed: Closed, *, redo: bool) -> None:
        """Does what the end of the run asks for: the next generation first, then the record, then the parent.

        What was decided with the end is not begun, except children that outlive it.
        """
        state = self._state
        if isinstance(state.ended, RunContinued):
            self._continue(state.ended, redo=redo)
        self._world.update_run(run_record(self._run_id, state, None, self._world.now()))
        messages: list[Outgoing] = []
        if state.started and state.started.parent:
            messages += self._tell(state.started.parent, nonce=self._run_id)
        for hook in (*state.hooks.values(), *(state.closed_hooks.values() if redo else ())):
            items.delete_hook(self._world, hook.token, self._run_id)
        for event in events:
            if isinstance(event, HookDisposed) and event.hook_id in state.closed_hooks:
                self._release(state.closed_hooks[event.hook_id])
        begun_now = {event.child_id for event in events if isinstance(event, ChildStarted)}
        for child in state.children.values():
            is_new = child.started.child_id in begun_now
            if child.cancel_requested:
                messages += [] if is_new else [self._cancel(child)]
            elif child.started.parent_close == "abandon" and (is_new or redo):
                messages += self._start(child, redo=redo)
            elif not is_new and (message := self._close(child)):
                messages.append(message)
        self._send(messages)
        open_steps = [step for step in state.steps.values() if step.attempt]
        self.tidy(closed)
        self.tidy(Closed(list(state.timers.values()), open_steps, open_steps))

    def begin_following(self) -> None:
        """Creates the generation that follows a run that has continued, unless that was done."""
        ended = self._state.ended
        if isinstance(ended, RunContinued):
            base, number = generation(ended.next_run_id)
            if items.get_generation(self._world, base) < number:
                self._continue(ended, redo=False)

    def _continue(self, ended: RunContinued, *, redo: bool) -> None:
        base, number = generation(ended.next_run_id)
        if redo and items.get_generation(self._world, base) >= number:
            self._world.send([Start(run_id=ended.next_run_id)])  # it was created, and may be archived by now
            return
        self._world.create_run(following_record(self._world, self._state))
        items.put_generation(self._world, base, number)
        self._world.send([Start(run_id=ended.next_run_id)])

    def tell(self, parent: Parent) -> None:
        """Tells the call that asked for a child which has ended before: it may be another than the first."""
        ended = self._state.ended
        if isinstance(ended, RunContinued):
            from worldflow.turns.generations import not_archived

            following = not_archived(self._world, ended.next_run_id, self._state.started)
            self._world.send([Start(run_id=following, asked_by=parent)])
        else:
            self._send(self._tell(parent, nonce=f"{self._run_id}:asked"))

    def _tell(self, parent: Parent, nonce: str) -> list[Outgoing]:
        """
        nonce: the child's id, since calls of other runs of one id may have the same number.
        """
        fact = _told(parent.child_id, run_record(self._run_id, self._state, None, self._world.now()))
        if fact is None:
            return []
        return [FactArrived(run_id=parent.run_id, fact=adopt_event(self._world, parent.run_id, fact), nonce=nonce)]

    # --- all ---

    def tidy(self, closed: Closed) -> None:
        """Takes back what nobody waits for any more. Attempts that may be in the queue or under way are told: so are
        those that wait for their place, and do not begin.
        """
        for timer in closed.timers:
            if self._out_of_time():
                return
            self._world.cancel_delayed(self._timer(timer), timer.due, timer.at)
        for step in closed.attempts:
            if self._out_of_time():
                return
            if step.deadline and not step.scheduled.inline:
                self._world.cancel_delayed(self._timeout(step), step.deadline, step.dispatched)
        for step in closed.unwanted:
            if self._out_of_time():
                return
            if step.attempt and not step.scheduled.inline:
                ledger.abandon(self._world, self._run_id, step.scheduled.step_id, step.attempt)

    def _send(self, messages: Sequence[Outgoing]) -> None:
        if messages:
            self._world.send(messages)


def _told(child_id: str, child: RunRecord) -> ChildCompleted | ChildFailed | None:
    """What a child that has ended tells its parent; one that continues lets its successor tell."""
    match child.status:
        case "completed":
            return ChildCompleted(child_id=child_id, child_run_id=child.run_id, result=child.result)
        case "failed":
            assert child.error is not None
            return ChildFailed(child_id=child_id, child_run_id=child.run_id, error=child.error)
        case "cancelled":
            because = f": {child.reason}" if child.reason else ""
            error = RunCancelledError(f"run {child.run_id!r} was cancelled{because}", child.run_id)
            return ChildFailed(child_id=child_id, child_run_id=child.run_id, error=encode_exception(error))
    return None


def following_record(world: World, state: RunState) -> RunRecord:
    """The record of the run that follows one that has continued."""
    started, ended, now = state.started, state.ended, world.now()
    assert started is not None and isinstance(ended, RunContinued)
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
        restored=_restored(state, now),
        # Under the span that the first generation is under, or under the first.
        traceparent=started.traceparent,
    )


def _restored(state: RunState, now: datetime) -> bool | None:
    """Whether the step ledger may have outcomes of a run that is about to be started, from before this was restored."""
    return True if state.restored and now - state.restored < REMEMBERED else None


def is_timeout(event: Event) -> bool:
    timeout = f"{StepTimeoutError.__module__}:{StepTimeoutError.__qualname__}"
    return isinstance(event, StepFailed) and event.error.type == timeout


def _timed_out(step: OpenStep, why: str) -> StepFailed:
    scheduled = step.scheduled
    assert step.attempt is not None
    return StepFailed(
        step_id=scheduled.step_id,
        attempt=step.attempt,
        error=encode_exception(StepTimeoutError(f"step {scheduled.name!r}, attempt {step.attempt}: {why}")),
        retryable=not scheduled.at_most_once,  # it may run still
    )
