"""The calls of entities that a run's steps make: see `engine/workflow/entity_runs.py`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pydantic_core import to_json

from worldflow.engine.errors import RunEndedError
from worldflow.engine.history import (
    Parent,
    Replied,
    RunContinued,
    RunStarted,
    StepCompleted,
    StepFailed,
    StepScheduled,
    UpdateReceived,
    end_status,
    load_events,
)
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.history.state import OpenStep, RunState
from worldflow.engine.ids import generation, generation_id
from worldflow.turns.acts.run import ActingRun
from worldflow.worlds import items, reading
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived, Outgoing, Revival
from worldflow.worlds.payloads import fetch_event, given_to, stash_event

SKEW = timedelta(seconds=5)

ANSWER = "worldflow.answer_entity_call"
"""The step by which the run of an entity answers, as histories have it: see `engine/workflow/entity_runs.py`."""


def call(run: ActingRun, step: OpenStep) -> FactArrived:
    """The message of a step to the entity that it calls. Its run is started if there is none."""
    scheduled = step.scheduled
    assert scheduled.entity is not None
    workflow, _, operation = scheduled.name.rpartition(".")
    entity = newest(run.world, scheduled.entity)
    fact = UpdateReceived(
        update_id=f"{_asked_by(run, step)}/{scheduled.step_id}",
        name=operation,
        args=given_to(run.world, entity, run.input_of(scheduled)),
        traceparent=run.traceparent(),
        caller=Parent(run_id=run.id, child_id=scheduled.step_id),
        called_at=scheduled.at,
        lock=scheduled.lock,
        waiting=scheduled.waiting,
    )
    nonce = f"for {run.id}" if step.origin else None
    return FactArrived(run_id=entity, fact=fact, nonce=nonce, revival=Revival(workflow_name=workflow, input={}))


def _asked_by(run: ActingRun, step: OpenStep) -> str:
    """The run whose id the call carries. A retry repeats the id of the failed run, so that the call is not made twice;
    unless the call failed there: then it has changed nothing and is made anew.
    """
    if step.origin is None:
        return run.id
    base, number = generation(run.id)
    for before in range(number - 1, generation(step.origin)[1] - 1, -1):
        history = reading.find_history(run.world, generation_id(base, before)) or ()
        if any(isinstance(event, StepFailed) and event.step_id == step.scheduled.step_id for event in history):
            return generation_id(base, before + 1)
    return step.origin


def newest(world: World, entity: str) -> str:
    """The newest generation of an entity's run."""
    return generation_id(entity, items.get_generation(world, entity))


def answer(world: World, caller: Parent, outcome: dict[str, Any]) -> FactArrived:
    """The message with the outcome of a call, to the run that waits for it."""
    if "error" in outcome:
        fact: StepCompleted | StepFailed = StepFailed(
            step_id=caller.child_id, attempt=1, error=outcome["error"], retryable=False
        )
    else:
        fact = StepCompleted(step_id=caller.child_id, attempt=1, result=outcome.get("result"))
    return FactArrived(run_id=caller.run_id, fact=stash_event(world, caller.run_id, fact))


def answer_again(world: World, run_id: str, state: RunState, fact: UpdateReceived) -> list[Outgoing]:
    """What a copy of a call is answered, if its first one was. A run that has ended has no other answer to come."""
    assert fact.caller is not None
    reply = find_reply(world, run_id, fact.fact_id)
    if reply is not None:
        return [answer(world, fact.caller, outcome_of(reply))]
    if state.ended and not isinstance(state.ended, RunContinued):
        error = RunEndedError(run_id, end_status(state.ended))
        return [answer(world, fact.caller, {"error": encode_exception(error)})]
    return []


def answer_all(run: ActingRun) -> Iterator[FactArrived]:
    """Answers the calls that the run of an entity has received and not answered, now that it has ended."""
    assert run.state.ended is not None
    error = {"error": encode_exception(RunEndedError(run.id, end_status(run.state.ended)))}
    calls, replies = _unanswered(run.world, run.id)
    for fact_id, caller in calls.items():
        reply = replies.get(fact_id)
        yield answer(run.world, caller, outcome_of(fetch_event(run.world, reply)) if reply else error)


def _unanswered(world: World, run_id: str) -> tuple[dict[str, Parent], dict[str, Replied]]:
    """The callers without an answer, by the ids of their calls, and all replies of the run."""
    callers: dict[str, Parent] = {}
    replies: dict[str, Replied] = {}
    answers: dict[str, str] = {}
    replied = ""
    for event in reading.find_history(world, run_id) or ():
        match event:
            case RunStarted():
                carried = load_events(to_json(fetch_event(world, event).carried or []))
                callers |= {
                    one.fact_id: one.caller for one in carried if isinstance(one, UpdateReceived) and one.caller
                }
            case UpdateReceived(caller=Parent() as caller):
                callers[event.fact_id] = caller
            case Replied():
                replied, replies[event.fact_id] = event.fact_id, event
            case StepScheduled() if event.name == ANSWER:
                answers[event.step_id] = replied  # which it follows
            case StepCompleted() if event.step_id in answers:
                callers.pop(answers[event.step_id], None)
    return callers, replies


def find_reply(world: World, run_id: str, fact_id: str) -> Replied | None:
    """The answer to an update, of a generation or of those before it, as far as it has seen the update."""
    base, number = generation(run_id)
    while number:
        seen: list[str] = []
        for event in reading.find_history(world, generation_id(base, number)) or ():
            if isinstance(event, Replied) and event.fact_id == fact_id:
                return fetch_event(world, event)
            if isinstance(event, RunStarted):
                seen = event.seen or []
        if fact_id not in seen:
            return None
        number -= 1
    return None


def earlier_reply(world: World, run_id: str, fact_id: str, since: Any) -> Replied | None:
    """The answer of an earlier generation to a call that was made at a time."""
    base, number = generation(run_id)
    for earlier in range(number - 1, 0, -1):
        history = reading.find_history(world, generation_id(base, earlier)) or ()
        for event in history:
            if isinstance(event, Replied) and event.fact_id == fact_id:
                return fetch_event(world, event)
        if history and history[0].at + SKEW < since:
            return None  # those before it had ended when the call was made
    return None


def outcome_of(reply: Replied) -> dict[str, Any]:
    return {"error": reply.error} if reply.error else {"result": reply.result}
