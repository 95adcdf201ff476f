"""The acts of limited steps: an attempt is sent when its limit grants it a place, and its place is free when it ends.

Attempts ask for a place when they are due, after the commit that decided on them: neither history nor replay knows of
places. One commit to the limit's history says who leaves and who asks, and grants what is free; the runs of those that
were granted a place, and waited, get a `StepDue` that says so. All of it is known by tokens and harmless to repeat.

A place is free when a process has reported the attempt's outcome. An attempt that its run has given up may be running
still: then a task is sent after it that asks for a report only. It is of the same group of the queue, and so it is
received when no process has the attempt any more.

Who waits looks from time to time whether a holder is dead: by its history, not by a clock. A lease only says when it is
worth looking.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from worldflow.engine import history as h
from worldflow.engine.history.limit_state import DECLARED, Asker, Holder, LimitState
from worldflow.engine.history.limits import LAST_MOMENT, LimitRow, Place, read_token, step_token
from worldflow.engine.history.state import OpenStep, RunState
from worldflow.engine.ids import generation, generation_id
from worldflow.turns.acts import steps
from worldflow.turns.acts.run import ActingRun
from worldflow.worlds import items, limits
from worldflow.worlds.base import World
from worldflow.worlds.messages import Delayed, FactArrived, Outgoing, Poke, RunMessage, StepDue

LOOK_AFTER = timedelta(minutes=1)
"""How long after the end of a lease the first look comes. The looks become rarer while the holder is found alive."""

LONGEST_LOOK = timedelta(hours=1)


@dataclass(slots=True)
class _Change:
    """What the turn of one run changes at one limit."""

    ends: list[str] = field(default_factory=list)
    leaving: dict[str, OpenStep] = field(default_factory=dict)
    asking: dict[str, OpenStep] = field(default_factory=dict)
    again: set[str] = field(default_factory=set)
    """Of those that ask, those that may have been sent before."""
    parks: list[str] = field(default_factory=list)
    """The tokens that leave the line until the pause of the run is over, if they wait."""
    looks: bool = False


def messages_of(
    run: ActingRun, messages: Sequence[RunMessage], events: Sequence[h.Event], closed: Iterable[OpenStep], *, redo: bool
) -> list[Outgoing]:
    """What a turn sends for the limited steps of its run. While that is paused, no attempt asks for a place or waits
    for one.
    """
    limited, is_awake = LimitedSteps(run), run.state.paused is None or run.state.ended is not None
    if not is_awake and (redo or any(isinstance(event, h.RunPaused) for event in events)):
        limited.park_all()
    limited.note([one for one in messages if is_awake or not isinstance(one, StepDue)], events, closed)
    if (redo and is_awake) or (run.state.ended and events):
        limited.note_all()
    return limited.settle()


class LimitedSteps:
    """What a turn changes at the limits of the run's steps."""

    def __init__(self, run: ActingRun) -> None:
        self._run = run
        self._changes: dict[tuple[str, str], _Change] = {}
        self._messages: list[Outgoing] = []

    # --- what has happened ---

    def note(self, messages: Sequence[RunMessage], events: Iterable[h.Event], closed: Iterable[OpenStep]) -> None:
        """
        closed: the attempts that this commit has closed.
        """
        reported = set()
        for message in messages:
            match message:
                case FactArrived(fact=h.StepCompleted() | h.StepFailed() as fact) if not message.is_timeout:
                    reported.add((fact.step_id, fact.attempt))
                    if step := self._find(fact.step_id, fact.attempt):
                        self._end(step)
                case StepDue():
                    self._wake(message)
        for step in closed:
            if step.scheduled.is_limited and step.attempt and (step.scheduled.step_id, step.attempt) not in reported:
                self._leave(step)
        for event in events:
            if isinstance(event, h.StepCancelRequested):
                open_step = self._open(event.step_id)
                if open_step and open_step.attempt is not None:  # which may have failed in the same commit
                    self._messages.append(steps.report(self._run, open_step))
            if isinstance(event, h.StepScheduled) and event.is_limited:
                open_step = self._open(event.step_id)
                if open_step and open_step.attempt == 1 and open_step.due is None:
                    self._ask(open_step, again=self._run.state.restored is not None)

    def note_all(self) -> None:
        """All that is open asks once more, and all that was closed leaves: what was to be done may not have been."""
        state, now = self._run.state, self._run.world.now()
        for step in state.left.values():
            self._leave(step)
        for step in state.steps.values():
            if not step.scheduled.is_limited or step.attempt is None:
                continue
            if step.cancel_requested:
                self._messages.append(steps.report(self._run, step))
            if state.ended:
                self._leave(step)
            elif not step.cancel_requested and (step.due is None or step.due <= now):
                self._ask(step, again=True, looks=True)
        limit = state.started.limit if state.started else None
        if limit and state.ended and not isinstance(state.ended, h.RunContinued):
            place = Place.load(limit)
            self._changes.setdefault((place.limit, place.key), _Change()).ends.append(limit["token"])

    def park_all(self) -> None:
        """Takes all attempts that wait for a place out of their lines: during the pause other runs get the places."""
        for step in self._run.state.steps.values():
            if step.scheduled.is_limited and step.attempt is not None:
                change, token = self._change(step)
                change.parks.append(token)

    def _wake(self, message: StepDue) -> None:
        step = self._find(message.step_id, message.attempt)
        if step is None:
            return
        if self._open(message.step_id, message.attempt) is None:
            self._leave(step)  # its place may just have been granted
        elif step.cancel_requested:
            self._messages.append(steps.report(self._run, step))
        elif message.granted:
            step.granted = message.granted
            self._messages += _sent(self._run, step, again=True)
        else:
            self._ask(step, again=True, looks=message.look is not None)

    def _open(self, step_id: str, attempt: int | None = None) -> OpenStep | None:
        """A step whose open attempt is wanted."""
        step = self._run.state.steps.get(step_id)
        if step is None or self._run.state.ended or not step.scheduled.is_limited:
            return None
        return step if attempt in (None, step.attempt) else None

    def _find(self, step_id: str, attempt: int) -> OpenStep | None:
        """An attempt of a limited step, open or not."""
        step = self._run.state.steps.get(step_id)
        if step and step.attempt == attempt:
            return step if step.scheduled.is_limited else None
        return self._run.state.left.get((step_id, attempt))

    def _change(self, step: OpenStep) -> tuple[_Change, str]:
        started = self._run.state.started
        assert step.scheduled.limit is not None and step.attempt is not None and started is not None
        place = Place.load(step.scheduled.limit)
        token = step_token(self._run.id, started.created_at, step.scheduled.step_id, step.attempt)
        return self._changes.setdefault((place.limit, place.key), _Change()), token

    def _end(self, step: OpenStep) -> None:
        if _place(step).declared.concurrency is not None:
            change, token = self._change(step)
            change.ends.append(token)

    def _leave(self, step: OpenStep) -> None:
        if _place(step).declared.concurrency is not None:
            change, token = self._change(step)
            change.leaving[token] = step

    def _ask(self, step: OpenStep, *, again: bool, looks: bool = False) -> None:
        change, token = self._change(step)
        change.asking[token] = step
        change.looks |= looks
        if again:
            change.again.add(token)

    # --- what it leads to ---

    def settle(self) -> list[Outgoing]:
        """Changes the limits. Returns what is to be sent."""
        messages = self._messages
        for (name, key), change in self._changes.items():
            messages += self._settle(name, key, change)
        return messages

    def _settle(self, name: str, key: str, change: _Change) -> Iterator[Outgoing]:
        run, world = self._run, self._run.world
        state, row = self._commit(name, key, change)
        waits = change.looks and any(token in state.waiting for token in change.asking)
        dead = dead_holders(world, state) if waits else []
        if dead:
            change.ends += dead
            state, row = self._commit(name, key, change)
        now = world.now()
        for token, holder in state.holders.items():
            if step := change.asking.get(token):
                step.granted = _time(holder.at)
                if step.granted > now:
                    yield grant((name, key), holder, now)
                else:
                    yield from _sent(run, step, again=token in change.again)
        left = [*change.ends, *(token for token in change.leaving if token not in state.holders)]
        for holder in granted_by(state, row, left, again=change.looks):
            if holder.asker.token not in change.asking:
                yield grant((name, key), holder, now)
        for token, step in change.leaving.items():
            if token in state.holders and token not in change.asking:
                yield steps.report(run, step)
        again = bool(change.looks or change.ends or change.leaving or change.parks)
        if watch := watcher(state, None if dead else row, again=again):  # the next holder may be dead, too
            yield look((name, key), state, watch, now)

    def _commit(self, name: str, key: str, change: _Change) -> tuple[LimitState, LimitRow | None]:
        newest = max((step.scheduled for step in change.asking.values()), key=lambda one: one.at, default=None)
        declared = Place.load(newest.limit).declared if newest and newest.limit else None
        askers = [_asker(token, step) for token, step in change.asking.items()]

        def plan(state: LimitState) -> LimitRow | None:
            leaving = [token for token in change.leaving if token in state.waiting]
            return state.plan(
                self._run.world.now(),
                ends=[*change.ends, *leaving],
                parks=[token for token in change.parks if token in state.waiting],
                asks=askers,
                declared=declared,
                declared_at=newest.at.timestamp() if newest else 0.0,
            )

        return limits.change(self._run.world, name, key, plan)


def _place(step: OpenStep) -> Place:
    assert step.scheduled.limit is not None
    return Place.load(step.scheduled.limit)


def _asker(token: str, step: OpenStep) -> Asker:
    place = _place(step)
    reports = place.declared.concurrency is not None
    return Asker(token, place.priority, place.fairness, step.scheduled.timeout or 0.0, reports=reports)


def _sent(run: ActingRun, step: OpenStep, *, again: bool) -> list[Outgoing]:
    """The task of an attempt that has a place, and the messages that end it if it takes too long. An attempt whose
    await is cancelled does not begin: its report may already say so.
    """
    if step.cancel_requested:
        return [steps.report(run, step)]
    return [steps.task(run, step, redo=again), *steps.watches(run, step)]


def _time(at: float) -> datetime:
    """A time in seconds since 1970 as a datetime, at most `LAST_MOMENT`, which a slow rate can exceed."""
    return datetime.fromtimestamp(min(at, LAST_MOMENT), UTC)


# --- messages to others that wait ---


def granted_by(state: LimitState, row: LimitRow | None, left: Sequence[str], *, again: bool) -> list[Holder]:
    """Those that hold a place by what a commit has changed.

    left: the tokens that have left, in this commit or before.
    again: those to whom nobody may have said so.
    """
    new = {token for token, _ in row.grants} if row else set()
    before = state.made_room_for([*left, DECLARED] if again else left)
    return [*(state.holders[token] for token in new), *(one for one in before if one.asker.token not in new)]


def grant(limit: tuple[str, str], holder: Holder, now: datetime) -> Outgoing:
    """Tells a run that an attempt, or the run itself, has a place.

    limit: its name and key.
    """
    at = _time(holder.at)
    run_id, step_id, attempt = read_token(holder.asker.token)
    message: StepDue | Poke
    if step_id and attempt:
        message = StepDue(run_id=run_id, step_id=step_id, attempt=attempt, granted=at)
    else:
        message = Poke(run_id=run_id, nonce=granted_nonce(holder), place=(*limit, holder.asker.token))
    return Delayed(due=at, message=message) if at > now else message


def granted_nonce(holder: Holder) -> str:
    """The nonce of the poke that a run has a place from a certain time on."""
    return f"granted-{holder.at}"


def wake(limit: tuple[str, str], holder: Holder, now: datetime) -> StepDue | Poke:
    """`grant`, for a process that cannot send delayed messages: the run is woken and sends its own."""
    message = grant(limit, holder, now)
    if not isinstance(message, Delayed):
        return message  # type: ignore[return-value]
    if isinstance(message.message, StepDue):
        return message.message.model_copy(update={"granted": None, "look": now})
    return message.message.model_copy(update={"nonce": f"ahead-{holder.at}"})  # type: ignore[return-value]


def watcher(state: LimitState, row: LimitRow | None, *, again: bool) -> str | None:
    """The token that is to look for dead holders from now on, if this commit changes it.

    again: also if nothing was committed: the turn that changed it may have died before it sent the message.
    """
    if row:
        return row.watch
    return state.watch if again and state.watch in state.waiting else None


def look(limit: tuple[str, str], state: LimitState, token: str, now: datetime) -> Outgoing:
    """Wakes a waiting run or attempt, which then looks for dead holders."""
    due = _next_look(_time(min((holder.lease for holder in state.places), default=state.at)), now)
    run_id, step_id, attempt = read_token(token)
    message: StepDue | Poke
    if step_id and attempt:
        message = StepDue(run_id=run_id, step_id=step_id, attempt=attempt, look=due)
    else:
        message = Poke(run_id=run_id, nonce=f"look-{due.timestamp()}", place=(*limit, token))
    return Delayed(due=due, message=message)


def _next_look(lease: datetime, now: datetime) -> datetime:
    """When to look next. The times depend on the lease alone, so that copies of a look lead to copies of the next."""
    after = LOOK_AFTER
    while lease + after <= now:
        after += min(after, LONGEST_LOOK)
    ahead = lease + after - now
    return now + (ahead % LONGEST_LOOK or LONGEST_LOOK)


def dead_holders(world: World, state: LimitState) -> list[str]:
    """The tokens of holders whose lease has passed, and that are closed by the history of their run."""
    now = world.now().timestamp()
    tokens = [holder.asker.token for holder in state.places if holder.lease <= now]
    return [token for token in tokens if is_closed(world, token)]


def is_closed(world: World, token: str) -> bool:
    """Whether the history says that the attempt, or the run with all its generations, is over."""
    run_id, step_id, attempt = read_token(token)
    if step_id is None:  # a run keeps its place over its generations
        base, _ = generation(run_id)
        run_id = generation_id(base, items.get_generation(world, base))
    record = world.get_run(run_id)
    if record is None or record.ended:
        return record is None or step_id is not None or record.status != "continued"
    if step_id is None:
        return False
    history = RunState(world.load_history(run_id))
    step = history.steps.get(step_id)
    return history.ended is not None or step is None or step.attempt != attempt
