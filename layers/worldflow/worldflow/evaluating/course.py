"""The course of a run that is taken once more: what it calls is answered, and time passes as it did."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

from pydantic_core import to_json

from worldflow.engine import history as h
from worldflow.engine.errors import FatalError, StepNotFoundError, WorkflowNotFoundError
from worldflow.engine.history import AnyDecision, AnyFact, Event, Failure, Json
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.history.state import RunState
from worldflow.engine.usage import Entry, total
from worldflow.engine.values.serialization import ANYTHING
from worldflow.engine.values.signatures import Signature
from worldflow.engine.workflow.definitions import Workflow, find_step, find_workflow
from worldflow.engine.workflow.execution import Execution
from worldflow.engine.workflow.recorded import NO_RETRY
from worldflow.engine.workflow.run import Webhooks
from worldflow.engine.workflow.step_info import StepInfo, current_step
from worldflow.evaluating.recorded import RecordedCalls

Source = Literal["recorded", "replaced", "live", "missing"]
Call = h.StepScheduled | h.ChildStarted
_SENT = (h.SignalReceived, h.UpdateReceived, h.HookResumed, h.HookConflicted, h.CancelRequested)
_OURS: dict[str, Any] = {"held": None}

_NAMED, _SHOWN = 10, 300
"""Calls that an error names, and characters of their arguments."""


@dataclass(slots=True)
class ReplayedCall:
    """A call of a step or of a child workflow that `replay_with` has answered."""

    name: str
    arguments: dict[str, Any]
    """By name, as JSON."""
    source: Source
    """Where the answer is from: the history, a function in `steps`, the step's own code, or `missing`."""
    result: Any = None
    """As JSON."""
    error: Failure | None = None
    usage: Sequence[Entry] = ()
    """The tokens that it recorded, now or in the history."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Who answers what a run calls."""

    recorded: RecordedCalls
    functions: Mapping[str, Callable[..., Any]]
    live: Callable[[str], bool]
    missing: Callable[[str, dict[str, Any]], Any] | None


class Course:
    """One run. Its clock is that of the history: what is called now takes no time."""

    def __init__(self, workflow: Workflow[..., Any], history: Sequence[Event], answers: Answers, webhooks: Webhooks):
        started = history[0]
        assert isinstance(started, h.RunStarted)
        self.execution = Execution(started.run_id, workflow, random.Random(0), webhooks)
        self.state = RunState()
        self.calls: list[ReplayedCall] = []
        self._answers = answers
        self._now = started.at
        self._sent = [event for event in history if isinstance(event, _SENT)]
        self._due: list[tuple[datetime, Callable[[], Any]]] = []
        """What is to happen at a time, in the order in which it was asked for."""
        self._at_work: dict[asyncio.Task[AnyFact], str] = {}
        """What is called now, by the id of its call."""
        self._functions: dict[str, tuple[ReplayedCall, Callable[[], Any]]] = {}

    async def run(self, started: h.RunStarted) -> None:
        """Takes the run to its end. Raises `AssertionError` where it would wait for ever, or a call has no answer."""
        try:
            await self._apply(started)
            while not self.state.ended:
                if self._at_work:
                    await self._end_one()
                elif not await self._pass_time():
                    raise AssertionError(f"the run waits for something that its history does not have: {self._open()}")
        finally:
            for task in self._at_work:
                task.cancel()
            if self._at_work:
                await asyncio.wait(self._at_work)
            self.execution.dispose()

    # --- facts ---

    async def _apply(self, fact: AnyFact, retry: h.StepRetryScheduled | None = None) -> None:
        fact = fact.model_copy(update=_OURS)
        if self.state.started is not None and not self.state.accepts(fact):
            return
        decisions = await asyncio.to_thread(self.execution.apply, fact, self._now, retry)
        for event in (fact, *decisions):
            self.state.record(event.recorded(self.state.seq + 1, self._now))
        for decision in decisions:
            self._answer(decision)

    async def _pass_time(self) -> bool:
        """Lets happen what happens next. Returns False if nothing will."""
        sent = next((fact for fact in self._sent if self.state.accepts(fact)), None)
        timer = min(self.state.timers.values(), key=lambda timer: timer.due, default=None)
        due = min(self._due, key=lambda due: due[0], default=None)
        times = [at for at in (due and due[0], timer and timer.due, sent and sent.at) if at]
        if not times:
            return False
        self._now = max(self._now, min(times))
        if due and due[0] == min(times):
            self._due.remove(due)
            if happening := due[1]():
                await happening
        elif timer and timer.due == min(times):
            await self._apply(h.TimerFired(timer_id=timer.timer_id))
        elif sent:
            self._sent.remove(sent)
            await self._apply(sent)
        return True

    async def _end_one(self) -> None:
        done, _ = await asyncio.wait(self._at_work, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            del self._at_work[task]
        for task in done:
            if not task.cancelled():
                await self._apply(task.result())

    # --- calls ---

    def _answer(self, decision: AnyDecision) -> None:
        match decision:
            case h.StepScheduled():
                self._call(decision, decision.name)
            case h.ChildStarted() if not decision.detached:
                self._call(decision, decision.workflow_name)
            case h.StepRetryScheduled():
                scheduled = self.state.steps[decision.step_id].scheduled
                again = partial(self._begin_again, scheduled, decision.attempt)
                self._due.append((max(decision.due, self._now), again))
            case h.StepAbandoned():
                self._stop(decision.step_id)
            case h.ChildCancelRequested():
                self._stop(decision.child_id)

    def _call(self, call: Call, name: str) -> None:
        answers, arguments = self._answers, dict(call.input or {})
        made = ReplayedCall(name, arguments, "recorded")
        self.calls.append(made)
        function = answers.functions.get(name)
        if function is not None:
            made.source = "replaced"
            self._begin(call, made, partial(_called, function, arguments, _signature(call)))
        elif isinstance(call, h.StepScheduled) and answers.live(name):
            made.source = "live"
            self._begin(call, made, partial(_live, name, arguments))
        elif recorded := answers.recorded.find(name, call.input):
            self._take_over(call, made, recorded.outcome, recorded.took)
        elif answers.missing is not None:
            made.source = "missing"
            self._begin(call, made, partial(_missing, answers.missing, name, arguments))
        else:
            raise AssertionError(_no_answer(name, arguments, answers.recorded.arguments_of(name)))

    def _take_over(
        self,
        call: Call,
        made: ReplayedCall,
        outcome: h.StepCompleted | h.StepFailed | h.ChildCompleted | h.ChildFailed | None,
        took: timedelta,
    ) -> None:
        """Has a call end as it did, and when."""
        if outcome is None:
            return
        if isinstance(outcome, (h.StepCompleted, h.StepFailed)):
            assert isinstance(call, h.StepScheduled)
            fact: AnyFact = outcome.model_copy(update={"step_id": call.step_id, "attempt": 1, **_OURS})
            made.usage = outcome.usage or ()
        else:
            assert isinstance(call, h.ChildStarted)
            fact = outcome.model_copy(update={"child_id": call.child_id, "child_run_id": call.child_run_id, **_OURS})
        made.result, made.error = getattr(outcome, "result", None), getattr(outcome, "error", None)
        self._due.append((self._now + took, partial(self._apply, fact, NO_RETRY)))

    def _begin(self, call: Call, made: ReplayedCall, function: Callable[[], Any], attempt: int = 1) -> None:
        """Calls a function now. A step that fails is tried again as its policy says."""
        id = call.identity[1]
        self._functions[id] = made, function
        task = asyncio.create_task(self._outcome(call, made, function, attempt))
        self._at_work[task] = id

    def _begin_again(self, call: h.StepScheduled, attempt: int) -> None:
        if call.step_id in self.state.steps:
            self._begin(call, *self._functions[call.step_id], attempt)

    async def _outcome(self, call: Call, made: ReplayedCall, function: Callable[[], Any], attempt: int) -> AnyFact:
        info = StepInfo(self.execution.run_id, call.identity[1], attempt, name=call.identity[2])
        current_step.set(info)  # in the task's own context
        made.result = made.error = None
        signature, error = _signature(call), None
        try:
            value = await function()
            made.result = ANYTHING.encode(value) if signature is None else signature.result.encode(value)
        except Exception as raised:
            error, made.error = raised, encode_exception(raised)
        made.usage = total([*made.usage, *info.usage])
        if isinstance(call, h.ChildStarted):
            child: dict[str, Any] = {"child_id": call.child_id, "child_run_id": call.child_run_id}
            return (
                h.ChildFailed(**child, error=made.error)
                if made.error
                else h.ChildCompleted(**child, result=made.result)
            )
        usage = info.usage or None
        if made.error is None:
            return h.StepCompleted(step_id=call.step_id, attempt=attempt, result=made.result, usage=usage)
        fatal = isinstance(error, FatalError)
        return h.StepFailed(step_id=call.step_id, attempt=attempt, error=made.error, retryable=not fatal, usage=usage)

    def _stop(self, id: str) -> None:
        for task in [task for task, of in self._at_work.items() if of == id]:
            task.cancel()

    def _open(self) -> str:
        steps = [f"step {step.scheduled.name}" for step in self.state.steps.values()]
        children = [f"child {child.started.workflow_name}" for child in self.state.children.values()]
        hooks = [f"hook {hook.token}" for hook in self.state.hooks.values()]
        return ", ".join([*steps, *children, *hooks]) or "a signal, perhaps"


async def _called(function: Callable[..., Any], arguments: dict[str, Any], signature: Signature | None) -> Any:
    """What a function of the caller's returns, which has the arguments of the call by name."""
    values = arguments if signature is None else signature.decode(arguments)
    if inspect.iscoroutinefunction(function):
        return await function(**values)
    value = await asyncio.to_thread(function, **values)
    return await value if inspect.isawaitable(value) else value


async def _live(name: str, arguments: dict[str, Any]) -> Any:
    """What the code of a step returns."""
    step = find_step(name)
    values = step.signature.decode(arguments)
    value = step.signature.call(values) if step.is_async else await asyncio.to_thread(step.signature.call, values)
    return await value if inspect.isawaitable(value) else value


async def _missing(function: Callable[[str, dict[str, Any]], Any], name: str, arguments: dict[str, Any]) -> Any:
    value = function(name, arguments)
    return await value if inspect.isawaitable(value) else value


def _signature(call: Call) -> Signature | None:
    """What is called, where its code is loaded."""
    with suppress(StepNotFoundError, WorkflowNotFoundError):
        if isinstance(call, h.StepScheduled):
            return find_step(call.name).signature
        return find_workflow(call.workflow_name, call.version).signature
    return None


def _no_answer(name: str, arguments: dict[str, Any], recorded: Sequence[Json]) -> str:
    known = "; ".join(shortened(value) for value in recorded[:_NAMED])
    had = f"the history has it with {known}" if recorded else "the history does not have it"
    return (
        f"{name} was called with {shortened(arguments)}, but {had}. Replace it with a function in steps=, run its own "
        f"code with live=, take recorded results in order with in_order=, or answer such calls with missing="
    )


def shortened(value: Json) -> str:
    text = to_json(value, inf_nan_mode="constants").decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
