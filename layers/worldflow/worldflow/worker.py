"""Serves a `LocalWorld`: takes its runs' turns and runs their steps, as the Lambda functions do on AWS."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from worldflow.engine.privacy import loggable
from worldflow.runtime import schedules
from worldflow.runtime.steps import StepExecutor
from worldflow.runtime.sweep import sweep
from worldflow.runtime.turns import LIVE_LIMIT, Turns
from worldflow.worlds.local import Delivery, LocalWorld
from worldflow.worlds.messages import RunMessage, ScheduleDue, StepTask

_log = logging.getLogger("worldflow")

_IDLE = 0.05

_SWEEP_EVERY = timedelta(hours=1)

_LONGEST_TURN = 5.0
"""Seconds after which a turn that runs inline steps lets others in."""


class _TurnTime:
    def __init__(self) -> None:
        self._end = time.monotonic() + _LONGEST_TURN

    def __call__(self) -> bool:
        return time.monotonic() > self._end


class Worker:
    """The one worker of a `LocalWorld`.

        async with Worker(world):
            run = await Orchestrator(world).start_workflow("order-1", fulfil_order, {"order": order})
            await run.result()

    concurrency: the most steps that run at a time.
    live_limit: how many runs are kept in memory between their turns; the others replay their histories.
    """

    def __init__(self, world: LocalWorld, *, concurrency: int = 10, live_limit: int = LIVE_LIMIT) -> None:
        self._world = world
        self._turns = Turns(world, live_limit=live_limit)
        self._executor = StepExecutor(world)
        self._concurrency = concurrency
        self._running: set[asyncio.Task[None]] = set()
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Worker:
        self._serving = asyncio.create_task(self.serve())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._serving is not None
        self._serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._serving

    async def serve(self) -> None:
        """Serves until it is cancelled. Steps that run then are left, and run again when a worker comes back.

        Raises `ConfigurationError` if another worker serves the file.
        """
        with self._world.serving():
            swept_at: datetime | None = None
            try:
                while True:
                    if swept_at is None or self._world.now() - swept_at >= _SWEEP_EVERY:
                        swept_at = self._world.now()
                        await asyncio.to_thread(sweep, self._world)
                    if not await self.work():
                        await self.pause(_IDLE)
            finally:
                for task in self._running:
                    task.cancel()
                await asyncio.gather(*self._running, return_exceptions=True)
                self.close()

    def close(self) -> None:
        """Lets go of what the worker holds in memory."""
        self._turns.close()

    async def work(self) -> bool:
        """Takes the turn of one run, and starts one step if there is room. Returns whether there was anything to do."""
        handled = await asyncio.to_thread(self._take_turn) or await asyncio.to_thread(self._bury)
        return await self._start_step() or handled

    async def pause(self, timeout: float) -> None:
        """Waits for a running step to end, for at most `timeout` seconds."""
        if self._running:
            await asyncio.wait(self._running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(timeout)

    @property
    def busy(self) -> bool:
        """Whether a step runs."""
        return bool(self._running)

    def _take_turn(self) -> bool:
        deliveries = self._world.receive("runs")
        if messages := [delivery.message for delivery in deliveries if isinstance(delivery.message, RunMessage)]:
            redo = any(delivery.redelivered for delivery in deliveries)
            with self._settle(deliveries):
                self._turns.take(messages[0].run_id, messages, redo=redo, out_of_time=_TurnTime())
        else:
            self._fire(deliveries)
        return bool(deliveries)

    def _fire(self, deliveries: Sequence[Delivery]) -> None:
        """Starts the runs that a schedule is due for. Its messages have a group of their own."""
        for delivery in deliveries:
            if isinstance(delivery.message, ScheduleDue):
                with self._settle([delivery]):
                    schedules.fire(self._world, delivery.message)

    def _bury(self) -> bool:
        """Handles what was rejected too often: fails the attempt, or takes the turn without the workflow's code."""
        deliveries = self._world.receive("dead", 1)
        for delivery in deliveries:
            with self._settle([delivery]):
                if isinstance(delivery.message, StepTask):
                    self._executor.bury(delivery.message)
                elif isinstance(delivery.message, ScheduleDue):
                    schedules.fire(self._world, delivery.message)
                else:
                    self._turns.take(delivery.message.run_id, [delivery.message], redo=True, use_code=False)
        return bool(deliveries)

    @contextlib.contextmanager
    def _settle(self, deliveries: Sequence[Delivery]) -> Iterator[None]:
        """Acknowledges messages that were handled, and rejects those that were not."""
        try:
            yield
        except Exception as error:
            run_id = deliveries[0].message.run_id
            _log.error("run %s: a message could not be handled, and comes again", run_id, exc_info=loggable(error))
            self._world.reject(deliveries)
        else:
            self._world.acknowledge(deliveries)

    async def _start_step(self) -> bool:
        if len(self._running) >= self._concurrency:
            return False
        deliveries = await asyncio.to_thread(self._world.receive, "steps", 1)
        for delivery in deliveries:
            task = asyncio.create_task(self._run_step(delivery))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return bool(deliveries)

    async def _run_step(self, delivery: Delivery) -> None:
        assert isinstance(delivery.message, StepTask)
        try:
            await self._executor.execute(delivery.message, redelivered=delivery.redelivered)
        except Exception as error:
            name = delivery.message.name
            _log.error("step %s could not be run, and will be tried again", name, exc_info=loggable(error))
            await asyncio.to_thread(self._world.reject, [delivery])
        else:
            await asyncio.to_thread(self._world.acknowledge, [delivery])
