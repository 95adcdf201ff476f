"""The attempts of steps that a worker runs: in its event loop, and what a database has to do with them in a thread.

    receive    tasks, as many as there is room for
    begin      an attempt for each, in the event loop
    record     what has ended meanwhile, in one transaction

What cannot be recorded together is recorded one by one. What cannot be run or recorded comes again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from worldflow.engine.privacy import loggable
from worldflow.runtime.steps import StepExecutor
from worldflow.worlds.local import LocalWorld
from worldflow.worlds.local_messages import Delivery
from worldflow.worlds.messages import StepTask

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
    """

    def __init__(self, world: LocalWorld, executor: StepExecutor, concurrency: int) -> None:
        self._world = world
        self._executor = executor
        self._room = concurrency
        self._ended: deque[_Ended] = deque()
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
        deliveries = self._world.receive("steps", self._room) if self._room > 0 else []
        self._room -= len(deliveries)
        return deliveries

    def begin(self, deliveries: Sequence[Delivery]) -> None:
        """Runs an attempt for each. To be called in the event loop."""
        for delivery in deliveries if not self.stopped else ():
            assert isinstance(delivery.message, StepTask)
            task = asyncio.create_task(self._executor.attempt(delivery.message, redelivered=delivery.redelivered))
            self.running.add(task)
            task.add_done_callback(partial(self._end, _Ended(delivery)))

    def _end(self, ended: _Ended, task: asyncio.Task[Callable[[], None] | None]) -> None:
        if task.cancelled():
            ended.error = asyncio.CancelledError("its task was cancelled, and not by the worker")
        else:
            ended.error = task.exception()
            ended.finish = None if ended.error else task.result()
        if not (self.stopped and task.cancelled()):  # then it comes again when a worker does
            self._ended.append(ended)
        self.running.discard(task)
        self.on_ended()

    def record(self) -> bool:
        """Records what has ended. Returns whether anything had."""
        ended = [self._ended.popleft() for _ in range(len(self._ended))]
        self._room += len(ended)
        done = [one for one in ended if one.error is None]
        try:
            self._finish(done)
        except Exception:
            for one in done:
                try:
                    self._finish([one])
                except Exception as error:
                    one.error = error
        for one in ended:
            if one.error:
                name = getattr(one.delivery.message, "name", "")
                _log.error("step %s could not be run, and will be tried again", name, exc_info=loggable(one.error))
                self._world.reject([one.delivery])
        return bool(ended)

    def _finish(self, done: Sequence[_Ended]) -> None:
        if not done:
            return
        with self._world.together(durable="next"):
            for one in done:
                if one.finish:
                    one.finish()
            self._world.acknowledge([one.delivery for one in done])
