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
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial

from worldflow.engine.errors import ConflictError
from worldflow.engine.history import (
    Applied,
    AttributesSet,
    CancelRequested,
    ChildCompleted,
    ChildFailed,
    Event,
    Fact,
    SignalReceived,
    StepCompleted,
    StepFailed,
    StepScheduled,
    TerminateRequested,
    UpdateReceived,
)
from worldflow.engine.history.state import OpenStep, RunState
from worldflow.engine.ids import generation, generation_id
from worldflow.turns.acts import Acts
from worldflow.turns.announcing import status_events
from worldflow.turns.forwarding import revive, start_anew
from worldflow.turns.live_run import RunInHand, interrupted
from worldflow.turns.memory import without_collections
from worldflow.turns.observer import Blocked, Commit, Observer, Observers, Turn
from worldflow.turns.second_looks import is_look, next_look
from worldflow.turns.steps import StepExecutor, recorded_outcome
from worldflow.turns.watchdog import CPU_LIMIT
from worldflow.worlds import items, ledger, reading
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived, Poke, RunMessage, Start, StepDue, StepTask
from worldflow.worlds.outages import is_outage
from worldflow.worlds.payloads import adopt_event, stash_text
from worldflow.worlds.records import run_record

LIVE_LIMIT = 200
"""Live executions that a process keeps, oldest out: some tens of kilobytes each."""

CONFLICT_LIMIT = 5
"""How often a turn that lost its conditional write is taken again before the messages go back to the queue."""

HISTORY_LIMIT = 50_000
"""Events of a history. A run that would have more fails; at a fifth of it the log warns."""

PURE_EVENTS, PURE_SECONDS = 200, 1.0
"""So many events of pure inline steps, or so much work, is committed together."""

_log = logging.getLogger("worldflow")

Settle = Callable[[], None]
"""Commits what is new, and acts on it."""


class Turns:
    """Takes turns of runs. May be used from several threads, for different runs at a time."""

    def __init__(
        self,
        world: World,
        *,
        live_limit: int = LIVE_LIMIT,
        history_limit: int = HISTORY_LIMIT,
        cpu_limit: float = CPU_LIMIT,
        chance: random.Random | None = None,
        is_full: Callable[[], bool] = lambda: False,
        strict: bool = False,
        observer: Observer | None = None,
    ) -> None:
        """
        live_limit: how many executions are kept live, at most.
        is_full: whether the process has no memory for as many as it has; then half of them go, those used longest ago.
        cpu_limit: seconds of processor time that a workflow may take over one fact.
        strict: for tests; see `Execution`.
        chance: where the seeds of runs and the jitter of retries come from; the system's source unless given.
        observer: is told of turns, their commits and their inline attempts.
        """
        self._world = world
        self._observer = Observers(observer)
        self._executor = StepExecutor(world, observer=observer)
        self._live: OrderedDict[str, RunInHand] = OrderedDict()
        self._live_limit = live_limit
        self._is_full = is_full
        self._history_limit = history_limit
        self._cpu_limit = cpu_limit
        self._strict = strict
        self._chance = chance or random.SystemRandom()
        self._lock = threading.Lock()

    def take(
        self,
        run_id: str,
        messages: Sequence[RunMessage],
        *,
        arrived: Sequence[datetime | None] = (),
        redo: bool = False,
        use_code: bool = True,
        out_of_time: Callable[[], bool] = lambda: False,
    ) -> None:
        """Takes the turn that `messages` of a run ask for.

        arrived: when each of them came into its queue, where that is known; `arrivals.py` has their order.
        redo: a message was received before, so that what the history holds may not have been acted on.
        use_code: False takes the turn without the workflow's code, and blocks the run: for messages whose turns die.
        out_of_time: asked after inline steps; once it says so, what came of them is left to a turn after this one.

        When it returns, the messages may be acknowledged; if it raises, they must come again.
        """
        for _ in range(CONFLICT_LIMIT):
            try:
                with closing(
                    self.parts(run_id, messages, arrived=arrived, redo=redo, use_code=use_code, out_of_time=out_of_time)
                ) as parts:
                    for settle in parts:
                        with self._world.together():
                            settle()
                return
            except ConflictError:
                redo = True
            except Exception as error:
                if is_outage(error):
                    self._executor.tell_inline(run_id)
                raise
        raise ConflictError(f"run {run_id!r}: {CONFLICT_LIMIT} turns in a row lost their conditional write")

    def close(self) -> None:
        """Lets go of all live executions."""
        with self._lock:
            runs, self._live = list(self._live.values()), OrderedDict()
        for run in runs:
            run.dispose()
        self._executor.close()

    def stop_steps(self) -> None:
        """Cancels the inline steps of turns that are under way, which fail. May be called from any thread."""
        self._executor.stop_inline()

    # The garbage collector would end executions and their coroutines in any order: see `Execution.dispose`.
    __del__ = close

    def parts(
        self,
        run_id: str,
        messages: Sequence[RunMessage],
        *,
        arrived: Sequence[datetime | None] = (),
        redo: bool = False,
        use_code: bool = True,
        out_of_time: Callable[[], bool] = lambda: False,
    ) -> Generator[Settle, None, None]:
        """A turn, part by part: each ends with something to commit and to act on, which the caller does before it asks
        for the next. Whoever has several turns under way may settle parts of all of them together. Arguments and
        exceptions are those of `take`, which tries again after a `ConflictError`; a turn that is not taken to its end
        is to be closed.
        """
        turn = Turn(run_id, messages, redo, self._world.now())
        with self._observer.turn(turn):
            yield from self._parts(turn, arrived=arrived, use_code=use_code, out_of_time=out_of_time)

    def _parts(
        self,
        turn: Turn,
        *,
        arrived: Sequence[datetime | None],
        use_code: bool,
        out_of_time: Callable[[], bool],
    ) -> Generator[Settle, None, None]:
        run_id, messages, redo = turn.run_id, turn.messages, turn.redo
        run = self._recall(run_id) if use_code else None
        if run and any(isinstance(message, Poke) and message.reread for message in messages):
            run.dispose()
            run = None
        if run is None:
            run = self._load(run_id, use_code)
        pokes = [message.after or 0 for message in messages if isinstance(message, Poke)]
        run.came_again = redo
        run.redo = redo or bool(pokes)
        run.redo_after = min(pokes) if pokes and (not redo or len(pokes) == len(messages)) else 0
        try:
            is_there = run.apply(messages, use_code=use_code, arrived=arrived)
            turn.replayed, turn.difference = run.replayed, run.difference
            if not is_there:
                self._pass_on(run_id, messages)
                return
            assert run.state.started is not None
            turn.workflow_name = run.state.started.workflow_name
            yield partial(self._settle, turn, run, messages, out_of_time)
            yield from self._run_inline(turn, run, out_of_time)
        except BaseException:
            run.dispose()
            raise
        self._remember(run)

    # --- load ---

    def _recall(self, run_id: str) -> RunInHand | None:
        with self._lock:
            run = self._live.pop(run_id, None)
        if run and reading.is_quiet(self._world, run.state.at):
            run.dispose()  # it may have ended in another process, and have left no history for a commit to meet
            return None
        return run

    def _remember(self, run: RunInHand) -> None:
        if run.execution is None or run.state.ended:
            return
        run.was_read = False
        run.replayed, run.difference = 0, None
        run.forget_turn()
        with self._lock:
            self._live[run.id] = run
            limit = len(self._live) // 2 if self._is_full() else self._live_limit
            surplus = [self._live.popitem(last=False)[1] for _ in range(len(self._live) - limit)]
        for oldest in surplus:
            oldest.dispose()

    def _load(self, run_id: str, use_code: bool) -> RunInHand:
        with without_collections():
            return self._read(run_id, use_code)

    def _read(self, run_id: str, use_code: bool) -> RunInHand:
        history = self._load_history(run_id)
        run = RunInHand(
            self._world,
            run_id,
            RunState(history),
            chance=self._chance,
            history_limit=self._history_limit,
            cpu_limit=self._cpu_limit,
            strict=self._strict,
            observer=self._observer,
        )
        if not use_code:
            run.code_was_tried = False
            run.blocked = "each of its turns failed or died; the log shows why"
        elif run.state.started and not run.state.ended:
            run.revive(run.state.started, history)
        return run

    def _load_history(self, run_id: str) -> list[Event]:
        """The history of a run; none where that is on its way to the archive, of which half might be read."""
        history = self._world.load_history(run_id)
        if not history or not reading.is_quiet(self._world, history[-1].at):
            return history
        record = self._world.get_run(run_id)
        return [] if record is None or record.archived_at else history

    # --- commit and act ---

    def _settle(
        self, turn: Turn, run: RunInHand, messages: Sequence[RunMessage], out_of_time: Callable[[], bool]
    ) -> None:
        self._commit(turn, run)
        self._act(turn, run, messages, out_of_time)

    def _commit(self, turn: Turn, run: RunInHand) -> None:
        if run.new:
            self._world.append(run.id, run.new)
            before = run.new[0].seq - 1
            became_long = before < self._history_limit // 5 <= run.state.seq
            if became_long:
                _log.warning("the history of run %s is long: %d events", run.id, run.state.seq)
            assert run.state.started is not None
            commit = Commit(turn, run.state.started, tuple(run.new), became_long, run.state.forked)
            self._world.when_durable(partial(self._observer.committed, commit))
            self._world.when_durable(partial(self._begin_later, run, tuple(run.new)))
        elif not run.was_read and self._world.load_history(run.id, run.state.seq, commits=1):
            raise ConflictError(f"run {run.id!r}: the live execution is older than its history")

    def _begin_later(self, run: RunInHand, events: Sequence[Event]) -> None:
        """Remembers which inline attempts that are run at most once this turn has committed, and not begun yet: what is
        done before they begin may fail.
        """
        for event in events:
            if isinstance(event, StepScheduled) and event.inline and event.at_most_once:
                step = run.state.steps.get(event.step_id)
                if step and step.attempt == 1 and step.due is None:
                    self._executor.begin_later(Acts(self._world, run.id, run.state).task(step), event.at)

    def _act(self, turn: Turn, run: RunInHand, messages: Sequence[RunMessage], out_of_time: Callable[[], bool]) -> None:
        state, acts = run.state, Acts(self._world, run.id, run.state, out_of_time)
        if state.ended:
            starts = [message for message in messages if isinstance(message, Start)]
            if run.new or run.redo or starts:
                acts.end(run.new, run.closed, redo=run.redo or not run.new)
                self._announce(run, messages)
            for start in starts:
                # One that comes when all is over is a parent's, which has not heard of the end.
                if start.asked_by and (run.redo or not run.new):
                    acts.tell(start.asked_by)
            self._forward(run, messages, None if run.new or run.redo or starts else acts)
            return
        if run.redo:
            acts.again(run.redo_after)
        if run.redo and not run.redo_after:
            acts.tidy(run.closed)
        else:
            # What is new may concern what was asked for before `redo_after`.
            acts.after(run.new, run.closed)
        for message in messages:
            if isinstance(message, StepDue):
                acts.due(message)
        told = any(isinstance(event, (Applied, AttributesSet)) for event in run.new)
        if told or run.redo or run.taken_up or (run.blocked and (run.new or run.waits_for_code())):
            reason = run.blocked if run.waits_for_code() else None
            becomes_blocked = reason is not None and not self._is_known_as_blocked(run.id)
            if reason is not None and (becomes_blocked or any(map(is_look, messages))):
                self._look_again(run, messages)  # first, so that a turn that dies here finds the run as it was
            self._world.update_run(
                run_record(run.id, state, stash_text(self._world, run.id, reason), self._world.now())
            )
            if reason is not None and becomes_blocked:
                self._world.when_durable(partial(self._observer.blocked, Blocked(turn, reason)))
        self._announce(run, messages)

    def _look_again(self, run: RunInHand, messages: Sequence[RunMessage]) -> None:
        since = run.waits_since() if run.code_was_tried else None
        if since and (poke := next_look(run.id, since, self._world.now(), messages)):
            self._world.send([poke])

    def _is_known_as_blocked(self, run_id: str) -> bool:
        record = self._world.get_run(run_id)
        return record is not None and record.status == "blocked"

    def _announce(self, run: RunInHand, messages: Sequence[RunMessage]) -> None:
        blocked = run.blocked if run.blocked and run.waits_for_code() else None
        told = status_events(run.id, run.state, run.new, messages, came_again=run.came_again, blocked=blocked)
        if told:
            self._world.announce(told)

    def _forward(self, run: RunInHand, messages: Sequence[RunMessage], acts: Acts | None) -> None:
        """Sends what came for a generation that has ended to the one that follows it, if one does.

        acts: where this turn has not done what the end asks for. The turn that was to do it may have died each time,
        and a message that finds no run is dropped.
        """
        recorded = {event.fact_id for event in run.new if isinstance(event, Fact)}
        goes_on = _FOR_THE_SUCCESSOR if run.state.successor else _FOR_A_LATER_ONE
        for message in messages:
            if not isinstance(message, FactArrived) or not isinstance(message.fact, goes_on):
                continue
            if run.state.has_seen(message.fact) or message.fact.fact_id in recorded:
                continue
            following = self._following(run)
            if following is None and message.revival:
                following = revive(self._world, run.id, message.revival, message.fact)
            if following and following != getattr(message.fact, "successor", None):
                if acts:
                    acts.begin_following()
                    acts = None
                self._send_on(message, following)

    def _pass_on(self, run_id: str, messages: Sequence[RunMessage]) -> None:
        """Sends what came for a run that is archived, or that never was, to the one that has taken its place."""
        base, _ = generation(run_id)
        newest = generation_id(base, items.get_generation(self._world, base))
        follows = newest != run_id and self._world.get_run(newest) is not None
        for message in messages:
            if not isinstance(message, FactArrived):
                _log.warning("run %s has no record: dropped a message: %s", run_id, message.kind)
            elif follows and isinstance(message.fact, self._goes_on(run_id)):
                self._send_on(message, newest)
            elif message.revival and not follows:
                # The signal was promised a run.
                if start_anew(self._world, base, message.revival, message.fact):
                    self._send_on(message.model_copy(update={"nonce": "anew"}), base)
            else:
                _log.warning("run %s has no record: dropped a message: %s", run_id, message.fact.event_type)

    def _goes_on(self, run_id: str) -> tuple[type[Fact], ...]:
        record = reading.find_run(self._world, run_id)
        return _FOR_THE_SUCCESSOR if record and record.next_run_id else _FOR_A_LATER_ONE

    def _send_on(self, message: FactArrived, run_id: str) -> None:
        fact = adopt_event(self._world, run_id, message.fact)
        self._world.send([message.model_copy(update={"run_id": run_id, "fact": fact})])

    def _following(self, run: RunInHand) -> str | None:
        """The generation that follows one that has ended."""
        if run.state.successor:
            return run.state.successor
        base, number = generation(run.id)
        newest = items.get_generation(self._world, base)
        return generation_id(base, newest) if newest > number else None

    # --- inline steps ---

    def _run_inline(self, turn: Turn, run: RunInHand, out_of_time: Callable[[], bool]) -> Iterator[Settle]:
        """Runs inline steps until none is due. What is new is committed before the next ones run, unless all of them
        may run again.
        """
        waits_since: float | None = None
        while run.execution and not run.state.ended and (steps := list(run.inline_due())):
            if waits_since is not None and not _may_wait(run, steps, waits_since):
                yield partial(self._settle, turn, run, (), out_of_time)
                self._executor.forget_inline(run.id)
                waits_since = None
            acts = Acts(self._world, run.id, run.state)
            tasks = [acts.task(step) for step in steps]
            facts = [
                fact for step, task in zip(steps, tasks, strict=True) if (fact := self._known_outcome(run, step, task))
            ]
            known = {fact.step_id for fact in facts}
            facts += self._executor.run_inline([task for task in tasks if task.step_id not in known])
            if out_of_time():
                if waits_since is not None:
                    yield partial(self._settle, turn, run, (), out_of_time)
                self._executor.hand_over(tasks, facts)
                self._executor.forget_inline(run.id)
                return
            if waits_since is None:
                run.committed()
                waits_since = time.monotonic()
            run.taken_up |= any(not _is_new(run, step) for step in steps)
            now = self._world.now()
            for fact in facts:
                if run.state.accepts(fact):
                    run.apply_fact(fact, now)
        if waits_since is not None:
            yield partial(self._settle, turn, run, (), out_of_time)
            self._executor.forget_inline(run.id)

    def _known_outcome(self, run: RunInHand, step: OpenStep, task: StepTask) -> StepCompleted | StepFailed | None:
        """What came of an attempt that a turn before this one may have begun, or the run before it was restored."""
        is_new = _is_new(run, step)
        if is_new and run.state.restored is None:
            return None
        if kept := self._executor.kept_inline(task):
            return kept
        if handed_over := recorded_outcome(self._world, task):
            return handed_over.fact
        if is_new or not step.scheduled.at_most_once or self._executor.is_unbegun(task, step.scheduled.at):
            return None
        # The commit that scheduled a first attempt has begun it; a later one is begun by whoever claims it.
        may_begin = step.due is not None and ledger.claim(self._world, run.id, task.step_id, task.attempt)
        return None if may_begin else interrupted(step)


def _may_wait(run: RunInHand, steps: Sequence[OpenStep], since: float) -> bool:
    """Whether what is new may be committed with what comes of these steps."""
    is_little = len(run.new) < PURE_EVENTS and time.monotonic() - since < PURE_SECONDS
    return is_little and all(step.scheduled.pure for step in steps)


def _is_new(run: RunInHand, step: OpenStep) -> bool:
    """Whether nobody can have begun an inline attempt before this turn."""
    # Of a fork's attempts, which have a time, another turn cannot tell that this one has begun them: they are claimed.
    return step.due is None and step.attempt == 1 and step.scheduled.step_id in run.scheduled


_FOR_THE_SUCCESSOR = (SignalReceived, UpdateReceived, CancelRequested, TerminateRequested)
"""What goes to the run that a run has left its place to."""

_FOR_A_LATER_ONE = (SignalReceived, UpdateReceived, ChildCompleted, ChildFailed)
"""What goes to a run that has taken the place of one that had ended by itself."""
