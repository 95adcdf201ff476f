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
during disposal, a change to a fact. The workflow's values are its own: `Codec.decode` and `decode_exception` make new
objects of what a fact holds. Which facts are new, and what work is open, is not asked here but of `state.RunState`.
"""

from __future__ import annotations

import asyncio
import math
import random
import uuid
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from inspect import isawaitable
from typing import Any, NoReturn, assert_never

import worldflow.engine.workflow.patches  # noqa: F401  # of asyncio, which the workflow is about to use
from worldflow.engine import history as h
from worldflow.engine.errors import (
    ConfigurationError,
    ContinueAsNew,
    FatalError,
    InvalidInputError,
    SerializationError,
    WorldflowError,
)
from worldflow.engine.history import AnyDecision, AnyFact, Attribute, Event, Json, dump_value
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.ids import next_generation
from worldflow.engine.own_time import OwnTime
from worldflow.engine.unawaited import never_awaited, returned
from worldflow.engine.workflow import queries
from worldflow.engine.workflow.awaitables import Call
from worldflow.engine.workflow.calls import Calls
from worldflow.engine.workflow.definitions import Step, Workflow
from worldflow.engine.workflow.inbox import Inbox
from worldflow.engine.workflow.lifetime import Lifetime
from worldflow.engine.workflow.loop import WorkflowLoop
from worldflow.engine.workflow.outlets import WorkflowStreams
from worldflow.engine.workflow.recorded import Recorded
from worldflow.engine.workflow.registry import interceptors
from worldflow.engine.workflow.run import EntityUse, Webhooks, WorkflowInfo

RECORD_LIMIT = 16 * 1024
"""Bytes of what stands in records whole: attributes, metadata of hooks."""


class Execution:
    """The live workflow of one run. Not thread-safe."""

    def __init__(
        self,
        run_id: str,
        workflow: Workflow[..., Any],
        jitter: random.Random | None = None,
        webhooks: Webhooks | None = None,
        *,
        strict: bool = False,
    ) -> None:
        """
        jitter: the source of chance for retry intervals, which are decided once and recorded.
        webhooks: where they are reached, if they can be.
        strict: whether it is looked at what goes by without harm, or is noticed too late, in production. For tests.
        """
        self.run_id = run_id
        self.workflow = workflow
        self.jitter = jitter or random.Random()
        self._webhooks = webhooks
        self.strict = strict
        self._fault: Exception | None = None
        self.random = random.Random(run_id)
        self.started: h.RunStarted | None = None
        self.ended = False
        self.replaying = False
        self.own_time = OwnTime()
        self.published: dict[str, Any] = {}
        self.loop = WorkflowLoop(self)  # type: ignore[abstract]  # the rest is refused by name
        self.calls = Calls(self)
        self.inbox = Inbox(self)
        self.streams = WorkflowStreams(self)
        self._main: asyncio.Future[Any] = self.loop.new_future()
        self._decisions: list[AnyDecision] = []
        self._now = datetime.fromtimestamp(0, UTC)
        self._started_at = self._now
        self.length = 0
        """Events that were applied or decided."""
        self._timer_count = 0
        self._cancel_reason: str | None = None
        self._attributes: dict[str, Attribute] = {}
        self.lifetime = Lifetime(self)
        self.recorded = Recorded(self)
        self.entities = EntityUse()
        self.patches: dict[str, bool] = {}
        """The changes that the workflow has asked for, and whether it goes their new way."""

    # --- facts in, decisions out ---

    def apply(
        self, fact: AnyFact, at: datetime, recorded_retry: h.StepRetryScheduled | None = None
    ) -> list[AnyDecision]:
        """Gives the workflow one fact and returns its decisions.

        Raises `SerializationError` if the code cannot read what is recorded, and what `webhooks` raises; the
        execution is then of no more use.
        """
        with self.loop.entered():
            return self.take_fact(fact, at, recorded_retry)

    def take_fact(self, fact: AnyFact, at: datetime, recorded_retry: h.StepRetryScheduled | None) -> list[AnyDecision]:
        self.set_clock(at)
        self.length += 1
        self._feed(fact, recorded_retry)
        self.loop.run(until=self._main)
        if self._fault is not None:
            raise self._fault
        if self._main.done() and not self.ended:
            self.ended = True
            self.decide(self._outcome())
            self.loop.dispose()
        decisions = self._take()
        self.length += len(decisions)
        return decisions

    def replay(self, history: Iterable[Event], *, adopted: bool = False) -> None:
        """Brings the execution to where the history ends. Raises `NonDeterminismError` and `SerializationError`.

        adopted: the history is another run's, which this one is about to continue.
        """
        self.replaying = True
        try:
            with self.loop.entered():
                self.recorded.replay(list(history), adopted=adopted)
        finally:
            self.replaying = False

    def set_clock(self, at: datetime) -> None:
        self._now = at if at.tzinfo is UTC else at.astimezone(UTC)
        self.loop.now = at.timestamp()

    def dispose(self) -> None:
        """Ends the workflow's tasks without letting them run any further."""
        self.loop.dispose()

    # Garbage collection would close the coroutines with no loop running, where a step is just a function.
    __del__ = dispose

    def _take(self) -> list[AnyDecision]:
        """The decisions since the last fact, less the timers that were started and cancelled among them."""
        decisions, self._decisions = self._decisions, []
        if len(decisions) < 2 or not any(isinstance(decision, h.TimerCancelled) for decision in decisions):
            return decisions
        cancelled = {decision.timer_id for decision in decisions if isinstance(decision, h.TimerCancelled)}
        brief = cancelled & {decision.timer_id for decision in decisions if isinstance(decision, h.TimerStarted)}
        if not brief:
            return decisions
        return [
            decision
            for decision in decisions
            if not (isinstance(decision, (h.TimerStarted, h.TimerCancelled)) and decision.timer_id in brief)
        ]

    def _feed(self, fact: AnyFact, recorded_retry: h.StepRetryScheduled | None) -> None:
        match fact:
            case h.StepCompleted() | h.ChildCompleted():
                self.calls.complete(fact)
            case h.RunStarted():
                self._start(fact)
            case h.StepFailed():
                self.calls.fail_step(fact, recorded_retry)
            case h.ChildFailed():
                self.calls.fail_child(fact)
            case h.TimerFired():
                self.loop.fire(fact.timer_id)
            case h.SignalReceived() | h.HookResumed() | h.HookConflicted() | h.UpdateReceived():
                self.inbox.receive(fact)
            case h.RunForked():
                self._restart(fact)
            case h.CancelRequested():
                self._cancel_reason = fact.reason
                self._main.cancel()
            case h.RunRestored() | h.TerminateRequested() | h.RunPaused() | h.RunUnpaused():
                pass  # of which the workflow does not learn
            case _:
                assert_never(fact)

    def _start(self, fact: h.RunStarted) -> None:
        self.started, self._started_at = fact, self._now
        if fact.seed is not None:
            self.random.seed(fact.seed)
        self._attributes = dict(fact.attributes or {})
        self.inbox.restore(fact.carried, fact.seen or ())
        try:
            arguments = self.workflow.signature.decode(fact.input or {})
        except InvalidInputError as error:
            self._main.set_exception(error)
            return
        # What the task does first happens in `run`, with the clock set.
        call = self.lifetime.within(fact, self._call(arguments))
        self._main = self.loop.create_task(call, name=fact.workflow_name)

    def _call(self, arguments: dict[str, Any]) -> Coroutine[Any, Any, Any]:
        if not interceptors:
            return self.workflow.signature.call(arguments)  # type: ignore[no-any-return]
        from worldflow.engine.workflow.interceptors import around_workflow  # which most applications do without

        return around_workflow(self.workflow, self.info, arguments)

    def _restart(self, fact: h.RunForked) -> None:
        """Begins a fork or a retry: timeouts count from now, locks are lost, and the random source gets a new seed."""
        self.calls.restart()
        if fact.after is not None:
            self.entities.lose_locks()
        if fact.seed is None:
            return  # recorded by code that did no more
        self.random.seed(fact.seed)
        self.lifetime.restart(self.started)

    def _outcome(self) -> AnyDecision:
        if self._main.cancelled():
            return h.RunCancelled(reason=self._cancel_reason)
        error = self._main.exception()
        anew = _continue_as_new(error)
        if (error is None or anew) and (unawaited := self._unawaited(None if anew else self._main.result())):
            error, anew = unawaited, None
        if error is None:
            try:
                return h.RunCompleted(result=self.workflow.signature.result.encode(self._main.result()))
            except SerializationError as unfit:
                if isinstance(ended := self.recorded.last, h.RunCompleted):
                    return ended  # recorded by code that took it
                error = unfit
        if anew is not None:
            self.inbox.break_off()
            return h.RunContinued(
                next_run_id=next_generation(self.run_id),
                input=anew.arguments,
                carried=self.inbox.unread(),
                seen=self.inbox.seen() or None,
                expires_at=self.lifetime.expires_at,
            )
        if again := self.lifetime.retried(error):
            return again
        return h.RunFailed(error=encode_exception(error))

    def next_input(self, arguments: Mapping[str, Any]) -> dict[str, Json]:
        """The JSON form of the arguments of the next generation. Raises `SerializationError`."""
        signature = self.workflow.signature
        ended = self.recorded.last
        if isinstance(ended, h.RunContinued) and signature.is_form(arguments, ended.input):
            recorded: dict[str, Json] = ended.input
            return recorded
        return signature.encode(arguments)

    def _unawaited(self, result: Any) -> WorldflowError | None:
        """What is wrong with the end of a workflow that has forgotten to await."""
        if isinstance(self.recorded.last, (h.RunCompleted, h.RunContinued)):
            return None  # recorded by code that did not look
        forgotten = self.loop.forgotten()
        if isawaitable(result):
            return returned(result, forgotten)
        return never_awaited(forgotten) if forgotten else None

    # --- what the workflow asks for ---

    def decide(self, decision: AnyDecision) -> None:
        if not self.loop.closed:  # what ends with the run, such as a `finally`, decides nothing more
            self.loop.check_open()
            self._decisions.append(decision)

    @property
    def decisions(self) -> list[AnyDecision]:
        """What was decided since the last fact."""
        return self._decisions

    def call_step(self, step: Step[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Call[Any]:
        return self.calls.call_step(step, args, kwargs)

    def call_child(self, workflow: Workflow[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Call[Any]:
        return self.calls.call_child(workflow, args, kwargs)

    def start_detached(self, workflow: Workflow[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> str:
        return self.calls.start_detached(workflow, args, kwargs)

    def timer_started(self, when: float, *, sleep: bool) -> str:
        self._timer_count += 1
        timer_id, due = f"t{self._timer_count}", self.due(when - self._now.timestamp())
        self.decide(h.TimerStarted(timer_id=timer_id, due=due, sleep=sleep or None))
        return timer_id

    def timer_cancelled(self, timer_id: str) -> None:
        self.decide(h.TimerCancelled(timer_id=timer_id))

    def webhook_url(self, hook_id: str, life: float) -> str:
        """The URL of a webhook, good for `life` seconds. Where there is none, that is no error of the workflow's: the
        turn fails.
        """
        try:
            if self._webhooks is None:
                raise ConfigurationError("webhooks need a World with a webhook URL")
            token = self.recorded.ids.get(hook_id)
            return self._webhooks.url(token or self._webhooks.token(self.run_id, hook_id, self.due(life)))
        except Exception as error:
            self.give_up(error)

    def give_up(self, error: Exception) -> NoReturn:
        """Fails the turn, not the run: the error is not the workflow's."""
        self._fault = error
        raise asyncio.CancelledError from error

    def patched(self, change_id: str, *, deprecated: bool = False) -> bool:
        """Whether the run goes the new way of a change: it was not past this place when the change was deployed."""
        if change_id not in self.patches:
            self.patches[change_id] = not self.replaying or change_id in self.recorded.patches
            if not self.replaying:
                self.decide(h.VersionMarked(change_id=change_id, deprecated=deprecated or None))
        return self.patches[change_id]

    def query(self, name: str, arguments: Mapping[str, Json] | None = None) -> Json:
        """What the workflow answers to a query, as JSON; see `queries.py`."""
        return queries.answer(self, name, arguments or {})

    @property
    def mail(self) -> Inbox:
        return self.inbox

    @property
    def info(self) -> WorkflowInfo:
        assert self.started is not None
        return WorkflowInfo(
            run_id=self.run_id,
            workflow_name=self.started.workflow_name,
            started_at=self._started_at,
            version=self.workflow.version,
            parent_run_id=self.started.parent.run_id if self.started.parent else None,
            history_length=self.length,
            headers=self.started.headers or {},
        )

    def set_attributes(self, attributes: Mapping[str, Attribute | None]) -> None:
        both = {**self._attributes, **attributes}
        merged = {name: value for name, value in both.items() if value is not None}
        if len(dump_value(merged)) > RECORD_LIMIT:
            raise SerializationError(f"a run's attributes must be at most {RECORD_LIMIT} bytes of JSON", "attributes")
        self._attributes = merged
        self.decide(h.AttributesSet(attributes=dict(attributes)))

    def now(self) -> datetime:
        return self._now

    def uuid4(self) -> uuid.UUID:
        return uuid.UUID(int=self.random.getrandbits(128), version=4)

    def due(self, delay: float) -> datetime:
        """`delay` seconds from now, rounded up to a millisecond: never early."""
        try:
            return self._now + timedelta(milliseconds=math.ceil(delay * 1_000 - 1e-3))
        except OverflowError:
            raise FatalError(f"a delay of {delay} seconds ends after the year 9999") from None

    # --- what its replay asks it ---

    def is_settled(self) -> bool:
        return not (self._decisions or self.loop.ready)

    def end_by_force(self) -> None:
        self.ended = True
        self.loop.dispose()

    def where(self) -> str:
        code = self.workflow.function.__code__
        line = code.co_firstlineno
        waiting: Any = self._main.get_coro() if isinstance(self._main, asyncio.Task) else None
        while frame := getattr(waiting, "cr_frame", None):
            if frame.f_code.co_filename == code.co_filename:
                line = frame.f_lineno
            waiting = waiting.cr_await
        return f" (at {code.co_filename}:{line}, in {self.workflow.name})"


def _continue_as_new(error: BaseException | None) -> ContinueAsNew | None:
    """What `error` is, or holds as the one exception of a group: a `TaskGroup` wraps whatever leaves it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, ContinueAsNew) else None
