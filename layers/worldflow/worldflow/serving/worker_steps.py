"""The attempts of steps that a worker runs: in its event loop, and what a database has to do with them in a thread.

    receive    tasks, as many as there is room for
    begin      an attempt for each, in the event loop
    record     what has ended meanwhile, in one transaction

What cannot be recorded together is recorded one by one. What cannot be run comes again. An outcome that the database
refuses is kept, and recorded later: the step has run, and nobody could say so of one that is run at most once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from worldflow.engine.privacy import loggable
from worldflow.logs import about
from worldflow.serving.worker_receipts import PASSING, Receipts, is_locked, is_passing
from worldflow.turns.steps import StepExecutor
from worldflow.worlds.messages import StepTask
from worldflow.worlds.outages import is_outage
from worldflow.worlds.served import Delivery, Served

_log = logging.getLogger("worldflow")


@dataclass(slots=True)
class _Ended:
    """An attempt that has ended: with what records its outcome, if it has one, or with why it could not be run."""

    delivery: Delivery
    finish: Callable[[], None] | None = None
    error: BaseException | None = None


class WorkerSteps:
    """Handles what is in the queue of steps.

    concurrency: the most attempts that are under way: received, and not recorded.
    queues: the step queues whose tasks it takes. None: all.
    """

    def __init__(
        self, world: Served, executor: StepExecutor, concurrency: int, queues: Collection[str] | None = None
    ) -> None:
        self._world = world
        self._queues = queues
        self._executor = executor
        self._room = concurrency
        self._ended: deque[_Ended] = deque()
        self._receipts = Receipts(world)
        self.running: set[asyncio.Task[Callable[[], None] | None]] = set()
        self.on_ended: Callable[[], None] = lambda: None
        """Called in the event loop when an attempt has ended."""
        self.stopped = False
        """No attempt begins any more."""

    @property
    def busy(self) -> bool:
        """Whether an attempt is under way."""
        return bool(self.running or self._ended)

    def receive(self) -> list[Delivery]:
        """Tasks, as many as there is room for."""
        if self._room <= 0 or self.stopped:
            return []
        deliveries = self._world.receive("steps", self._room, self._queues)
        self._room -= len(deliveries)
        return deliveries

    def begin(self, deliveries: Sequence[Delivery]) -> None:
        """Runs an attempt for each. To be called in the event loop."""
        for delivery in deliveries if not self.stopped else ():
            assert isinstance(delivery.message, StepTask)
            attempt = self._executor.attempt(
                delivery.message, redelivered=delivery.redelivered, sent_at=delivery.arrived_at
            )
            with about(**_ids(delivery.message)):
                task = asyncio.create_task(attempt)
            self.running.add(task)
            task.add_done_callback(partial(self._end, _Ended(delivery)))

    def _end(self, ended: _Ended, task: asyncio.Task[Callable[[], None] | None]) -> None:
        if task.cancelled():
            ended.error = asyncio.CancelledError("its task was cancelled, but not by the worker")
        else:
            ended.error = task.exception()
            ended.finish = task.result() if ended.error is None else None
        if not (self.stopped and task.cancelled()):  # then it comes again when a worker does
            self._ended.append(ended)
        self.running.discard(task)
        self.on_ended()

    def stop(self) -> None:
        """Begins no attempt any more, and cancels those that run: see `StepExecutor.attempt`. To be called in the event
        loop.
        """
        self.stopped = True
        for task in tuple(self.running):
            task.cancel()

    def record(self) -> bool:
        """Records what has ended. Returns whether anything had.

        Raises an error that is passing where the database refuses; what is not recorded is, the next time.
        """
        self._receipts.settle()
        ended = [self._ended.popleft() for _ in range(len(self._ended))]
        kept, refusal = self._finish_all([one for one in ended if one.error is None])
        self._ended.extendleft(reversed(kept))
        self._room += len(ended) - len(kept)
        for one in ended:
            if one.error is not None:
                self._give_up(one.delivery, one.error)
        if refusal:
            raise refusal
        return bool(ended)

    def _finish_all(self, done: Sequence[_Ended]) -> tuple[list[_Ended], Exception | None]:
        """Records outcomes. Returns those that the database refuses, and as what."""
        try:
            self._finish(done)
            return [], None
        except Exception as error:
            refusal = error if is_locked(error) else None
        kept: list[_Ended] = []
        for one in done:
            if refusal and is_locked(refusal):
                kept.append(one)
                continue
            try:
                self._finish([one])
            except PASSING as error:
                kept.append(one)
                refusal = error
            except Exception as error:
                if is_outage(error):  # of a service that the codec asks
                    kept.append(one)
                    refusal = ConnectionError(f"{type(error).__name__}: an outcome cannot be encoded")
                else:
                    one.error = error
        return kept, refusal

    def _give_up(self, delivery: Delivery, error: BaseException) -> None:
        if is_passing(error):
            if self._receipts.put_back([delivery]) > 1:
                return
        else:
            self._receipts.reject([delivery])
        assert isinstance(delivery.message, StepTask)
        with about(**_ids(delivery.message)):
            name = delivery.message.name
            _log.error("step %s could not be run and will be retried", name, exc_info=loggable(error))

    def _finish(self, done: Sequence[_Ended]) -> None:
        if not done:
            return
        with self._world.together(durable="next"):
            for one in done:
                if one.finish:
                    one.finish()
            self._world.acknowledge([one.delivery for one in done])
        self._receipts.handled([one.delivery for one in done])


def _ids(task: StepTask) -> dict[str, Any]:
    return {"run_id": task.run_id, "step_id": task.step_id, "attempt": task.attempt}
