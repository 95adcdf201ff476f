"""The attempts of steps that run: what is known of each when it begins."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.simulation.faults import Crash
from tests.simulation.processes import Process
from tests.simulation.queues import Stored
from worldflow.engine.history import StepAbandoned, StepScheduled, load_events
from worldflow.engine.history.state import RunState
from worldflow.engine.workflow.step_info import step_info
from worldflow.worlds.ledger import step_key
from worldflow.worlds.messages import load_message

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation


@dataclass(slots=True)
class Execution:
    """One run of a step's code."""

    began: int
    process: Process
    invocation: int
    at: float
    known: bool
    """The outcome of the attempt stood in the ledger or in the history when its invocation began."""
    at_most_once: bool
    repeatable: bool
    """It may run again although nothing went wrong."""
    unwanted: tuple[str, int] | None
    """Why its run wanted it no more when its invocation began, which had reason to ask, and the invocation that had
    committed so.
    """
    limit: str | None = None
    """The limit at which it has a place."""
    ended: int | None = None
    """The request after which it was over, or its process."""


def observe_step(sim: Simulation, call: Callable[[], Any], is_async: bool) -> Any:
    """Runs a step's code, which takes time and may be the end of its process."""
    info = step_info()
    key = info.run_id, info.step_id, info.attempt
    process, place = sim.at_work, f"step {info.run_id} {info.step_id}"
    known = _was_known(sim, key, process.began)
    scheduled = _scheduled(sim, key)
    execution = Execution(
        sim.tick,
        process,
        process.invocation,
        sim.now,
        known,
        at_most_once=bool(scheduled and scheduled.at_most_once),
        repeatable=scheduled is None or scheduled.ledger is False,  # what is not committed yet is pure
        unwanted=_unwanted(sim, key, process) if scheduled and _asks(sim, key, process, scheduled) else None,
        limit=scheduled.limit["limit"] if scheduled and scheduled.limit else None,
    )
    sim.executions.setdefault(key, []).append(execution)
    sim.note(info.run_id, f"runs step {info.step_id}, attempt {info.attempt}", process)

    def begin() -> None:
        if not process.is_alive:
            raise Crash(process.name)
        duration = 0.2 * sim.faults.fraction(place)
        if fault := sim.faults.strike(f"slow {place}", ["slow step", "step hangs"]):
            sim.strike(fault, process, info.run_id, info.step_id)
            duration = (60 if fault == "slow step" else 400) * sim.faults.fraction(place)
        sim.pass_time(duration)
        is_killed = not process.is_zombie and sim.faults.strike(place, ["killed in a step"])
        if is_killed or process.is_out_of_time():
            sim.strike("killed in a step", process, info.run_id, info.step_id)
            raise process.die()

    def is_over() -> None:
        execution.ended = sim.tick

    if not is_async:
        with ExitStack() as stack:
            stack.callback(is_over)
            begin()
            return call()

    async def observed() -> Any:
        with ExitStack() as stack:
            stack.callback(is_over)
            begin()
            return await call()

    return observed()


def _was_known(sim: Simulation, key: tuple[str, str, int], then: float) -> bool:
    run_id, step_id, attempt = key
    at = sim.store.written_at.get(step_key(run_id, step_id, attempt), then)
    commits = [commit for commit in sim.store.commits.get(run_id, ()) if commit.at < then]
    # Not a failure, which may be a timeout that came first.
    events: Any = [event for commit in commits for event in load_events(commit.text)]
    completed = [event for event in events if event.event_type == "StepCompleted"]
    return at < then or any((event.step_id, event.attempt) == (step_id, attempt) for event in completed)


def _asks(sim: Simulation, key: tuple[str, str, int], process: Process, scheduled: StepScheduled) -> bool:
    """Whether an attempt is to ask if it is still wanted: one that sends heartbeats, or whose task has waited.

    Whether anybody waits for its outcome it cannot ask. So it may run again, if it may have begun.
    """
    prompt = process.world.prompt.total_seconds()
    copies = [message for message in process.batch if message.dedup_id == ":".join(map(str, key))]
    has_waited = all(message.receives > 1 or process.began - message.sent_at > prompt for message in copies)
    if scheduled.cancellation == "wait" and any(map(_may_have_begun, copies)):
        return False
    return process.kind == "executor" and (has_waited or scheduled.heartbeat_timeout is not None)


def _unwanted(sim: Simulation, key: tuple[str, str, int], process: Process) -> tuple[str, int] | None:
    run_id, step_id, attempt = key
    state, was_open = RunState(), False
    for commit in sim.store.commits.get(run_id, ()):
        if commit.at >= process.began:
            return None
        for event in load_events(commit.text):
            if isinstance(event, StepAbandoned) and event.step_id == step_id and _runs_to_its_end(state, step_id):
                return None
            state.record(event)
        step = state.steps.get(step_id)
        is_open = step is not None and step.attempt == attempt
        if state.ended or (was_open and not is_open):
            why = "its run had ended" if state.ended else "it had been given up"
            return why, commit.invocation
        was_open |= is_open
    return None


def _scheduled(sim: Simulation, key: tuple[str, str, int]) -> StepScheduled | None:
    events = [event for event in sim.store.history(key[0]) if isinstance(event, StepScheduled)]
    return next((event for event in events if event.step_id == key[1]), None)


def _may_have_begun(stored: Stored) -> bool:
    task: Any = load_message(stored.body)
    return stored.receives > 1 or bool(task.redo or task.again)


def _runs_to_its_end(state: RunState, step_id: str) -> bool:
    """Whether an open step is not told that its await is cancelled."""
    step = state.steps.get(step_id)
    return step is not None and step.scheduled.cancellation == "abandon"
