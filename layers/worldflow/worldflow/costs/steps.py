"""What the step executor, and turns in its place, ask for on account of one attempt of a step."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from worldflow.costs.commits import Outcome
from worldflow.costs.metering import MeteredWorld
from worldflow.engine.history.state import RunState
from worldflow.worlds import ledger
from worldflow.worlds.messages import Delayed, FactArrived, HeartbeatDue, StepOutcome, StepTask
from worldflow.worlds.payloads import is_in_store


def run_task(world: MeteredWorld, task: StepTask, fact: Outcome, say: Callable[[str], None]) -> None:
    """What the step executor does with a task whose outcome is `fact`."""
    world.delivered(task)
    if task.redo and task.ledger is not False:
        ledger.get_outcome(world, task.run_id, task.step_id, task.attempt)
    if task.at_most_once:
        ledger.claim(world, task.run_id, task.step_id, task.attempt)
    if task.heartbeats:
        ledger.begin(world, task.run_id, task.step_id, task.attempt)
        say("heartbeats: not in the history, each is one more write")
    if is_in_store(task.input):
        world.access.s3.get_object()
    outcome = StepOutcome(run_id=task.run_id, fact=fact, call=task.call)
    if task.ledger is not False:
        ledger.put_outcome(world, outcome)
    world.send([FactArrived(run_id=task.run_id, fact=outcome.fact)])


def run_inline_again(world: MeteredWorld, run_id: str, state: RunState, fact: Outcome) -> None:
    """What a turn does with an inline attempt that a turn before it may have begun."""
    attempt = (run_id, fact.step_id, fact.attempt)
    ledger.get_outcome(world, *attempt)
    step = state.steps.get(fact.step_id)
    if step and step.scheduled.at_most_once:
        ledger.claim(world, *attempt)


def watch(world: MeteredWorld, run_id: str, state: RunState, message: HeartbeatDue) -> None:
    """The check of a step's last heartbeat, on the assumption that the step sends them in time."""
    step = state.steps.get(message.step_id)
    if step and step.attempt == message.attempt and step.scheduled.heartbeat_timeout:
        ledger.last_beat(world, run_id, message.step_id, message.attempt)
        due = world.now() + timedelta(seconds=step.scheduled.heartbeat_timeout)
        world.send([Delayed(due=due, message=message.model_copy(update={"due": due}))])
