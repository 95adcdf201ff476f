"""Serves a `LocalWorld`: takes its runs' turns and runs their steps, as the Lambda functions do on AWS."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from worldflow.engine.privacy import loggable
from worldflow.runtime.steps import StepExecutor
from worldflow.runtime.sweep import sweep
from worldflow.runtime.turns import LIVE_LIMIT, Turns
from worldflow.worker_turns import LONGEST_TURN, WorkerTurns
from worldflow.worlds.local import LocalWorld
from worldflow.worlds.local_messages import Delivery, Queue
from worldflow.worlds.messages import StepTask

_log = logging.getLogger("worldflow")

_IDLE = 0.05

_SWEEP_EVERY = timedelta(hours=1)

TURNS_AT_ONCE = 50
"""Runs whose turns a worker takes side by side."""


_Done = tuple[Delivery, Callable[[], None] | None]
"""A task, and what records its outcome."""


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
        self._executor = StepExecutor(world)
        self._live = Turns(world, live_limit=live_limit)
        self._turns = WorkerTurns(world, self._live, self._executor)
        self._concurrency = concurrency
        self._running: set[asyncio.Task[None]] = set()
        self._done: list[_Done] = []
        """Attempts that have ended, and whose outcomes are not recorded yet."""
        self._recording: asyncio.Task[None] | None = None
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
        with self._world.serving(), _Bell(self._world) as bell:
            turns = asyncio.create_task(asyncio.to_thread(self._serve_turns, bell))
            others = [asyncio.create_task(self._serve_steps(bell)), asyncio.create_task(self._sweep_now_and_then())]
            try:
                await asyncio.wait([turns, *others], return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._turns.stopped = True
                bell.stop()
                for task in (*others, *self._running):
                    task.cancel()
                recording = [self._recording] if self._recording else []
                await asyncio.gather(*others, *self._running, *recording, return_exceptions=True)
                await asyncio.wait([turns], timeout=LONGEST_TURN)
                self._record_all()
                self.close()
            for task in (turns, *others):  # one has failed
                if not task.cancelled():
                    task.result()

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
                bell.wait()

    async def _serve_steps(self, bell: _Bell) -> None:
        while True:
            if not await self._start_steps():
                await bell.wait_for_steps(self._running)

    def close(self) -> None:
        """Lets go of what the worker holds in memory."""
        self._live.close()
        self._executor.close()

    async def work(self) -> bool:
        """Takes the turn of one run, and starts steps if there is room. Returns whether there was anything to do."""
        handled = await asyncio.to_thread(self._turns.take, 1) or await asyncio.to_thread(self._turns.bury)
        return await self._start_steps() or handled

    async def pause(self, timeout: float) -> None:
        """Waits for a running step to end, for at most `timeout` seconds."""
        if self._running:
            await asyncio.wait(self._running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        elif self._recording and not self._recording.done():
            await self._recording
        else:
            await asyncio.sleep(timeout)

    @property
    def busy(self) -> bool:
        """Whether a step runs, or its outcome is being recorded."""
        return bool(self._running or self._done or (self._recording and not self._recording.done()))

    # --- steps ---

    async def _start_steps(self) -> bool:
        room = self._concurrency - len(self._running)
        if room <= 0:
            return False
        deliveries = await asyncio.to_thread(self._world.receive, "steps", room)
        for delivery in deliveries:
            task = asyncio.create_task(self._run_step(delivery))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return bool(deliveries)

    async def _run_step(self, delivery: Delivery) -> None:
        task = delivery.message
        assert isinstance(task, StepTask)
        try:
            finish = await self._executor.attempt(task, redelivered=delivery.redelivered)
        except Exception as error:
            self._tell_of(delivery, error)
            await asyncio.to_thread(self._world.reject, [delivery])
            return
        self._done.append((delivery, finish))
        if self._recording is None or self._recording.done():
            self._recording = asyncio.create_task(self._record())

    async def _record(self) -> None:
        """Records what has ended, which meanwhile becomes more."""
        while self._done:
            await asyncio.to_thread(self._record_all)

    def _record_all(self) -> None:
        """Records what has ended: all at once, or where that fails one by one."""
        done, self._done = self._done, []
        try:
            self._finish(done)
        except Exception:
            for one in done:
                try:
                    self._finish([one])
                except Exception as error:
                    self._tell_of(one[0], error)
                    self._world.reject([one[0]])

    def _finish(self, done: Sequence[_Done]) -> None:
        with self._world.together():
            for _, finish in done:
                if finish:
                    finish()
            self._world.acknowledge([delivery for delivery, _ in done])

    def _tell_of(self, delivery: Delivery, error: Exception) -> None:
        name = getattr(delivery.message, "name", "")
        _log.error("step %s could not be run, and will be tried again", name, exc_info=loggable(error))


class _Bell:
    """Rings in the worker's two threads when there may be something to do."""

    def __init__(self, world: LocalWorld) -> None:
        self._world = world
        self._loop = asyncio.get_running_loop()
        self._for_turns = threading.Event()
        self._for_steps = asyncio.Event()

    def __enter__(self) -> _Bell:
        self._world.on_sent = self._ring
        return self

    def __exit__(self, *_: object) -> None:
        self._world.on_sent = None

    def _ring(self, queues: Collection[Queue]) -> None:
        if "runs" in queues:
            self._for_turns.set()
        if "steps" in queues and not self._for_steps.is_set():
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._for_steps.set)

    def stop(self) -> None:
        self._for_turns.set()

    def wait(self) -> None:
        """Until something was sent, or for a moment: others may send too."""
        self._for_turns.wait(_IDLE)
        self._for_turns.clear()

    async def wait_for_steps(self, running: Collection[asyncio.Task[None]]) -> None:
        """Until something was sent or a step has ended, or for a moment."""
        rung = asyncio.ensure_future(self._for_steps.wait())
        try:
            await asyncio.wait([rung, *running], timeout=_IDLE, return_when=asyncio.FIRST_COMPLETED)
        finally:
            rung.cancel()
        self._for_steps.clear()
