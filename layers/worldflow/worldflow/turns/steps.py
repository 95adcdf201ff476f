"""Running one attempt of a step, and sending its outcome to its run.

How the step's function is called, and what becomes of cancellations, is in `calling.py`.

Order matters: the outcome goes to the ledger before it is sent. A task that comes again, because the function died
between the two or its acknowledgement was lost, finds the outcome there and sends it without running the step a second
time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from datetime import datetime
from functools import partial
from typing import Any, ParamSpec, TypeVar

from worldflow.engine.errors import (
    ConfigurationError,
    PayloadTooLargeError,
    StepCrashedError,
)
from worldflow.engine.history import StepCompleted, StepFailed
from worldflow.engine.privacy import log_context, loggable
from worldflow.turns.attempts import failed, interruption, unbegun
from worldflow.turns.inline_loop import InlineLoop
from worldflow.turns.observer import Attempt, Observer, Observers
from worldflow.turns.step_runner import StepRunner
from worldflow.turns.threads import Threads
from worldflow.worlds import ledger
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived, StepOutcome, StepTask
from worldflow.worlds.outages import is_outage
from worldflow.worlds.payloads import stash_event

STEPS_AT_ONCE = 10
"""Attempts that run side by side: the most messages that SQS gives from a FIFO queue at a time."""

KEPT_LIMIT = 1_000
"""Outcomes that a process keeps until they can be recorded, the newest of them."""

_log = logging.getLogger("worldflow")

P = ParamSpec("P")
T = TypeVar("T")
_Attempt = tuple[str, str, int, str | None]
"""A run's id, a step's, the number of the attempt, and which call it is of."""


def recorded_outcome(world: World, task: StepTask) -> StepOutcome | None:
    """What the step ledger has of a task's call."""
    outcome = ledger.get_outcome(world, task.run_id, task.step_id, task.attempt)
    return outcome if outcome and outcome.is_of(task.call) else None


def _key(task: StepTask) -> _Attempt:
    return task.run_id, task.step_id, task.attempt, task.call


def _keep(kept: dict[_Attempt, T], key: _Attempt, what: T) -> None:
    kept[key] = what
    if len(kept) > KEPT_LIMIT:
        del kept[next(iter(kept))]


def log_what_is_left(_: object, context: dict[str, Any]) -> None:
    """An event loop's exception handler: for tasks that a step has left behind."""
    log_context(_log, "left behind by a step", context)


class StepExecutor:
    """Runs the steps that a world's queue of steps asks for.

    steps_at_once: how many attempts run side by side, at most. Each has a thread for whatever of it blocks.
    observer: is notified of each attempt.
    """

    def __init__(self, world: World, *, steps_at_once: int = STEPS_AT_ONCE, observer: Observer | None = None) -> None:
        self._world = world
        self._observer = Observers(observer)
        self._threads = Threads(steps_at_once, "worldflow-step")
        self._runner = StepRunner(world, self._threads)
        self._inline = InlineLoop(log_what_is_left)
        self._stops_inline = False
        self._kept: dict[_Attempt, tuple[StepTask, Callable[[], None]]] = {}
        """What records the outcomes of attempts that an outage has kept from being recorded."""
        self._kept_inline: dict[_Attempt, tuple[StepTask, StepCompleted | StepFailed]] = {}
        """Outcomes of inline attempts that are run at most once, until they are committed."""
        self._unbegun: dict[_Attempt, datetime | None] = {}
        """Inline attempts that are run at most once, and are committed as begun, and have not begun: when they were
        scheduled, if they are the first.
        """

    def close(self) -> None:
        """Closes the event loop of inline steps, and lets go of the threads of plain ones."""
        self._inline.close()
        self._threads.close()
        self._runner.close()
        self._stops_inline = False

    def stop_inline(self) -> None:
        """Cancels the inline attempts that run: `run_inline` raises `CancelledError`. A plain step is waited for."""
        self._stops_inline = True
        self._inline.cancel()

    async def execute(self, task: StepTask, *, redelivered: bool = False, sent_at: datetime | None = None) -> None:
        """Runs one attempt and sends its outcome to the run.

        redelivered: the task was received before, so that it may have an outcome already.
        sent_at: when the task came into its queue, where that is known.
        When it returns, the task may be acknowledged; if it raises, it must come again. Who cancels it stops the
        executor: see `attempt`.
        """
        here = asyncio.current_task()
        cancelled = here.cancelling() if here else 0
        kept = self._kept.get(_key(task)) if self._kept else None
        finish = kept[1] if kept else await self.attempt(task, redelivered=redelivered, sent_at=sent_at)
        if finish:
            await self._threads.call(self._record_or_keep, task, finish)
        if here and here.cancelling() > cancelled:
            raise asyncio.CancelledError

    def _record_or_keep(self, task: StepTask, finish: Callable[[], None]) -> None:
        """Records an outcome. One that an outage keeps from it is not lost: the step has run, and this process alone
        knows its outcome.
        """
        try:
            finish()
        except Exception as error:
            if is_outage(error):
                _keep(self._kept, _key(task), (task, finish))
            raise
        if self._kept:
            self._kept.pop(_key(task), None)

    async def record_what_is_kept(self) -> None:
        """Records the outcomes that outages have kept this process from recording, as far as that can be done now."""
        for task, finish in list(self._kept.values()):
            try:
                await self._threads.call(self._record_or_keep, task, finish)
            except Exception as error:
                _log.warning("the outcome of a step could not be recorded yet", exc_info=loggable(error))
                return

    async def in_thread(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls what waits for a service in one of the executor's threads."""
        return await self._threads.call(function, *args, **kwargs)

    async def attempt(
        self, task: StepTask, *, redelivered: bool = False, sent_at: datetime | None = None
    ) -> Callable[[], None] | None:
        """Runs one attempt, and returns what is to be called to record and send its outcome, if it has one. One that is
        not wanted any more does not begin.

        Who cancels it stops the executor. An `async def` step is cancelled then. A thread cannot be: a plain step is
        waited for, until it is cancelled once more. Returns all the same if the step returns a value, or has ended;
        raises `CancelledError` otherwise.
        """
        if task.report:
            given_up = failed(task, unbegun(task.name), retryable=False)
            return partial(self._tell, StepOutcome(run_id=task.run_id, fact=given_up))
        has_record = task.ledger is not False and (redelivered or task.redo)
        outcome = await self._threads.call(recorded_outcome, self._world, task) if has_record else None
        if outcome:
            return partial(self._tell, outcome)
        if task.deadline and self._world.now() >= task.deadline:
            _log.warning("step %s, attempt %d, was received after its deadline and is not run", task.name, task.attempt)
            return None
        has_waited = redelivered or (sent_at is not None and self._world.now() - sent_at > self._world.prompt)
        wanted = await self._is_wanted(task, has_waited=has_waited)
        if not wanted and not await self._is_awaited(task):
            _log.warning("step %s, attempt %d, is no longer needed and is not run", task.name, task.attempt)
            return None
        ready, info = task, None
        if task.at_most_once:  # what is read is read while nothing has begun, and it may come again
            ready, info = await self._runner.with_input(task), await self._runner.info(task)
        if task.at_most_once and not await self._threads.call(self._claim, task):
            return partial(self._finish, task, failed(task, interruption(task.name), retryable=False))
        if not wanted and (task.at_most_once or not (redelivered or task.redo or task.again)):
            return partial(self._finish, task, failed(task, unbegun(task.name), retryable=False))
        attempt = Attempt(task, False, redelivered or task.redo, sent_at, self._world.now())
        began = redelivered or task.redo or task.again is not None or task.attempt > 1 or task.origin is not None
        run = partial(self._runner.run, ready, info, began=began)
        fact = await self._observed(attempt, run)
        if waited := attempt.waited:
            fact = fact.model_copy(update={"waited": waited})
        return partial(self._finish, task, fact)

    async def _is_wanted(self, task: StepTask, *, has_waited: bool) -> bool:
        """Whether an attempt is still wanted, as far as there is reason to ask. One that sends heartbeats always asks:
        with its first heartbeat, which says that it begins.
        """
        attempt = (task.run_id, task.step_id, task.attempt)
        if task.heartbeats:
            return await self._threads.call(ledger.begin, self._world, *attempt)
        return not has_waited or not await self._threads.call(ledger.is_abandoned, self._world, *attempt)

    async def _is_awaited(self, task: StepTask) -> bool:
        """Whether the outcome of an attempt that is no longer wanted is awaited. The run may have ended since."""
        attempt = (task.run_id, task.step_id, task.attempt)
        return bool(task.waits) and await self._threads.call(ledger.is_awaited, self._world, *attempt)

    def run_inline(self, tasks: Sequence[StepTask], began: Collection[str] = ()) -> list[StepCompleted | StepFailed]:
        """Runs attempts here and now, side by side, and returns their outcomes. Of these nothing is written or sent.

        began: the ids of steps that may have run before.
        """

        def run_one(task: StepTask) -> Coroutine[Any, Any, StepCompleted | StepFailed]:
            return self._run_inline(task, task.attempt > 1 or task.step_id in began)

        async def run_all() -> list[StepCompleted | StepFailed | BaseException]:
            return await asyncio.gather(*map(run_one, tasks), return_exceptions=True)

        outcomes: list[StepCompleted | StepFailed | BaseException] = []
        if len(tasks) == 1:
            outcomes.append(self._inline.run(run_one(tasks[0])))
        elif tasks:
            outcomes += self._inline.run(run_all())
        for task, outcome in zip(tasks, outcomes, strict=True):
            if task.at_most_once and not isinstance(outcome, BaseException):
                _keep(self._kept_inline, _key(task), (task, outcome))
        facts = []
        for task, outcome in zip(tasks, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            facts.append(self._stashed(task, outcome))
        return facts

    def kept_inline(self, task: StepTask) -> StepCompleted | StepFailed | None:
        """The outcome of an inline attempt that is run at most once, if this process has run it and could not commit
        what came of it.
        """
        found = self._kept_inline.get(_key(task))
        return self._stashed(*found) if found else None

    def begin_later(self, task: StepTask, scheduled_at: datetime) -> None:
        """An inline attempt is committed as begun by this process, and has not begun: until it does, an error may come
        in between.
        """
        _keep(self._unbegun, _key(task), scheduled_at)

    def is_unbegun(self, task: StepTask, scheduled_at: datetime) -> bool:
        """Whether this process knows that an inline attempt has not begun, although it was to.

        scheduled_at: by the history; an id of a run may have been used before.
        """
        key = _key(task)
        return key in self._unbegun and self._unbegun[key] in (None, scheduled_at)

    def forget_inline(self, run_id: str) -> None:
        """What is known of the run's inline attempts is committed."""
        for key in [key for key in list(self._kept_inline) if key[0] == run_id]:
            del self._kept_inline[key]

    def tell_inline(self, run_id: str) -> None:
        """Sends what cannot be committed now, so that another process that takes the turn finds it."""
        for task in [task for task, _ in list(self._kept_inline.values()) if task.run_id == run_id]:
            try:
                if fact := self.kept_inline(task):
                    self._tell(StepOutcome(run_id=run_id, fact=fact))
            except Exception as error:
                _log.warning(
                    "run %s: the outcome of a step could be neither recorded nor sent", run_id, exc_info=loggable(error)
                )

    def hand_over(self, tasks: Sequence[StepTask], facts: Sequence[StepCompleted | StepFailed]) -> None:
        """Sends the outcomes of inline attempts. Turns before they arrive find them in the ledger."""
        by_step = {task.step_id: task for task in tasks}
        for fact in facts:
            task = by_step[fact.step_id]
            self._tell(ledger.put_outcome(self._world, StepOutcome(run_id=task.run_id, fact=fact, call=task.call)))

    def _claim(self, task: StepTask) -> bool:
        return ledger.claim(self._world, task.run_id, task.step_id, task.attempt)

    def bury(self, task: StepTask) -> None:
        """Fails an attempt whose function died on every delivery, unless it had an outcome."""
        error = StepCrashedError(f"the function died on every delivery of {task.name!r}, attempt {task.attempt}")
        self._finish(task, failed(task, error, retryable=not task.at_most_once))

    def _finish(self, task: StepTask, fact: StepCompleted | StepFailed) -> None:
        outcome = StepOutcome(run_id=task.run_id, fact=self._stashed(task, fact), call=task.call)
        if task.ledger is not False:
            # A copy of the task, or its dead letter, may have come first: the run receives what is recorded.
            try:
                outcome = ledger.put_outcome(self._world, outcome)
            except Exception as error:
                if task.at_most_once and is_outage(error):
                    # Another process would find that it began, but not its outcome: the run must receive that first.
                    self._tell(outcome, unrecorded=True)
                raise
        self._tell(outcome)

    def _stashed(self, task: StepTask, fact: StepCompleted | StepFailed) -> StepCompleted | StepFailed:
        try:
            return stash_event(self._world, task.run_id, fact)
        except (ConfigurationError, PayloadTooLargeError) as error:
            if is_outage(error):
                raise
            return failed(task, error, retryable=False, usage=fact.usage)  # there is no place for data of this size

    def _tell(self, outcome: StepOutcome, *, unrecorded: bool = False) -> None:
        call = outcome.call if unrecorded else None
        self._world.send(
            [FactArrived(run_id=outcome.run_id, fact=outcome.fact, unrecorded=unrecorded or None, call=call)]
        )

    async def _observed(
        self, attempt: Attempt, run: Callable[[], Awaitable[StepCompleted | StepFailed]]
    ) -> StepCompleted | StepFailed:
        with self._observer.attempt(attempt):
            attempt.outcome = await run()
        return attempt.outcome

    async def _run_inline(self, task: StepTask, began: bool) -> StepCompleted | StepFailed:
        attempt = Attempt(task, True, task.redo, None, self._world.now())
        return await self._observed(attempt, partial(self._run_unless_stopped, task, began))

    async def _run_unless_stopped(self, task: StepTask, began: bool) -> StepCompleted | StepFailed:
        scheduled_at = self._unbegun.pop(_key(task), None) if self._unbegun else None
        try:
            return await self._runner.run(task, began=began)
        except Exception as error:
            if task.at_most_once and is_outage(error):
                _keep(self._unbegun, _key(task), scheduled_at)  # what it is to work on could not be read
            raise
        except asyncio.CancelledError as error:
            if self._stops_inline:
                raise
            # The step has cancelled every task that it found.
            return failed(task, error, retryable=True)
