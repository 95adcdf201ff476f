"""Serves a `LocalWorld`: takes its runs' turns and runs their steps, as the Lambda functions do on AWS."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from worldflow.runtime.steps import StepExecutor
from worldflow.runtime.sweep import sweep
from worldflow.runtime.turns import LIVE_LIMIT, Turns
from worldflow.runtime.watchdog import CPU_LIMIT
from worldflow.worker_steps import WorkerSteps
from worldflow.worker_turns import LONGEST_TURN, WorkerTurns
from worldflow.worlds.local import LocalWorld
from worldflow.worlds.local_messages import Queue

_IDLE = 0.05

_SWEEP_EVERY = timedelta(hours=1)

TURNS_AT_ONCE = 50
"""Runs whose turns a worker takes side by side."""


class Worker:
    """The one worker of a `LocalWorld`.

        async with Worker(world):
            run = await Orchestrator(world).start_workflow("order-1", fulfil_order, {"order": order})
            await run.result()

    concurrency: the most steps that run at a time.
    live_limit: how many runs are kept in memory between their turns; the others replay their histories.
    cpu_limit: seconds of processor time that a workflow may take over one fact before its run is blocked.
    strict: for tests: a workflow may not reach past its event loop, and the arguments of its calls must be those that
        the history holds.
    """

    def __init__(
        self,
        world: LocalWorld,
        *,
        concurrency: int = 10,
        live_limit: int = LIVE_LIMIT,
        cpu_limit: float = CPU_LIMIT,
        strict: bool = False,
    ) -> None:
        self._world = world
        self._executor = StepExecutor(world, steps_at_once=concurrency)
        self._live = Turns(world, live_limit=live_limit, cpu_limit=cpu_limit, strict=strict)
        self._turns = WorkerTurns(world, self._live, self._executor)
        self._steps = WorkerSteps(world, self._executor, concurrency)
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
        loop, threads = asyncio.get_running_loop(), ThreadPoolExecutor(2, "worldflow-worker")
        with self._world.serving(), _Bell(self._world) as bell:
            self._steps.on_ended = bell.steps.set
            turns = loop.run_in_executor(threads, self._serve_turns, bell)
            steps = loop.run_in_executor(threads, self._serve_steps, bell, loop)
            sweeping = asyncio.create_task(self._sweep_now_and_then())
            try:
                await asyncio.wait([turns, steps, sweeping], return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._turns.stopped = self._steps.stopped = True
                bell.ring()
                left = [sweeping, *self._steps.running]
                for task in left:
                    task.cancel()
                await asyncio.gather(*left, return_exceptions=True)
                await asyncio.wait([turns, steps], timeout=LONGEST_TURN)
                threads.shutdown(wait=False)
                self._steps.record()
                self.close()
            for part in (turns, steps, sweeping):  # one has failed
                if part.done() and not part.cancelled():
                    part.result()

    async def _sweep_now_and_then(self) -> None:
        swept_at: datetime | None = None
        while True:
            if swept_at is None or self._world.now() - swept_at >= _SWEEP_EVERY:
                swept_at = self._world.now()
                await asyncio.to_thread(sweep, self._world)
            await asyncio.sleep(1)

    def _serve_turns(self, bell: _Bell) -> None:
        while not self._turns.stopped:
            if not (self._turns.take(TURNS_AT_ONCE) or self._turns.bury()):
                bell.wait(bell.turns)

    def _serve_steps(self, bell: _Bell, loop: asyncio.AbstractEventLoop) -> None:
        while not self._steps.stopped:
            recorded = self._steps.record()
            if deliveries := self._steps.receive():
                with contextlib.suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(self._steps.begin, deliveries)
            elif not recorded:
                bell.wait(bell.steps)

    def close(self) -> None:
        """Lets go of what the worker holds in memory."""
        self._live.close()
        self._executor.close()

    async def work(self) -> bool:
        """Takes the turn of one run, and starts steps if there is room. Returns whether there was anything to do."""
        handled = await asyncio.to_thread(self._turns.take, 1) or await asyncio.to_thread(self._turns.bury)
        recorded = await asyncio.to_thread(self._steps.record)
        deliveries = await asyncio.to_thread(self._steps.receive)
        self._steps.begin(deliveries)
        return handled or recorded or bool(deliveries)

    async def pause(self, timeout: float) -> None:
        """Waits for a running step to end, for at most `timeout` seconds."""
        if self._steps.running:
            await asyncio.wait(self._steps.running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        elif not self.busy:
            await asyncio.sleep(timeout)

    @property
    def busy(self) -> bool:
        """Whether a step runs, or its outcome is still to be recorded."""
        return self._steps.busy


class _Bell:
    """Rings in the worker's two threads when there may be something to do."""

    def __init__(self, world: LocalWorld) -> None:
        self._world = world
        self.turns, self.steps = threading.Event(), threading.Event()

    def __enter__(self) -> _Bell:
        self._world.on_sent = self.ring
        return self

    def __exit__(self, *_: object) -> None:
        self._world.on_sent = None

    def ring(self, queues: Collection[Queue] = ("runs", "steps")) -> None:
        if "runs" in queues:
            self.turns.set()
        if "steps" in queues:
            self.steps.set()

    def wait(self, bell: threading.Event) -> None:
        """Until it rings, or for a moment: others may send too."""
        bell.wait(_IDLE)
        bell.clear()
