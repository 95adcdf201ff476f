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
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from inspect import isawaitable
from typing import Any, Protocol, assert_never

import worldflow.engine.workflow.patches  # noqa: F401  # of asyncio, which the workflow is about to use
from worldflow.engine import history as h
from worldflow.engine.durations import spoken
from worldflow.engine.errors import (
    ConfigurationError,
    ContinueAsNew,
    FatalError,
    InvalidInputError,
    NonDeterminismError,
    SerializationError,
    WorldflowError,
)
from worldflow.engine.history import AnyDecision, AnyFact, Attribute, Decision, Event, Fact, Json, dump_value
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.history.state import with_what_was_unknown
from worldflow.engine.ids import next_generation
from worldflow.engine.own_time import OwnTime
from worldflow.engine.unawaited import Made, Origin, never_awaited, returned
from worldflow.engine.values.serialization import ANYTHING
from worldflow.engine.values.signatures import Signature
from worldflow.engine.workflow.awaitables import Call
from worldflow.engine.workflow.calls import NO_RETRY, Calls
from worldflow.engine.workflow.comparing import other_arguments
from worldflow.engine.workflow.definitions import Step, Workflow
from worldflow.engine.workflow.inbox import Inbox
from worldflow.engine.workflow.loop import WorkflowLoop

RECORD_LIMIT = 16 * 1024
"""Bytes of what stands in records whole: attributes, metadata of hooks."""


@dataclass(frozen=True, slots=True)
class WorkflowInfo:
    """What a workflow may know of its own run."""

    run_id: str
    workflow_name: str
    started_at: datetime
    version: int = 1
    parent_run_id: str | None = None
    """The run that started this one as its child."""
    history_length: int = 0
    """Events up to now. A workflow that goes on for long ends with `continue_as_new()` when they become many."""


class Webhooks(Protocol):
    """Where webhooks are reached."""

    def token(self, run_id: str, hook_id: str, expires: datetime) -> str:
        """The token of a new one."""

    def url(self, token: str) -> str:
        """Where requests to it go."""


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
        self._main: asyncio.Future[Any] = self.loop.new_future()
        self._decisions: list[AnyDecision] = []
        self._now = datetime.fromtimestamp(0, UTC)
        self._started_at = self._now
        self.length = 0
        """Events that were applied or decided."""
        self._timer_count = 0
        self._cancel_reason: str | None = None
        self._attributes: dict[str, Attribute] = {}
        self._limit: asyncio.Timeout | None = None
        self.recorded_ids: dict[str, str] = {}
        """The run ids of children and the tokens of hooks that a replay has, by the ids of their calls."""
        self.recorded_steps: dict[str, h.StepScheduled] = {}
        """What a replay has, so that it need not be made again."""
        self.recorded_children: dict[str, h.ChildStarted] = {}
        self.differences: list[str] = []
        """The calls whose arguments are not those that the history holds, in words."""
        self._adopted = 0.0
        """Up to this event a history is another run's: arguments may be made of that one's id."""
        self._other_arguments: dict[str, str] = {}
        """The same, by the ids of the calls, until the replay has come to them."""
        self._recorded: list[Event] = []
        self._next = 0
        """The place in `_recorded` that a replay has come to."""
        self._patches: dict[str, bool] = {}
        self._recorded_patches: set[str] = set()

    # --- facts in, decisions out ---

    def apply(
        self, fact: AnyFact, at: datetime, recorded_retry: h.StepRetryScheduled | None = None
    ) -> list[AnyDecision]:
        """Gives the workflow one fact and returns its decisions.

        Raises `SerializationError` if the code cannot read what is recorded, and what `webhooks` raises; the
        execution is then of no more use.
        """
        with self.loop.entered():
            return self._apply(fact, at, recorded_retry)

    def _apply(self, fact: AnyFact, at: datetime, recorded_retry: h.StepRetryScheduled | None) -> list[AnyDecision]:
        self._set_clock(at)
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

        adopted: the history is another run's, which this one is about to go on from.
        """
        self._adopted = math.inf if adopted else 0.0
        self.replaying, self._recorded = True, list(history)
        try:
            with self.loop.entered():
                self._replay()
        finally:
            self.replaying, self._recorded = False, []
            self.recorded_steps.clear()
            self.recorded_children.clear()

    def replayed(self, scheduled: h.StepScheduled) -> h.StepCompleted | None:
        """The completion of a step that is being called, where a replay would come to it next, with nothing to run in
        between: then the workflow need not wait for it.
        """
        events, place = self._recorded, self._next
        if self._decisions or self.loop.ready or len(events) < place + 2 or events[place] is not scheduled:
            return None
        event = events[place + 1]
        if isinstance(event, h.StepCompleted) and event.step_id == scheduled.step_id and not event.held:
            return event
        return None

    def pass_over(self, completed: h.StepCompleted) -> None:
        """Goes to behind what `replayed` has given."""
        self._set_clock(completed.at)
        self._next += 2
        self.length += 2

    def _set_clock(self, at: datetime) -> None:
        self._now = at if at.tzinfo is UTC else at.astimezone(UTC)
        self.loop.now = at.timestamp()

    def _replay(self) -> None:
        events = self._recorded
        expected: deque[AnyDecision] = deque()
        held: dict[str, AnyFact] = {}
        for event in events:
            match event:
                case h.StepScheduled():
                    self.recorded_steps[event.step_id] = event
                case h.StepCompleted():
                    pass  # the other half of most histories
                case h.ChildStarted():
                    self.recorded_ids[event.child_id] = event.child_run_id
                    self.recorded_children[event.child_id] = event
                case h.HookCreated():
                    self.recorded_ids[event.hook_id] = event.token
                case h.VersionMarked():
                    self._recorded_patches.add(event.change_id)
                case h.RunForked():
                    self._adopted = event.seq
        while self._next < len(events):
            event = events[self._next]
            self._next += 1
            if isinstance(event, h.StepScheduled):
                self._compare(expected.popleft() if expected else None, event)
            elif event.held:
                held[event.fact_id] = event
                self.length += 1
            elif isinstance(event, (Fact, h.Applied)):
                if expected:
                    self._expect_none(expected, event)
                fact = held.pop(event.fact_id) if isinstance(event, h.Applied) else event
                if isinstance(event, h.Applied) and isinstance(fact, h.RunStarted):
                    fact = with_what_was_unknown(fact, event)
                follows = events[self._next] if self._next < len(events) else None
                retry = follows if isinstance(follows, h.StepRetryScheduled) else None
                expected.extend(self._apply(fact, event.at, retry or NO_RETRY))
            elif isinstance(event, h.VersionMarked):
                self.length += 1
                if event.change_id not in self._patches and not event.deprecated:
                    raise NonDeterminismError(
                        f"run {self.run_id!r}, event {event.seq}: the history has the change {event.change_id!r}, "
                        f"but the workflow's code calls neither patched() nor deprecate_patch() for it{self._where()}"
                    )
            elif isinstance(event, (h.RunFailed, h.RunCancelled)) and event.forced:
                self.length += 1
                self.ended = True
                self.loop.dispose()
            else:
                self._compare(expected.popleft() if expected else None, event)
        self._expect_none(expected, None)

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
            case h.RunRestored() | h.TerminateRequested():
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
        call = self.workflow.signature.call(arguments)
        main = call if fact.timeout is None else self._within(fact.timeout, call)
        self._main = self.loop.create_task(main, name=fact.workflow_name)

    async def _within(self, timeout: float, call: Any) -> Any:
        try:
            async with asyncio.timeout(timeout) as self._limit:
                return await call
        except TimeoutError:
            if self._limit is None or not self._limit.expired():
                raise
            raise TimeoutError(f"the workflow took longer than {spoken(timeout)}") from None

    def _restart(self, fact: h.RunForked) -> None:
        """What is counted in time begins anew."""
        self.calls.restart()
        if fact.seed is None:
            return  # recorded by code that did no more
        self.random.seed(fact.seed)
        limit, timeout = self._limit, self.started.timeout if self.started else None
        if limit and timeout is not None and not limit.expired():
            self.loop.call(lambda: limit.reschedule(self._now.timestamp() + timeout))

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
                if self._recorded and isinstance(ended := self._recorded[-1], h.RunCompleted):
                    return ended  # recorded by code that took it
                error = unfit
        if anew is not None:
            self.inbox.break_off()
            return h.RunContinued(
                next_run_id=next_generation(self.run_id),
                input=anew.arguments,
                carried=self.inbox.unread(),
                seen=self.inbox.seen() or None,
            )
        return h.RunFailed(error=encode_exception(error))

    def next_input(self, arguments: Mapping[str, Any]) -> dict[str, Json]:
        """The JSON form of the arguments of the next generation. Raises `SerializationError`."""
        signature = self.workflow.signature
        ended = self._recorded[-1] if self._recorded else None
        if isinstance(ended, h.RunContinued) and signature.is_form(arguments, ended.input):
            recorded: dict[str, Json] = ended.input
            return recorded
        return signature.encode(arguments)

    def _unawaited(self, result: Any) -> WorldflowError | None:
        """What is wrong with the end of a workflow that has forgotten to await."""
        if self._recorded and isinstance(self._recorded[-1], (h.RunCompleted, h.RunContinued)):
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

    def call_step(self, step: Step[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Call[Any]:
        return self.calls.call_step(step, args, kwargs)

    def call_child(self, workflow: Workflow[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Call[Any]:
        return self.calls.call_child(workflow, args, kwargs)

    def start_detached(self, workflow: Workflow[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> str:
        return self.calls.start_detached(workflow, args, kwargs)

    def timer_started(self, when: float) -> str:
        self._timer_count += 1
        timer_id = f"t{self._timer_count}"
        self.decide(h.TimerStarted(timer_id=timer_id, due=self.due(when - self._now.timestamp())))
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
            token = self.recorded_ids.get(hook_id)
            return self._webhooks.url(token or self._webhooks.token(self.run_id, hook_id, self.due(life)))
        except Exception as error:
            self._fault = error
            raise asyncio.CancelledError from error

    def patched(self, change_id: str, *, deprecated: bool = False) -> bool:
        """Whether the run goes the new way of a change: it was not past this place when the change was deployed."""
        if change_id not in self._patches:
            self._patches[change_id] = not self.replaying or change_id in self._recorded_patches
            if not self.replaying:
                self.decide(h.VersionMarked(change_id=change_id, deprecated=deprecated or None))
        return self._patches[change_id]

    def query(self, name: str) -> Json:
        """What the workflow has published under `name`, as JSON. Raises `KeyError`, and what the published callable
        raises.
        """
        value = self.published[name]
        if callable(value):
            value = self.loop.call(value)
        if self._decisions:
            raise WorldflowError(
                f"query {name!r} must be read-only, but its function changed the run, such as by calling a step"
            )
        with self.own_time:
            return ANYTHING.encode(value)

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

    # --- comparing ---

    def _compare(self, actual: Decision | None, recorded: Decision) -> None:
        if actual is recorded:
            return
        if actual is None or actual.identity != recorded.identity:
            raise NonDeterminismError(
                f"run {self.run_id!r}, event {recorded.seq}: the history has {_describe(recorded)}, "
                f"but the workflow's code now asks for {_describe(actual)}{self._where()}"
            )
        difference = self._other_arguments.pop(recorded.identity[1], None) if self._other_arguments else None
        if difference and recorded.seq > self._adopted:
            self.differences.append(f"event {recorded.seq}: {difference}")
            if self.strict:
                raise NonDeterminismError(
                    f"run {self.run_id!r}, {self.differences[-1]}. Values that vary must come from the workflow's "
                    f"arguments, from a step, or from worldflow.uuid4(), random() or now()"
                )

    def compare_arguments(self, call_id: str, signature: Signature, recorded: Json, now: Json, origin: Made) -> None:
        """Notes that a replay calls a step or a child with other arguments than the history holds, if it does."""
        if names := other_arguments(signature, recorded, now):
            made = Origin(*origin)
            different = f"a different {' and a different '.join(names)}"
            self._other_arguments[call_id] = f"{made} with {different} than in the history"

    def _expect_none(self, expected: deque[AnyDecision], event: Event | None) -> None:
        if expected:
            where = f"before event {event.seq} ({event.event_type})" if event else "at its end"
            raise NonDeterminismError(
                f"run {self.run_id!r}: the workflow's code now asks for {_describe(expected[0])}, "
                f"but the history has no such decision {where}{self._where()}"
            )

    def _where(self) -> str:
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


def _describe(decision: Decision | None) -> str:
    if decision is None:
        return "nothing"
    return " ".join(part for part in decision.identity if part)
