"""A run whose turns are taken by hand, and what they send."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tests.support.crashes import CrashingWorld
from tests.support.driver import raised
from worldflow.engine.history import AnyFact, StepCompleted, StepFailed
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import starting
from worldflow.turns.turns import Turns
from worldflow.worlds import ledger
from worldflow.worlds.messages import Delayed, FactArrived, HeartbeatDue, Message, Start, StepDue, StepTask


class Office:
    """A run of a world, and messages by hand."""

    def __init__(
        self, world: CrashingWorld, function: Workflow[..., Any], run_id: str = "run-1", **arguments: Any
    ) -> None:
        self.world = world
        self.run_id = run_id
        self.sent: list[tuple[Message, datetime | None]] = []
        self._send = world.send
        world.send = self._note  # type: ignore[method-assign]
        starting.start(world, run_id, function, arguments)
        self.sent.clear()

    def _note(self, messages: Sequence[Message | Delayed]) -> None:
        self.sent += [(one.message, one.due) if isinstance(one, Delayed) else (one, None) for one in messages]
        self._send(messages)

    def fact(self, fact: AnyFact) -> FactArrived:
        return FactArrived(run_id=self.run_id, fact=fact)

    def done(self, step_id: str, result: object = "done", attempt: int = 1) -> FactArrived:
        return self.fact(StepCompleted(step_id=step_id, attempt=attempt, result=result))

    def start(self) -> Start:
        return Start(run_id=self.run_id)

    def failed(self, step_id: str, error: BaseException, attempt: int = 1) -> FactArrived:
        return self.fact(StepFailed(step_id=step_id, attempt=attempt, error=encode_exception(raised(error))))

    def kinds(self) -> list[str]:
        """What was sent since the last time; with the run's id, where it went to another run."""
        return [
            _kind(message) + ("" if message.run_id == self.run_id else f" @{message.run_id}")
            for message in self.taken()
        ]

    def taken(self) -> list[Message]:
        """The messages that were sent since the last time."""
        messages = [message for message, _ in self.sent]
        self.sent.clear()
        return messages

    def history(self) -> list[str]:
        return [event.event_type for event in self.world.load_history(self.run_id)]

    def status(self) -> str:
        return self.world.read_run(self.run_id).status


def _kind(message: Message) -> str:
    match message:
        case StepTask():
            return f"{message.kind} {message.step_id}/{message.attempt}" + (" redo" if message.redo else "")
        case StepDue() | HeartbeatDue():
            return f"{message.kind} {message.step_id}/{message.attempt}"
        case FactArrived():
            return f"{message.kind} {message.fact.fact_id}"
    return message.kind


def opened(world: CrashingWorld, turns: Turns, flow: Workflow[..., Any]) -> Office:
    """A run that has begun, and whose start is out of the queue."""
    office = Office(world, flow)
    world.acknowledge(world.receive("runs"))
    turns.take("run-1", [office.start()])
    return office


def wakes(office: Office, kind: type) -> list[tuple[Any, datetime]]:
    """What was sent of this kind to come later, and when."""
    return [(message, due) for message, due in office.sent if isinstance(message, kind) and due]


def lose_steps(world: CrashingWorld) -> int:
    """The functions that run steps begin them and die, and nothing brings their tasks again."""
    lost = 0
    while deliveries := world.receive("steps"):
        for task in (delivery.message for delivery in deliveries):
            if isinstance(task, StepTask) and task.heartbeats:
                ledger.begin(world, task.run_id, task.step_id, task.attempt)
        world.acknowledge(deliveries)
        lost += len(deliveries)
    return lost


def next_turn(world: CrashingWorld, turns: Turns) -> list[str]:
    """Time passes until there is a turn, which is taken."""
    due = world.next_due()
    assert due
    world.time = max(world.time, due)
    deliveries = world.receive("runs")
    turns.take(deliveries[0].message.run_id, [delivery.message for delivery in deliveries])
    world.acknowledge(deliveries)
    return [delivery.message.kind for delivery in deliveries]
