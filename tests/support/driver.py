"""Runs driven by hand: a live execution, fed with facts, and a history that is replayed at every commit.

Beside the live execution walks a second one, which is made anew from the recorded history after each fact. Both are
given the next fact, and must decide the same. So every test that drives a run also tests its replay, from every point
that the run was at.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from worldflow.engine.durations import Duration, seconds
from worldflow.engine.history import (
    AnyDecision,
    AnyFact,
    Applied,
    CancelRequested,
    ChildCompleted,
    ChildFailed,
    Decision,
    Event,
    HookConflicted,
    HookResumed,
    Replied,
    RunCancelled,
    RunCompleted,
    RunContinued,
    RunFailed,
    RunStarted,
    SignalReceived,
    StepCompleted,
    StepFailed,
    TimerFired,
    UpdateReceived,
    dump_events,
    load_events,
)
from worldflow.engine.history.failures import decode_exception, encode_exception
from worldflow.engine.history.state import RunState
from worldflow.engine.workflow.definitions import Step, Workflow, find_step
from worldflow.engine.workflow.execution import Execution

START = datetime(2026, 1, 1, tzinfo=UTC)


class Chance(random.Random):
    """A source of chance that always gives the same number."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def random(self) -> float:
        return self.value

    def getrandbits(self, k: int) -> int:
        return 7


class Driver:
    """One run of `workflow`, started with these arguments, as the orchestrator would drive it."""

    def __init__(self, workflow: Workflow[..., Any], /, *args: Any, **kwargs: Any) -> None:
        self.workflow = workflow
        self.run_id = "run-1"
        self.clock = START
        self.jitter = 0.5
        self.history: list[Event] = []
        self.state = RunState()
        self.decisions: list[AnyDecision] = []
        """What the workflow decided on the last fact."""
        self._sent = 0
        arguments = workflow.signature.encode(workflow.signature.bind(*args, **kwargs))
        self._begin(
            RunStarted(
                run_id=self.run_id,
                workflow_name=workflow.name,
                created_at=self.clock,
                input=arguments or None,
                timeout=workflow.timeout,
            )
        )

    def _begin(self, started: RunStarted) -> None:
        self._next: Driver | None = None
        self._live = self._execution()
        self._replica = self._execution()
        self.feed(started)

    def _execution(self, workflow: Workflow[..., Any] | None = None) -> Execution:
        return Execution(self.run_id, workflow or self.workflow, Chance(self.jitter), Webhooks())

    def next_generation(self) -> Driver:
        """The run that a run that continued goes on as."""
        ended = self.state.ended
        assert isinstance(ended, RunContinued)
        run = copy.copy(self)
        run.run_id, run.history, run.state = ended.next_run_id, [], RunState()
        run._begin(
            RunStarted(
                run_id=run.run_id,
                workflow_name=self.workflow.name,
                created_at=self.clock,
                input=ended.input,
                timeout=self.workflow.timeout,
                carried=ended.carried,
                seen=ended.seen,
            )
        )
        self._next = run
        return run

    def going_on(self, events: Sequence[Event], run_id: str) -> Driver:
        """A run of this workflow that goes on from these events, such as a fork of this one."""
        run = copy.copy(self)
        run.run_id, run.history, run.state, run.clock = run_id, list(events), RunState(events), events[-1].at
        run._live, run._replica = run.replay(), run.replay()
        self._next, run._next = run, self._next
        return run

    # --- facts ---

    def feed(self, fact: AnyFact) -> list[AnyDecision]:
        """Gives the run a new fact, commits it with the decisions, and replays the history."""
        assert self.state.accepts(fact), f"not a new fact: {fact!r}"
        at = max(self.clock, self.state.earliest(fact))
        self.clock = at
        sent = dump_events([fact])
        (fact,) = load_events(sent)  # as it is when it has been through a queue
        decisions = self._live.apply(fact, at)
        replayed = self._replica.apply(fact, at)
        assert dump_events([fact]) == sent, "the workflow has changed what is to be recorded"
        assert replayed == decisions, "a replayed execution decided otherwise than the live one"
        self._replica.dispose()
        self._record([fact, *decisions])
        self._replica = self.replay()
        self.decisions = decisions
        return decisions

    def replay(self, workflow: Workflow[..., Any] | None = None) -> Execution:
        """A fresh execution that has been through the history; of other code, if given."""
        execution = self._execution(workflow)
        try:
            execution.replay(self.history)
        except BaseException:
            execution.dispose()
            raise
        return execution

    def complete(self, step: Step[..., Any] | str, result: Any = None) -> list[AnyDecision]:
        """The oldest open call of a step (or the one of this id) returns `result`."""
        step_id = self.open_step(step)
        definition = find_step(self.state.steps[step_id].scheduled.name)
        encoded = definition.signature.result.encode(result)
        return self.feed(StepCompleted(step_id=step_id, attempt=self._attempt(step_id), result=encoded))

    def fail(
        self,
        step: Step[..., Any] | str,
        error: BaseException,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> list[AnyDecision]:
        """The oldest open call of a step (or the one of this id) raises `error`."""
        step_id = self.open_step(step)
        return self.feed(
            StepFailed(
                step_id=step_id,
                attempt=self._attempt(step_id),
                error=encode_exception(raised(error)),
                retryable=retryable,
                retry_after=retry_after,
            )
        )

    def hold(self, fact: AnyFact) -> None:
        """Records a fact that the workflow does not learn of yet, since its code cannot run."""
        self._record([fact.model_copy(update={"held": True})])
        self._replica.dispose()
        self._replica = self.replay()

    def learn(self, fact_id: str) -> list[AnyDecision]:
        """The workflow learns of a fact that was held."""
        decisions = self._live.apply(self.state.held[fact_id], self.clock)
        self._record([Applied(fact_id=fact_id), *decisions])
        self._replica.dispose()
        self._replica = self.replay()
        self.decisions = decisions
        return decisions

    def _record(self, events: Sequence[Event]) -> None:
        commit = [event.recorded(self.state.seq + 1 + n, self.clock) for n, event in enumerate(events)]
        commit = load_events(dump_events(commit))
        self.history += commit
        for event in commit:
            self.state.record(event)

    def fire(self, timer_id: str | None = None) -> list[AnyDecision]:
        """The earliest timer (or the one of this id) fires; the clock moves on to its time."""
        timer_id = timer_id or min(self.state.timers.values(), key=lambda timer: timer.due).timer_id
        return self.feed(TimerFired(timer_id=timer_id))

    def advance(self, duration: Duration) -> None:
        """Lets time pass, timer by timer."""
        until = self.clock + timedelta(seconds=seconds(duration))
        while not self.ended and any(timer.due <= until for timer in self.state.timers.values()):
            self.fire()
        self.clock = until

    def signal(self, name: str, value: Any = None) -> list[AnyDecision]:
        return self.feed(SignalReceived(signal_id=self._id("signal"), name=name, value=value))

    def child_completes(self, child_id: str, result: Any = None) -> list[AnyDecision]:
        """The child of this id returns `result`, which is JSON."""
        return self.feed(ChildCompleted(child_id=child_id, result=result))

    def child_fails(self, child_id: str, error: BaseException) -> list[AnyDecision]:
        return self.feed(ChildFailed(child_id=child_id, error=encode_exception(raised(error))))

    def resume_hook(self, hook_id: str, value: Any = None) -> list[AnyDecision]:
        return self.feed(HookResumed(hook_id=hook_id, resume_id=self._id("resume"), value=value))

    def conflict(self, hook_id: str) -> list[AnyDecision]:
        """Another live run holds the hook's token."""
        return self.feed(HookConflicted(hook_id=hook_id))

    def update(self, name: str, *args: Any) -> str:
        """Sends an update. Returns its fact's id, for `reply`."""
        fact = UpdateReceived(update_id=self._id("update"), name=name, args=list(args))
        self.feed(fact)
        return fact.fact_id

    def _id(self, kind: str) -> str:
        self._sent += 1
        return f"{kind}-{self._sent}"

    def cancel(self, reason: str | None = None) -> list[AnyDecision]:
        return self.feed(CancelRequested(reason=reason))

    # --- what came of them ---

    @property
    def decided(self) -> list[str]:
        """The decisions on the last fact: kind, id and name."""
        return describe(self.decisions)

    @property
    def all_decided(self) -> list[str]:
        """All decisions of the history."""
        return describe([event for event in self.history if isinstance(event, Decision)])

    @property
    def ended(self) -> bool:
        return self.state.ended is not None

    def open_steps(self, step: Step[..., Any] | None = None) -> list[str]:
        """The ids of the calls that have no outcome yet, in order."""
        return [
            step_id
            for step_id, opened in self.state.steps.items()
            if opened.attempt is not None and (step is None or opened.scheduled.name == step.name)
        ]

    def open_step(self, step: Step[..., Any] | str) -> str:
        if isinstance(step, str):
            return step
        ids = self.open_steps(step)
        assert ids, f"no open call of {step!r}"
        return ids[0]

    def replied(self, fact_id: str) -> bool:
        """Whether the workflow has answered."""
        return any(isinstance(event, Replied) and event.fact_id == fact_id for event in self.history)

    def reply(self, fact_id: str) -> Any:
        """What the workflow has answered to an update or a webhook's request. Raises what its handler raised."""
        (reply,) = (event for event in self.history if isinstance(event, Replied) and event.fact_id == fact_id)
        if reply.error:
            raise decode_exception(reply.error)
        return reply.result

    def input_of(self, step_id: str) -> Any:
        return self.state.steps[step_id].scheduled.input

    def _attempt(self, step_id: str) -> int:
        attempt = self.state.steps[step_id].attempt
        assert attempt is not None
        return attempt

    def result(self) -> Any:
        """What the workflow returned. Raises what it raised."""
        match self.state.ended:
            case RunCompleted(result=value):
                return self.workflow.signature.result.decode(value)
            case RunFailed(error=failure):
                raise decode_exception(failure)
            case RunCancelled():
                raise asyncio.CancelledError
        raise AssertionError(f"the run has not ended: it waits for {self.open_steps()} and {[*self.state.timers]}")

    @property
    def live(self) -> Execution:
        """The live execution: to look at, and not to feed."""
        return self._live

    def close(self) -> None:
        self._live.dispose()
        self._replica.dispose()
        if self._next:
            self._next.close()


Drive = Callable[..., Driver]


class Webhooks:
    """Where the webhooks of driven runs are reached."""

    def token(self, run_id: str, hook_id: str, expires: datetime) -> str:
        return f"{run_id}.{hook_id}"

    def url(self, token: str) -> str:
        return f"https://example.test/webhooks/{token}"


def describe(decisions: Sequence[Decision]) -> list[str]:
    return [" ".join(part for part in decision.identity if part) for decision in decisions]


def raised(error: BaseException) -> BaseException:
    """`error` with the traceback that raising it gives."""
    try:
        raise error
    except BaseException as caught:
        return caught
