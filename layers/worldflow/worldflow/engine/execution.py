"""One run's workflow, from its history.

    what comes in    facts, one at a time, each with the time at which it counts
    what comes out   the decisions that the workflow took in answer, in order

An execution is the live coroutine of a workflow and the loop that it runs on. `apply` gives it one fact (a step's
result, a timer, a signal), lets it run until it waits again, and returns what it asked for meanwhile. `replay` does the
same with a recorded history, and compares each decision with the one recorded: kind, id and name. A difference is a
`NonDeterminismError`, and the execution is good for nothing after it.

The loop's clock is the `at` of the fact being applied, and ids are counted from the start of the run; so the decisions
are a function of the workflow's code and the facts alone. One decision is not the workflow's: whether a failed step is
tried again. It is taken once, when the failure is first applied, and replay follows what was recorded, so that retry
policies can change under running workflows.

What can never happen here: input or output, a read of the clock, a decision after the end of the run, a decision
during disposal. Which facts are new, and what work is open, is not asked here but of `state.RunState`.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import uuid
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from worldflow.engine.definitions import Step, Workflow
from worldflow.engine.errors import FatalError, InvalidInputError, NonDeterminismError, SerializationError
from worldflow.engine.failures import decode_exception, encode_exception
from worldflow.engine.history import (
    AnyDecision,
    AnyFact,
    Applied,
    CancelRequested,
    Decision,
    Event,
    Fact,
    Json,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStarted,
    SignalReceived,
    StepAbandoned,
    StepCompleted,
    StepFailed,
    StepRetryScheduled,
    StepScheduled,
    TimerCancelled,
    TimerFired,
    TimerStarted,
)
from worldflow.engine.loop import Call, WorkflowLoop
from worldflow.engine.serialization import explain

LONGEST_RETRY = 366 * 86_400.0
"""Seconds that a retry may be put off."""


@dataclass(frozen=True, slots=True)
class WorkflowInfo:
    """What a workflow may know of its own run."""

    run_id: str
    workflow_name: str
    started_at: datetime


@dataclass(slots=True)
class _OpenStep:
    step: Step[..., Any]
    future: asyncio.Future[Any]


class Execution:
    """The live workflow of one run. Not thread-safe."""

    def __init__(self, run_id: str, workflow: Workflow[..., Any], jitter: random.Random | None = None) -> None:
        """`jitter` is the source of chance for retry intervals, which are decided once and recorded."""
        self.run_id = run_id
        self.random = random.Random(run_id)
        self.info: WorkflowInfo | None = None
        self._workflow = workflow
        self._jitter = jitter or random.Random()
        self._loop = WorkflowLoop(self)  # type: ignore[abstract]  # the rest is refused by name
        self._main: asyncio.Future[Any] = self._loop.create_future()
        self._decisions: list[AnyDecision] = []
        self._now = datetime.fromtimestamp(0, UTC)
        self._step_count = 0
        self._timer_count = 0
        self._steps: dict[str, _OpenStep] = {}
        self._signals: dict[str, deque[Json]] = {}
        self._waiters: dict[str, deque[asyncio.Future[Json]]] = {}
        self._cancel_reason: str | None = None
        self.ended = False

    # --- facts in, decisions out ---

    def apply(self, fact: AnyFact, at: datetime, recorded_retry: StepRetryScheduled | None = None) -> list[AnyDecision]:
        """Gives the workflow one fact and returns its decisions.

        Raises `SerializationError` if the code cannot read what is recorded; the execution is then of no more use.
        """
        self._now = at
        self._feed(fact, recorded_retry)
        self._loop.run(at.timestamp(), until=self._main)
        if self._main.done() and not self.ended:
            self.ended = True
            self._decisions.append(self._outcome())
            self._loop.dispose()
        return self._take()

    def replay(self, history: Iterable[Event]) -> None:
        """Brings the execution to where the history ends. Raises `NonDeterminismError` and `SerializationError`."""
        expected: deque[AnyDecision] = deque()
        held: dict[str, AnyFact] = {}
        events = list(history)
        for index, event in enumerate(events):
            if isinstance(event, Fact) and event.held:
                held[event.fact_id] = event
            elif isinstance(event, (Fact, Applied)):
                self._expect_none(expected, event)
                fact = held.pop(event.fact_id) if isinstance(event, Applied) else event
                follows = events[index + 1] if index + 1 < len(events) else None
                retry = follows if isinstance(follows, StepRetryScheduled) else None
                expected.extend(self.apply(fact, event.at, retry or _NO_RETRY))
            else:
                self._compare(expected.popleft() if expected else None, event)
        self._expect_none(expected, None)

    def dispose(self) -> None:
        """Ends the workflow's tasks without letting them run any further."""
        self._loop.dispose()

    # Garbage collection would close the coroutines with no loop running, where a step is just a function.
    __del__ = dispose

    def _take(self) -> list[AnyDecision]:
        """The decisions since the last fact, less the timers that were started and cancelled among them."""
        decisions, self._decisions = self._decisions, []
        cancelled = {decision.timer_id for decision in decisions if isinstance(decision, TimerCancelled)}
        brief = cancelled & {decision.timer_id for decision in decisions if isinstance(decision, TimerStarted)}
        if not brief:
            return decisions
        return [
            decision
            for decision in decisions
            if not (isinstance(decision, (TimerStarted, TimerCancelled)) and decision.timer_id in brief)
        ]

    def _feed(self, fact: AnyFact, recorded_retry: StepRetryScheduled | None) -> None:
        match fact:
            case RunStarted():
                self._start(fact)
            case StepCompleted():
                self._complete_step(fact)
            case StepFailed():
                self._fail_step(fact, recorded_retry)
            case TimerFired():
                self._loop.fire(fact.timer_id)
            case SignalReceived():
                self._receive(fact.name, fact.value)
            case CancelRequested():
                self._cancel_reason = fact.reason
                self._main.cancel()

    def _start(self, fact: RunStarted) -> None:
        self.info = WorkflowInfo(self.run_id, fact.workflow_name, self._now)
        try:
            arguments = self._workflow.signature.decode(fact.input or {})
        except InvalidInputError as error:
            self._main.set_exception(error)
            return
        # What the task does first happens in `run`, with the clock set.
        self._main = self._loop.create_task(self._workflow.signature.call(arguments), name=fact.workflow_name)

    def _complete_step(self, fact: StepCompleted) -> None:
        open_step = self._steps.pop(fact.step_id, None)
        if open_step is None or open_step.future.done():
            return
        try:
            result = open_step.step.signature.result.decode(fact.result)
        except ValidationError as error:
            problem = f"the recorded result does not fit the step's annotation any more: {explain(error, 'result')}"
            raise SerializationError(problem, f"{open_step.step.name}()") from None
        open_step.future.set_result(result)

    def _fail_step(self, fact: StepFailed, recorded_retry: StepRetryScheduled | None) -> None:
        open_step = self._steps.get(fact.step_id)
        if open_step is None:
            return
        retry = recorded_retry or self._retry(fact, open_step.step)
        if retry.step_id == fact.step_id:
            self._decisions.append(retry)
            return
        del self._steps[fact.step_id]
        if not open_step.future.done():
            open_step.future.set_exception(decode_exception(fact.error))

    def _retry(self, fact: StepFailed, step: Step[..., Any]) -> StepRetryScheduled:
        if not fact.retryable or fact.attempt >= step.retry.max_attempts:
            return _NO_RETRY
        delay = fact.retry_after
        if delay is None:
            delay = step.retry.delay(fact.attempt, self._jitter.random())
        due = self._due(min(delay, LONGEST_RETRY))
        return StepRetryScheduled(step_id=fact.step_id, attempt=fact.attempt + 1, due=due)

    def _receive(self, name: str, value: Json) -> None:
        waiters = self._waiters.get(name)
        while waiters:
            future = waiters.popleft()
            if not future.done():
                future.set_result(value)
                return
        self._signals.setdefault(name, deque()).append(value)

    def _outcome(self) -> AnyDecision:
        if self._main.cancelled():
            return RunCancelled(reason=self._cancel_reason)
        error = self._main.exception()
        if error is None:
            try:
                return RunCompleted(result=self._workflow.signature.result.encode(self._main.result()))
            except SerializationError as unfit:
                error = unfit
        return RunFailed(error=encode_exception(error))

    # --- what the workflow asks for ---

    def call_step(self, step: Step[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Call[Any]:
        arguments = step.signature.bind(*args, **kwargs)
        return Call(self._run_step(step, arguments), self._loop)

    async def _run_step(self, step: Step[..., Any], arguments: dict[str, Any]) -> Any:
        self._loop.check_open()
        values = step.signature.encode(arguments)
        self._step_count += 1
        step_id = f"s{self._step_count}"
        future = self._loop.create_future()
        self._steps[step_id] = _OpenStep(step, future)
        self._decisions.append(StepScheduled(step_id=step_id, name=step.name, input=values))
        try:
            return await future
        except asyncio.CancelledError:
            if self._steps.pop(step_id, None) is not None:
                self._decisions.append(StepAbandoned(step_id=step_id))
            raise

    async def wait_for_signal(self, name: str) -> Json:
        self._loop.check_open()
        if buffered := self._signals.get(name):
            return buffered.popleft()
        future: asyncio.Future[Json] = self._loop.create_future()
        self._waiters.setdefault(name, deque()).append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                # It came while the await was being cancelled: it stays first in line.
                self._signals.setdefault(name, deque()).appendleft(future.result())
            else:
                with contextlib.suppress(ValueError):
                    self._waiters[name].remove(future)
            raise

    def timer_started(self, when: float) -> str:
        self._timer_count += 1
        timer_id = f"t{self._timer_count}"
        self._decisions.append(TimerStarted(timer_id=timer_id, due=self._due(when - self._now.timestamp())))
        return timer_id

    def timer_cancelled(self, timer_id: str) -> None:
        self._decisions.append(TimerCancelled(timer_id=timer_id))

    def now(self) -> datetime:
        return self._now

    def uuid4(self) -> uuid.UUID:
        return uuid.UUID(int=self.random.getrandbits(128), version=4)

    def _due(self, delay: float) -> datetime:
        """`delay` seconds from now, rounded up to a millisecond: never early."""
        try:
            return self._now + timedelta(milliseconds=math.ceil(delay * 1_000 - 1e-3))
        except OverflowError:
            raise FatalError(f"a delay of {delay} seconds ends after the year 9999") from None

    # --- comparing ---

    def _compare(self, actual: Decision | None, recorded: Decision) -> None:
        if actual is None or actual.identity != recorded.identity:
            raise NonDeterminismError(
                f"run {self.run_id!r}, event {recorded.seq}: the history holds {_describe(recorded)}, "
                f"and the workflow's code now asks for {_describe(actual)}{self._where()}"
            )

    def _expect_none(self, expected: deque[AnyDecision], event: Event | None) -> None:
        if expected:
            where = f"before event {event.seq} ({event.event_type})" if event else "at its end"
            raise NonDeterminismError(
                f"run {self.run_id!r}: the workflow's code now asks for {_describe(expected[0])}, "
                f"and the history holds no such decision {where}{self._where()}"
            )

    def _where(self) -> str:
        code = self._workflow.function.__code__
        line = code.co_firstlineno
        if isinstance(self._main, asyncio.Task) and (frames := self._main.get_stack(limit=1)):
            line = frames[0].f_lineno
        return f" (at {code.co_filename}:{line}, in {self._workflow.name})"


_NO_RETRY = StepRetryScheduled(step_id="", attempt=0, due=datetime.fromtimestamp(0, UTC))


def _describe(decision: Decision | None) -> str:
    if decision is None:
        return "nothing"
    return " ".join(part for part in decision.identity if part)
