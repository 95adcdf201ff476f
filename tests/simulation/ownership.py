"""What a run is given is its own, and what it does is its own doing: invariants of each run.

Workflows use up what they are given (`tests/support/values.py`) and leave generators to the garbage collector
(`tests/support/collector.py`). Neither may be seen in what is recorded, of this run or of another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.support.values import out_of_place
from worldflow.engine.errors import NonDeterminismError
from worldflow.engine.history import (
    Decision,
    Event,
    Fact,
    HookResumed,
    SignalReceived,
    StepCompleted,
    StepFailed,
    StepScheduled,
    TimerFired,
    UpdateReceived,
)
from worldflow.engine.history.state import RunState
from worldflow.engine.workflow.execution import Execution
from worldflow.engine.workflow.recorded import Recorded, Replayed
from worldflow.turns.attempts import is_timeout
from worldflow.worlds.histories import History, borrower
from worldflow.worlds.messages import FactArrived, load_message
from worldflow.worlds.payloads import fetch

if TYPE_CHECKING:
    from tests.simulation.runs import Run
    from tests.simulation.simulation import Simulation

Problems = Iterator[str]

CLOSE = 0.05
"""Seconds within which two things happen at once."""


def what_was_sent_is_recorded(run: Run) -> Problems:
    """Unless the run has made it itself: the end of an inline step, that of an attempt that took too long, and a timer
    that a turn has found due.
    """
    inline = {event.step_id for event in run.history if isinstance(event, StepScheduled) and event.inline}
    sent, world = sent_facts(run.sim), run.sim.reader.world
    history = History(world, lambda: run.history)
    for event in run.own:
        if not isinstance(event, Fact) or (run.id, _id(event)) not in sent or is_timeout(event):
            continue
        if isinstance(event, (StepCompleted, StepFailed)) and event.step_id in inline:
            continue
        if isinstance(event, TimerFired) and not event.woken:
            continue
        recorded, known = _payload(event), sent[run.id, _id(event)]
        if borrower(event):
            recorded = _payload(history.read(event))
            known = [{name: fetch(world, value) for name, value in each.items()} for each in known]
        if recorded not in known:
            yield f"{_id(event)} was sent as {known}, and is recorded as {recorded}"


def what_happened_first_is_applied_first(run: Run) -> Problems:
    """What users sent in time for a timer comes before it, and what they sent too late after it."""
    if run.state.forked or any(event.held for event in run.history):
        return
    close = CLOSE + 3 * run.sim.skew
    sent_facts(run.sim)
    state, fired = RunState(), dict[str, float]()
    for event in run.history:
        if isinstance(event, TimerFired):
            due = state.timers[event.timer_id].due.timestamp()
            woken = run.sim.sent_first.get((run.id, _id(event))) if event.woken else None
            fired[event.timer_id] = min(due, woken.sent_at) if woken else due
        elif isinstance(event, (SignalReceived, HookResumed, UpdateReceived)):
            sent = run.sim.sent_first.get((run.id, _id(event)))
            if sent is None:
                continue
            for timer in state.timers.values():
                if (late := sent.sent_at - timer.due.timestamp()) > close:
                    yield f"{_id(event)} was sent {late} s after {timer.timer_id} was due, which had not fired"
            for timer_id, due in fired.items():
                if sent.sent_at + close < due:
                    yield f"{_id(event)} was sent {due - sent.sent_at} s before {timer_id} was due, which fired first"
        state.record(event)


def sent_facts(sim: Simulation) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The facts that were ever sent to runs, by run and id."""
    known, sent = sim.sent_facts, sim.queues["runs"].sent
    for stored in sent[sim.read_facts :]:
        message = load_message(stored.body)
        if isinstance(message, FactArrived):
            key = message.run_id, _id(message.fact)
            known.setdefault(key, []).append(_payload(message.fact))
            sim.sent_first.setdefault(key, stored)
    sim.read_facts = len(sent)
    return known


def _id(fact: Fact) -> str:
    return f"{fact.event_type} {fact.fact_id}"


def _payload(event: Event) -> dict[str, Any]:
    return {name: value for name, value in event.payload.items() if name != "held"}


def nothing_that_was_used_is_recorded(run: Run) -> Problems:
    """Nor is anything that the collector would have decided."""
    client = run.sim.reader
    history = History(client.world, lambda: run.history)
    for event in run.own:
        if problem := out_of_place(history.read(event)):
            yield problem


class Exactly(Execution):
    """An execution whose replay makes all anew, and must decide the very same: inputs and results too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.recorded = _Compared(self)


class _Compared(Recorded):
    def __init__(self, run: Replayed) -> None:
        super().__init__(run)
        self.steps = _Nothing()

    def completion(self, scheduled: StepScheduled) -> None:
        return None

    def _compare(self, actual: Decision | None, recorded: Decision) -> None:
        super()._compare(actual, recorded)
        if actual is not None and (one := _decided(actual)) != (other := _decided(recorded)):
            raise NonDeterminismError(f"event {recorded.seq}: it was {other}, and is {one} on replay")


class _Nothing(dict[str, StepScheduled]):
    def __setitem__(self, step_id: str, scheduled: StepScheduled) -> None: ...


def _decided(decision: Decision) -> dict[str, Any]:
    payload = decision.payload
    if error := payload.get("error"):
        payload["error"] = {name: value for name, value in error.items() if name in ("type", "message", "args")}
    return payload
