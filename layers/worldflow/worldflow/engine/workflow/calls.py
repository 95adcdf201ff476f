"""The calls of a workflow that have an outcome: steps and children."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from worldflow.engine import history as h
from worldflow.engine.durations import seconds
from worldflow.engine.errors import SerializationError, WorkflowNotFoundError
from worldflow.engine.here import nobody_here
from worldflow.engine.history import Failure, Json
from worldflow.engine.history.failures import decode_exception
from worldflow.engine.ids import child_run_id
from worldflow.engine.unawaited import Made, given_away
from worldflow.engine.values.serialization import explain
from worldflow.engine.workflow.awaitables import Call
from worldflow.engine.workflow.cancellation import SURELY_LATER, awaited_to_its_end
from worldflow.engine.workflow.definitions import Step, Workflow, check_found, find_workflow
from worldflow.engine.workflow.recorded import NO_RETRY
from worldflow.engine.workflow.run import Run

LONGEST_RETRY = 366 * 86_400.0
"""Seconds that a retry may be put off."""

_CALLER = 3
"""Frames from here to the workflow's own code: the execution, and the definition that was called, lie in between."""


@dataclass(slots=True)
class _Open:
    definition: Step[..., Any] | Workflow[..., Any]
    future: asyncio.Future[Any]
    since: datetime
    retry: h.StepRetryScheduled | None = None
    """The attempt of a step that is due, or under way, unless it is the first."""
    failure: Failure | None = None
    """What the attempt before it failed of."""
    cancelled: bool = False
    """Whether its await is cancelled, and lasts until there is an outcome."""


class Calls:
    """The open steps and children of one execution."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._step_count = 0
        self._child_count = 0
        self._open: dict[str, _Open] = {}

    # --- steps ---

    def call_step(self, step: Step[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Call[Any]:
        if self._run.strict:
            check_found(step)
        arguments = self._bound(step, args, kwargs)
        frame = sys._getframe(_CALLER)
        origin = ("step", step.name, frame.f_code, frame.f_lasti)
        return Call(self._step(step, arguments, origin), self._run.loop, origin)

    @property
    def next_id(self) -> str:
        """The id of the step that is called next."""
        return f"s{self._step_count + 1}"

    def call_bound(self, step: Step[..., Any], arguments: dict[str, Any], origin: Made) -> Coroutine[Any, Any, Any]:
        """Calls a step that no executor runs, with arguments by name."""
        return self._step(step, arguments, origin)

    def _bound(
        self, called: Step[..., Any] | Workflow[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        try:
            return called.signature.bind(*args, **kwargs)
        except TypeError:
            self._run.loop.upsets += 1
            raise

    async def _step(self, step: Step[..., Any], arguments: dict[str, Any], origin: Made) -> Any:
        self._run.loop.check_open()
        step_id = f"s{self._step_count + 1}"
        scheduled = self._run.recorded.steps.get(step_id)
        seen = self._run.recorded.seen
        if not (scheduled and scheduled.name == step.name and step.signature.is_form(arguments, scheduled.input, seen)):
            recorded, scheduled = scheduled, self._scheduled(step, step_id, arguments)
            if recorded and recorded.name == step.name:
                self._run.recorded.compare_arguments(step_id, step.signature, recorded.input, scheduled.input, origin)
                scheduled = scheduled.model_copy(update={"cancellation": recorded.cancellation})
        self._step_count += 1
        if self._run.replaying and (completed := self._run.recorded.completion(scheduled)):
            try:
                result = step.signature.result.decode(completed.result)
            except (ValidationError, SerializationError):
                pass  # `complete` says what is wrong
            else:
                # Sets of futures are in the order of their numbers: count the outcome, and what waits for it.
                for _ in range(2 if scheduled.cancellation == "wait" else 1):
                    self._run.loop.next_future()
                self._run.recorded.pass_over(completed)
                return result
        future = self._enter(step_id, step)
        self._run.decide(scheduled)
        if scheduled.cancellation == "wait":
            return await awaited_to_its_end(future, lambda: self._request_cancel(scheduled))
        try:
            return await future
        except asyncio.CancelledError:
            if self._open.pop(step_id, None) is not None:
                self._run.decide(h.StepAbandoned(step_id=step_id))
            raise

    def _request_cancel(self, scheduled: h.StepScheduled) -> None:
        """Asks a step to end, whose outcome is waited for. Raises `CancelledError` if it has not begun."""
        step_id = scheduled.step_id
        call = self._open[step_id]
        is_new = any(decision is scheduled for decision in self._run.decisions)
        if is_new or (call.retry and call.retry.due > self._run.now() + SURELY_LATER):
            del self._open[step_id]
            self._run.decide(h.StepAbandoned(step_id=step_id))
            raise asyncio.CancelledError from _rebuilt(call.failure) if call.failure else None
        call.cancelled = True
        self._run.decide(h.StepCancelRequested(step_id=step_id))

    def _scheduled(self, step: Step[..., Any], step_id: str, arguments: dict[str, Any]) -> h.StepScheduled:
        values = _encode(step, arguments)
        goes_out = step.limit or step.queue
        inline = self._run.workflow.inline_steps and not goes_out if step.inline is None else step.inline
        place = step.limit.place(step.signature, arguments, step.priority, step.fairness) if step.limit else None
        return h.StepScheduled(
            step_id=step_id,
            name=step.name,
            input=values,
            timeout=step.timeout,
            heartbeat_timeout=step.heartbeat_timeout,
            at_most_once=step.guarantee == "at_most_once" or None,
            inline=inline or None,
            pure=step.guarantee == "pure" or None,
            ledger=False if step.guarantee in ("repeatable", "pure") else None,
            limit=place.dump() if place else None,
            cancellation=None if step.cancellation == "try" else step.cancellation,
            queue=step.queue,
            entity=step.entity,
            lock=step.lock,
            waiting=step.waiting,
        )

    def fail_step(self, fact: h.StepFailed, recorded_retry: h.StepRetryScheduled | None) -> None:
        call = self._open.get(fact.step_id)
        if call is None:
            return
        retry = recorded_retry or self._retry(fact, call)
        if retry.step_id == fact.step_id:
            call.retry, call.failure = retry, fact.error
            self._run.decide(retry)
        else:
            self._leave(fact.step_id, error=_rebuilt(fact.error))

    def _retry(self, fact: h.StepFailed, call: _Open) -> h.StepRetryScheduled:
        assert isinstance(call.definition, Step)
        policy = call.definition.retry
        if call.cancelled or not fact.retryable or fact.attempt >= policy.max_attempts:
            return NO_RETRY
        with nobody_here():
            again = policy.retries(decode_exception(fact.error), [fact.error.type, *fact.error.bases])
        if not again:
            return NO_RETRY
        delay = fact.retry_after
        if delay is None:
            delay = policy.delay(fact.attempt, self._run.jitter.random())
        due = self._run.due(min(delay, LONGEST_RETRY))
        if policy.total_time is not None and (due - call.since).total_seconds() > seconds(policy.total_time):
            return NO_RETRY
        return h.StepRetryScheduled(step_id=fact.step_id, attempt=fact.attempt + 1, due=due)

    # --- children ---

    def call_child(self, workflow: Workflow[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Call[Any]:
        if self._run.strict:
            check_found(workflow)
        arguments = self._bound(workflow, args, kwargs)
        frame = sys._getframe(_CALLER)
        origin = ("workflow", workflow.name, frame.f_code, frame.f_lasti)
        return Call(self._child(workflow, arguments, origin), self._run.loop, origin)

    def start_detached(self, workflow: Workflow[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> str:
        arguments = workflow.signature.bind(*args, **kwargs)
        self._run.loop.check_open()
        started = self._child_started(workflow.options(parent_close="abandon"), arguments)
        self._run.decide(started.model_copy(update={"detached": True}))
        return started.child_run_id

    async def _child(self, workflow: Workflow[..., Any], arguments: dict[str, Any], origin: Made) -> Any:
        self._run.loop.check_open()
        started = self._child_started(workflow, arguments)
        recorded = self._run.recorded.children.get(started.child_id)
        if recorded and recorded.workflow_name == workflow.name and recorded.input != started.input:
            child_id = started.child_id
            self._run.recorded.compare_arguments(child_id, workflow.signature, recorded.input, started.input, origin)
        future = self._enter(started.child_id, self._as_started(workflow, started.child_id))
        self._run.decide(started)
        try:
            return await future
        except asyncio.CancelledError:
            if self._open.pop(started.child_id, None) is not None:
                self._run.decide(h.ChildCancelRequested(child_id=started.child_id))
            raise

    def _child_started(self, workflow: Workflow[..., Any], arguments: dict[str, Any]) -> h.ChildStarted:
        child_id = f"c{self._child_count + 1}"
        recorded = self._run.recorded.children.get(child_id)
        if recorded and recorded.workflow_name == workflow.name:
            is_form = workflow.signature.is_form(arguments, recorded.input, self._run.recorded.seen)
            values = recorded.input if is_form else _encode(workflow, arguments)
        else:
            values = _encode(workflow, arguments)
        self._child_count += 1
        return h.ChildStarted(
            child_id=child_id,
            child_run_id=self._run.recorded.ids.get(child_id)
            or workflow.run_id
            or child_run_id(self._run.run_id, child_id),
            workflow_name=workflow.name,
            version=workflow.version or None,
            input=values,
            parent_close=workflow.parent_close,
        )

    def _as_started(self, workflow: Workflow[..., Any], child_id: str) -> Workflow[..., Any]:
        """The version of a child's workflow that it was started as, where that is known here."""
        recorded = self._run.recorded.children.get(child_id)
        if recorded and recorded.workflow_name == workflow.name and recorded.version not in (None, workflow.version):
            with suppress(WorkflowNotFoundError):
                return find_workflow(workflow.name, recorded.version)
        return workflow

    def fail_child(self, fact: h.ChildFailed) -> None:
        self._leave(fact.child_id, error=_rebuilt(fact.error))

    # --- both ---

    def complete(self, fact: h.StepCompleted | h.ChildCompleted) -> None:
        call_id = fact.step_id if isinstance(fact, h.StepCompleted) else fact.child_id
        call = self._open.get(call_id)
        if call is None:
            return
        definition = call.definition
        try:
            result = definition.signature.result.decode(fact.result)
        except ValidationError as error:
            problem = f"the recorded result no longer matches the annotation: {explain(error, 'result')}"
            raise SerializationError(problem, f"{definition.name}()") from None
        self._leave(call_id, result)

    def waits_for(self, entities: Collection[str]) -> bool:
        """Whether a call of one of these entities is open. They are named by the ids of their runs."""
        return any(
            isinstance(call.definition, Step) and call.definition.entity in entities for call in self._open.values()
        )

    def restart(self) -> None:
        """The time of what is open is counted from now."""
        for call in self._open.values():
            call.since, call.retry = self._run.now(), None

    def _enter(self, call_id: str, definition: Step[..., Any] | Workflow[..., Any]) -> asyncio.Future[Any]:
        future = self._run.loop.create_future()
        self._open[call_id] = _Open(definition, future, self._run.now())
        return future

    def _leave(self, call_id: str, result: Any = None, error: BaseException | None = None) -> None:
        call = self._open.pop(call_id, None)
        if call is None or call.future.done():
            return
        if error is None:
            call.future.set_result(result)
        else:
            self._run.loop.upsets += 1
            call.future.set_exception(error)


def _rebuilt(failure: Failure) -> BaseException:
    with nobody_here():  # its `__str__` is tried, and how often is nothing to go by
        return decode_exception(failure)


def _encode(definition: Step[..., Any] | Workflow[..., Any], arguments: dict[str, Any]) -> dict[str, Json]:
    try:
        return definition.signature.encode(arguments)
    except SerializationError:
        for name, value in arguments.items():
            if isinstance(value, Call) and value.origin:
                raise given_away(value.origin, f"{definition.name}({name}=...)") from None
        raise
