"""One turn of a run: see `turns.py` for what it does in which order.

A `Turn` dies with the turn. What lives on is its `LiveRun`. The caller brings the turn from one commit to the
next: `advance` leads to a commit, `settle` makes it and acts on it. So several turns under way can be settled together.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Self, TypedDict, Unpack

from worldflow.engine.errors import ConflictError
from worldflow.engine.history import Applied, AttributesSet, Event, Fact, StepCompleted, StepFailed, StepScheduled
from worldflow.engine.history.state import OpenStep, RunState
from worldflow.turns import attempts, forwarding, pausing
from worldflow.turns.acts import Acts, carry_out, never
from worldflow.turns.announcing import status_events
from worldflow.turns.draft import Draft
from worldflow.turns.live_run import LiveRun, Rules
from worldflow.turns.live_runs import LiveRuns
from worldflow.turns.observer import Blocked, Commit, Observer, TurnReport
from worldflow.turns.second_looks import is_look, next_look
from worldflow.turns.steps import StepExecutor, recorded_outcome
from worldflow.worlds import ledger
from worldflow.worlds.base import World
from worldflow.worlds.messages import Outgoing, Poke, RunMessage, Start, StepDue, StepTask, is_about_a_place
from worldflow.worlds.payloads import stash_text
from worldflow.worlds.records import run_record

PURE_EVENTS, PURE_SECONDS = 200, 1.0
"""Events of pure inline steps that are committed together, and seconds of their work."""

_log = logging.getLogger("worldflow")

_Outcome = StepCompleted | StepFailed


@dataclass(frozen=True, slots=True)
class Tools:
    """What the turns of a process share."""

    world: World
    runs: LiveRuns
    executor: StepExecutor
    observer: Observer
    rules: Rules


class How(TypedDict, total=False):
    """How a turn is taken, where that differs from the defaults."""

    arrived: Sequence[datetime | None]
    """When each of the messages came into its queue, where that is known; `arrivals.py` has their order."""
    redo: bool
    """A message was received before, so that what the history holds may not have been acted on. Default: False."""
    use_code: bool
    """False takes the turn without the workflow's code, and blocks the run: for messages whose turns die."""
    out_of_time: Callable[[], bool]
    """Asked after inline steps; once it says so, their outcomes are left to a turn after this one."""


class Turn:
    """The turn that `messages` of a run ask for."""

    def __init__(
        self,
        tools: Tools,
        run_id: str,
        messages: Sequence[RunMessage],
        **how: Unpack[How],
    ) -> None:
        self._tools = tools
        self._world = tools.world
        self._run_id = run_id
        self._messages = messages
        self._arrived = how.get("arrived", ())
        self._redo = how.get("redo", False)
        self._use_code = how.get("use_code", True)
        self._out_of_time = how.get("out_of_time", never)
        self._observed = ExitStack()
        self._draft: Draft | None = None
        """The next commit; None before the turn has begun, and when it is over."""
        self._scheduled: set[str] = set()
        """Steps that this turn has scheduled: no other process can have begun their first attempts."""
        self._woken: set[tuple[str, int]] = set()
        """Attempts whose wake-ups came in this turn."""
        self._inline_since: float | None = None
        """When the first inline step ran whose outcome is not committed yet."""
        self._left: tuple[list[StepTask], list[_Outcome]] | None = None
        """Inline attempts that this turn leaves to the next, and the outcomes of those that have run; None while it may
        run more.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(error)

    def advance(self) -> bool:
        """Leads to the next commit, which the caller then makes with `settle`. Returns False when the turn is over."""
        try:
            if self._begin() if self._draft is None else self._run_inline():
                return True
        except BaseException as error:
            self.close(error)
            raise
        self._end()
        return False

    def settle(self) -> None:
        """Commits what is new, and acts on it."""
        self._commit()
        self._drafted.answer_refused()
        if self._state.ended:
            self._act_on_the_end()
        else:
            self._act()

    def close(self, error: BaseException | None = None) -> None:
        """Gives up the turn, unless it is over. Its live execution may be ahead of the history, and is disposed of."""
        if self._draft:
            self._run.dispose()
        if error is None:
            self._observed.close()
        else:
            self._observed.__exit__(type(error), error, error.__traceback__)

    @property
    def _run(self) -> LiveRun:
        return self._drafted.run

    @property
    def _state(self) -> RunState:
        return self._drafted.run.state

    @property
    def _drafted(self) -> Draft:
        assert self._draft is not None, "the turn has not begun, or is over"
        return self._draft

    @property
    def _acts(self) -> Acts:
        return Acts(self._world, self._run_id, self._state)

    # --- load and apply ---

    def _begin(self) -> bool:
        self._report = TurnReport(self._run_id, self._messages, self._redo, self._world.now())
        self._observed.enter_context(self._tools.observer.turn(self._report))
        held = self._tools.runs.take(self._run_id) if self._use_code else None
        if held and any(isinstance(message, Poke) and message.reread for message in self._messages):
            held.dispose()
            held = None
        run, replay = (
            (held, None)
            if held
            else self._tools.runs.load(self._run_id, use_code=self._use_code, wakes=pausing.wakes(self._messages))
        )
        draft = self._draft = self._next_draft(run)
        draft.was_read = held is None
        is_there = draft.apply(self._messages, self._arrived, redo=self._redo, use_code=self._use_code)
        if replay := draft.replay or replay:
            self._report.replayed, self._report.difference = replay.events, replay.difference
        if draft.is_put_off:
            self._send(draft.outbox)
            return False
        if not is_there:
            forwarding.forward_from_nowhere(self._world, self._run_id, self._messages)
            return False
        assert run.state.started is not None
        self._report.workflow_name = run.state.started.workflow_name
        return True

    def _next_draft(self, run: LiveRun) -> Draft:
        tools = self._tools
        return Draft(tools.world, run, tools.rules, tools.observer, self._scheduled, self._woken)

    def _end(self) -> None:
        run, self._draft = self._run, None
        self._tools.runs.put_back(run)
        self._observed.close()

    # --- commit ---

    def _commit(self) -> None:
        run, events = self._run, tuple(self._drafted.events)
        if events:
            self._world.append(run.id, events)
            limit = self._tools.rules.history_limit // 5
            became_long = events[0].seq - 1 < limit <= run.state.seq
            if became_long:
                _log.warning("the history of run %s is long: %d events", run.id, run.state.seq)
            assert run.state.started is not None
            commit = Commit(self._report, run.state.started, events, became_long, run.state.forked)
            self._world.when_durable(partial(self._tools.observer.committed, commit))
            self._world.when_durable(partial(self._begin_later, run.state, events))
        elif not self._drafted.was_read and self._world.load_history(run.id, run.state.seq, commits=1):
            raise ConflictError(f"run {run.id!r}: the live execution is older than its history")

    def _begin_later(self, state: RunState, events: Sequence[Event]) -> None:
        """Remembers the inline attempts that run at most once and that this turn has committed but not begun: an error
        before they begin is no reason to call them interrupted.
        """
        for event in events:
            if isinstance(event, StepScheduled) and event.inline and event.at_most_once:
                step = state.steps.get(event.step_id)
                if step and step.attempt == 1 and step.due is None:
                    task = Acts(self._world, self._run_id, state).task(step)
                    self._tools.executor.begin_later(task, event.at)

    # --- act ---

    def _act(self) -> None:
        draft, acts = self._drafted, self._acts
        self._send(draft.outbox)
        if draft.redo:
            carry_out(self._world, self._run_id, acts.redo(draft.redo_after), self._out_of_time)
        if (draft.redo and not draft.redo_after) or carry_out(
            self._world, self._run_id, acts.perform(draft.events), self._out_of_time
        ):
            acts.cancel_obsolete(draft.obsolete, self._out_of_time)
        for message in draft.messages:
            if isinstance(message, StepDue) and not self._state.paused:
                self._send(acts.wake_step(message))
        self._settle_limits()
        self._update_record()
        self._announce()

    def _update_record(self) -> None:
        """Updates the record where it shows something else by now: attributes, or whether the run is blocked."""
        run, draft = self._run, self._drafted
        reason = self._blocked()
        shows = any(isinstance(event, (Applied, AttributesSet, *pausing.CHANGES)) for event in draft.events)
        if not (shows or draft.redo or draft.took_up or reason or (run.blocked and draft.events)):
            return
        becomes_blocked = reason is not None and not self._is_known_as_blocked()
        if reason is not None and (becomes_blocked or any(map(is_look, draft.messages))):
            self._look_again()  # first, so that a turn that dies here finds the run as it was
        stored = stash_text(self._world, run.id, reason)
        self._world.update_run(run_record(run.id, run.state, stored, self._world.now()))
        if reason is not None and becomes_blocked:
            self._world.when_durable(partial(self._tools.observer.blocked, Blocked(self._report, reason)))

    def _blocked(self) -> str | None:
        """Why the run is blocked, if it is: why its code cannot run, while something waits for it."""
        run = self._run
        if self._drafted.is_early or run.state.paused:
            return None
        return run.blocked if run.blocked and run.waits_for_code(self._woken) else None

    def _look_again(self) -> None:
        since = self._run.waits_since(self._woken) if self._run.code_was_tried else None
        if since and (poke := next_look(self._run_id, since, self._world.now(), self._drafted.messages)):
            self._world.send([poke])

    def _is_known_as_blocked(self) -> bool:
        record = self._world.get_run(self._run_id)
        return record is not None and record.status == "blocked"

    def _act_on_the_end(self) -> None:
        draft, acts = self._drafted, self._acts
        self._send(draft.outbox)
        starts = [message for message in draft.messages if isinstance(message, Start)]
        is_finished = bool(draft.events or draft.redo or starts)
        if is_finished:
            for messages in acts.finish(draft.events, redo=draft.redo or not draft.events):
                self._send(messages)
            acts.cancel_obsolete(draft.obsolete, self._out_of_time)
            acts.cancel_obsolete(acts.all_open(), self._out_of_time)
            self._announce()
        self._settle_limits()
        for start in starts:
            # One that comes when all is over is a parent's, which does not know of the end.
            if start.asked_by and (draft.redo or not draft.events):
                self._send(acts.answer(start.asked_by))
        forwarding.forward(
            self._world,
            self._run_id,
            self._state,
            draft.messages,
            recorded={event.fact_id for event in draft.events if isinstance(event, Fact)},
            begin_following=None if is_finished else lambda: self._send(acts.begin_following()),
        )

    def _settle_limits(self) -> None:
        """Asks for places of attempts at their limits, and gives back those that are not needed any more."""
        draft = self._drafted
        if self._state.has_limits or draft.limit or any(map(is_about_a_place, draft.messages)):
            from worldflow.turns.settling import settle  # which runs without limits do not need

            self._send(settle(self._world, self._run_id, draft))

    def _announce(self) -> None:
        draft = self._drafted
        events = status_events(
            self._run_id,
            self._state,
            draft.events,
            draft.messages,
            came_again=draft.came_again,
            blocked=self._blocked(),
        )
        if events:
            self._world.announce(events)

    def _send(self, messages: Sequence[Outgoing]) -> None:
        if messages:
            self._world.send(messages)

    # --- inline steps ---

    def _run_inline(self) -> bool:
        """Runs inline steps until their outcomes must be committed. Returns False when none is due.

        They are committed before the next ones run, unless all of these may run again.
        """
        executor, run = self._tools.executor, self._run
        if self._left is None and self._inline_since is not None:
            executor.forget_inline(run.id)
            self._inline_since = None
        while self._left is None and run.execution and not (run.state.ended or run.state.paused):
            steps = list(run.inline_due(self._woken))
            if not steps:
                if self._inline_since is None:
                    return False
                # What falls due during this last commit is left to its wake-up: time may be out by then.
                self._left = [], []
                return True
            if self._inline_since is not None and not self._may_wait(steps):
                return True
            tasks = [self._acts.task(step) for step in steps]
            facts = self._outcomes(steps, tasks)
            if self._out_of_time():
                self._left = tasks, facts
                if self._inline_since is not None:
                    return True
                break
            if self._inline_since is None:
                self._draft = self._next_draft(run)
                self._inline_since = time.monotonic()
            draft, now = self._drafted, self._world.now()
            draft.took_up |= not all(map(self._is_new, steps))
            for fact in facts:
                if run.state.accepts(fact):
                    draft.apply_fact(fact, now)
        if self._left:
            executor.hand_over(*self._left)
            executor.forget_inline(run.id)
            return False
        return self._inline_since is not None

    def _may_wait(self, steps: Sequence[OpenStep]) -> bool:
        """Whether what is new may be committed together with the outcomes of these steps."""
        assert self._inline_since is not None
        is_little = len(self._drafted.events) < PURE_EVENTS and time.monotonic() - self._inline_since < PURE_SECONDS
        return is_little and all(step.scheduled.pure for step in steps)

    def _outcomes(self, steps: Sequence[OpenStep], tasks: Sequence[StepTask]) -> list[_Outcome]:
        """The outcomes of attempts, which are run here and now unless they have one."""
        pairs = zip(steps, tasks, strict=True)
        facts = [fact for step, task in pairs if (fact := self._known_outcome(step, task))]
        known = {fact.step_id for fact in facts}
        began = {step.scheduled.step_id for step in steps if step.scheduled.pure or not self._is_new(step)}
        return facts + self._tools.executor.run_inline([task for task in tasks if task.step_id not in known], began)

    def _known_outcome(self, step: OpenStep, task: StepTask) -> _Outcome | None:
        """The outcome of an attempt that a turn before this one may have begun, or the run before it was restored."""
        executor, is_new = self._tools.executor, self._is_new(step)
        if is_new and self._state.restored is None:
            return None
        if kept := executor.kept_inline(task):
            return kept
        if handed_over := recorded_outcome(self._world, task):
            return handed_over.fact
        if is_new or not step.scheduled.at_most_once or executor.is_unbegun(task, step.scheduled.at):
            return None
        # The commit that scheduled a first attempt has begun it; a later one is begun by the process that claims it.
        may_begin = step.due is not None and ledger.claim(self._world, self._run_id, task.step_id, task.attempt)
        return None if may_begin else attempts.died(step, attempts.interruption(step.scheduled.name))

    def _is_new(self, step: OpenStep) -> bool:
        """Whether no process can have begun an inline attempt before this turn."""
        # Of a fork's attempts, which have a time, another turn cannot tell whether this one has begun them: they are
        # claimed.
        return step.due is None and step.attempt == 1 and step.scheduled.step_id in self._scheduled
