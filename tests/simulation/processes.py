"""The processes of Lambda's functions: what is warm in them, and how they take batches from queues."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tests.simulation.deployments import Code
from tests.simulation.faults import Crash
from tests.simulation.queues import Queue, StandardQueue, Stored
from tests.simulation.world import SimWorld
from tests.support.lambdas import close_orchestrator_handler, close_step_handler, failures, sqs_event, sqs_record
from worldflow.aws_handlers import create_orchestrator_handler, create_step_handler
from worldflow.serving.powertools import Handler
from worldflow.settings import Settings

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

Kind = Literal["orchestrator", "executor", "client"]

TIMEOUTS: dict[Kind, float] = {"orchestrator": 60.0, "executor": 300.0, "client": 1e9}
"""Seconds that one invocation may take."""

LONGEST: dict[Kind, float] = {"orchestrator": 280.0, "executor": 800.0, "client": 1e9}
"""Seconds after which even one that outlives its visibility is over."""


@dataclass(frozen=True, slots=True)
class Source:
    """What feeds a function from a queue, as the template has it."""

    queue: Queue
    kind: Kind
    batch: int


class Process:
    """One process. `invocation` is the number of the one that it is at, or was at last."""

    def __init__(self, sim: Simulation, name: str, kind: Kind, code: Code, settings: Settings, skew: float) -> None:
        self.name = name
        self.kind = kind
        self.code = code
        self.is_alive = True
        self.is_busy = False
        self.is_zombie = False
        """It goes on although its time is over."""
        self.batch: Sequence[Stored] = ()
        self.invocation = 0
        self.began = 0.0
        self.owed: dict[str, str] = {}
        """The notes of deaths that it has not been able to take back."""
        self.world = SimWorld(sim, self, settings, skew)
        self._sim = sim
        self._handler: Handler | None = None
        with sim.running(self):
            if kind == "orchestrator":
                self._handler = create_orchestrator_handler(self.world, turns_at_once=1)  # type: ignore[arg-type]
            elif kind == "executor":
                self._handler = create_step_handler(self.world)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return self.name

    def die(self) -> Crash:
        """Ends the process. What is returned is to be raised."""
        self.is_alive = False
        return Crash(self.name)

    def is_out_of_time(self) -> bool:
        took = self._sim.now - self.began
        # A zombie that sends what it had to send is within the window in which the queue knows the copies.
        return took > (LONGEST[self.kind] if self.is_zombie else TIMEOUTS[self.kind])

    def close(self) -> None:
        self.is_alive = False
        if self.kind == "executor" and self._handler:
            close_step_handler(self._handler)
        elif self.kind == "orchestrator" and self._handler:
            close_orchestrator_handler(self._handler)
        self._handler = None

    def take(self, source: Source, messages: Sequence[Stored]) -> None:
        """Takes a batch as Lambda's poller gives it, and deletes what was handled."""
        sim = self._sim
        receipts = [message.receipt for message in messages]
        self.batch = messages
        self.is_busy, self.is_zombie, self.began, self.invocation = True, False, sim.now, sim.next_invocation()
        records = [
            sqs_record(
                source.queue.arn,
                message.body,
                id=message.id,
                receives=message.receives,
                receipt=f"{message.id}#{message.receipt}",
                sent_at=message.sent_at,
                group=None if isinstance(source.queue, StandardQueue) else message.group,
            )
            for message in messages
        ]
        sim.note_batch(self, source, messages)
        assert self._handler
        try:
            with sim.running(self):
                failed = set(failures(self._handler(sqs_event(*records), self)))
        except Crash:
            sim.note("", f"{self} is gone", self)
            sim.deaths.update(message.id for message in messages)
            return
        except (Exception, asyncio.CancelledError) as error:
            sim.surprise(f"the handler of {self} raised {error!r}", error)
            return
        finally:
            self.is_busy = False
            sim.invocation_ended(self)
        for message, receipt in zip(messages, receipts, strict=True):
            if message.id in failed:
                continue
            if sim.faults.strike(f"acknowledging {source.queue.name}", ["acknowledgement lost"]):
                sim.strike("acknowledgement lost", self, "", message.id)
                continue
            source.queue.delete(message, receipt, sim.now)

    def get_remaining_time_in_millis(self) -> int:
        """As the context of an invocation has it."""
        return int((self.began + TIMEOUTS[self.kind] - self._sim.now) * 1_000)


def settings_of(queues: Sequence[Queue]) -> Settings:
    return Settings(
        events_table="events",
        runs_table="runs",
        step_queue_url="https://sqs/steps.fifo",
        run_queue_url="https://sqs/runs.fifo",
        timer_queue_url="https://sqs/timers",
        dead_letter_arns=tuple(queue.arn for queue in queues),
        workflows=(),
    )
