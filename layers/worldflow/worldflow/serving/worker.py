"""Serves a `LocalWorld`: takes its runs' turns and runs their steps, as the Lambda functions do on AWS."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from worldflow.engine.errors import ConfigurationError
from worldflow.engine.privacy import described, loggable
from worldflow.engine.queues import check_queue
from worldflow.runtime.sweep import note as note_sweep
from worldflow.runtime.sweep import sweep
from worldflow.serving.worker_receipts import PASSING, is_lasting, is_locked
from worldflow.serving.worker_steps import WorkerSteps
from worldflow.serving.worker_turns import LONGEST_TURN, WorkerTurns
from worldflow.turns.live_runs import LIVE_LIMIT
from worldflow.turns.observer import Observer
from worldflow.turns.steps import StepExecutor
from worldflow.turns.turns import Turns
from worldflow.turns.watchdog import CPU_LIMIT
from worldflow.worlds.served import Queue, Served

_log = logging.getLogger("worldflow")

_IDLE = 0.05

_LOOK_EVERY = 1.0
"""Seconds between two looks of a worker in standby at the one that serves."""

_SWEEP_EVERY = timedelta(hours=1)

TURNS_AT_ONCE = 50
"""Runs whose turns a worker takes side by side."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
"""Seconds until the database is asked again, which has refused: they double while it does."""

_PATIENCE = 60.0
"""Seconds for which a worker that ends keeps trying to record outcomes that the database refuses."""

_PARTING = 1.0
"""Seconds that the threads have to end in when nobody waits for steps any more."""


class Worker:
    """The one worker of a `LocalWorld`.

        async with Worker(world):
            run = await Orchestrator(world).start_workflow("order-1", fulfil_order, {"order": order})
            await run.result()

    If the worker fails during the block (the world is closed, one of its SQL statements fails), the block is cancelled,
    as by `asyncio.TaskGroup`, and the error is raised from it. Passing errors (a locked file, a full disk) are retried
    until they pass. When the block is left, the worker starts nothing more, cancels `async def` steps, and waits for
    plain ones, which run in threads, to record their outcomes; a caller that is cancelled meanwhile stops waiting.

    concurrency: maximum number of concurrent steps.
    queues: the step queues whose steps it runs, such as `["heavy", "default"]`; steps of the others wait. Default: all.
    live_limit: how many runs are kept in memory between their turns; the others replay their histories.
    cpu_limit: seconds of processor time that a workflow may use for one event before its run is blocked.
    standby: if another process serves the file, wait until it ends. Default: raise `ConfigurationError`. For an
        application with several processes, one of which is to serve.
    strict: for tests: a workflow must not use anything outside its event loop, and must make its calls with the
        arguments that the history has.
    observer: is notified of what happens: see `worldflow.turns.observer`.
    """

    def __init__(
        self,
        world: Served,
        *,
        concurrency: int = 10,
        queues: Collection[str] | None = None,
        live_limit: int = LIVE_LIMIT,
        cpu_limit: float = CPU_LIMIT,
        standby: bool = False,
        strict: bool = False,
        observer: Observer | None = None,
    ) -> None:
        self._world = world
        self._observer = observer
        self._standby = standby
        self._executor = StepExecutor(world, steps_at_once=concurrency, observer=observer)
        self._live = Turns(world, live_limit=live_limit, cpu_limit=cpu_limit, strict=strict, observer=observer)
        self._turns = WorkerTurns(world, self._live, self._executor)
        if queues is not None:
            queues = tuple(check_queue(name, "Worker(queues=...): each name") for name in queues)
        self._steps = WorkerSteps(world, self._executor, concurrency, queues)
        self._ending, self._leaving = threading.Event(), threading.Event()
        """Nothing is begun any more; and nobody waits for steps in threads any more."""
        self._ends_at = 0.0
        self._serving: asyncio.Task[None] | None = None
        self._block: _Block | None = None

    async def __aenter__(self) -> Worker:
        ready = asyncio.Event()
        self._serving = asyncio.create_task(self._serve(ready.set))
        self._block = _Block(self._serving)
        await self._block.begin(ready)
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        assert self._block is not None
        await self._block.end(error)

    async def serve(self) -> None:
        """Serves until it is cancelled, and then ends as leaving the block does.

        Raises `ConfigurationError` if another worker serves the file and this one does not stand by, and any other
        error after which it cannot continue.
        """
        await self._serve(lambda: None)

    async def _serve(self, on_begin: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        self._turns.stopped = self._steps.stopped = False
        self._ending.clear()
        self._leaving.clear()
        with contextlib.ExitStack() as stack:
            await self._begin_serving(stack, on_begin)
            bell = stack.enter_context(_Bell(self._world))
            self._steps.on_ended = bell.steps.set
            threads = ThreadPoolExecutor(3, "worldflow-worker")
            parts = [
                loop.run_in_executor(threads, self._serve_turns, bell),
                loop.run_in_executor(threads, self._serve_steps, bell, loop),
                loop.run_in_executor(threads, self._sweep_now_and_then),
            ]
            on_begin()
            cancelled: asyncio.CancelledError | None = None
            try:
                try:
                    await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
                except asyncio.CancelledError as error:
                    cancelled = error
                self._end(bell)
                try:
                    await asyncio.wait(parts, timeout=LONGEST_TURN)
                    self._live.stop_steps()
                    await asyncio.wait(parts)
                except asyncio.CancelledError as error:
                    cancelled = error
                    self._leaving.set()
                    self._steps.stop()
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.wait(parts, timeout=_PARTING)
            finally:
                threads.shutdown(wait=False)
                if all(part.done() for part in parts):
                    self.close()
            # All are looked at, so that asyncio has nothing to say of those after the first.
            failures = [found for part in parts if part.done() and (found := part.exception()) is not None]
            if failures:
                raise failures[0]
            if cancelled:
                raise cancelled

    async def _begin_serving(self, stack: contextlib.ExitStack, on_standby: Callable[[], object]) -> None:
        while True:
            try:
                stack.enter_context(self._world.serving())
                return
            except ConfigurationError:
                if not self._standby:
                    raise
                on_standby()
                while self._world.is_served():
                    await asyncio.sleep(_LOOK_EVERY)
            except sqlite3.OperationalError as error:
                if not is_locked(error):
                    raise
                _log.warning("%s is locked; the worker starts when the lock is released", self._world.path)
                await asyncio.sleep(_LONGEST_PAUSE)

    def _end(self, bell: _Bell) -> None:
        self._ends_at = time.monotonic() + _PATIENCE
        self._turns.stopped = True
        self._steps.stop()
        self._ending.set()
        bell.ring()

    def _keep_on(self, what: str, do: Callable[[], None], is_over: Callable[[], bool]) -> None:
        """Does something again and again, also where an error is passing: then after a pause."""
        refusals = 0
        while not is_over():
            try:
                do()
            except PASSING as error:
                if is_lasting(error) or (self._ending.is_set() and time.monotonic() > self._ends_at):
                    raise
                if not refusals:
                    _log.warning("%s: %s; retrying until it succeeds", what, _reason(error))
                pause = min(_FIRST_PAUSE * 2 ** min(refusals, 10), _LONGEST_PAUSE)
                refusals += 1
                (self._leaving if self._ending.is_set() else self._ending).wait(pause)
            else:
                if refusals:
                    _log.warning("%s: works again", what)
                refusals = 0

    def _serve_turns(self, bell: _Bell) -> None:
        def take() -> None:
            if not (self._turns.take(TURNS_AT_ONCE) or self._turns.bury()):
                bell.wait(bell.turns)

        self._keep_on("turns of runs", take, self._ending.is_set)

    def _serve_steps(self, bell: _Bell, loop: asyncio.AbstractEventLoop) -> None:
        def serve() -> None:
            refusal: Exception | None = None
            recorded = False
            try:
                recorded = self._steps.record()
            except PASSING as error:
                refusal = error
            if deliveries := self._steps.receive():
                with contextlib.suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(self._steps.begin, deliveries)
            if refusal:
                raise refusal
            if not recorded and not deliveries:
                bell.wait(bell.steps)

        def is_over() -> bool:
            return self._steps.stopped and (self._leaving.is_set() or not self._steps.busy)

        self._keep_on("steps", serve, is_over)
        self._steps.record()

    def _sweep_now_and_then(self) -> None:
        swept_at: datetime | None = None

        def look() -> None:
            nonlocal swept_at
            if swept_at is None or self._world.now() - swept_at >= _SWEEP_EVERY:
                now = self._world.now()
                if sweep(self._world, out_of_time=self._ending.is_set, observer=self._observer).complete:
                    note_sweep(self._world, now)
                swept_at = now
            self._ending.wait(1)

        self._keep_on("the sweep", look, self._ending.is_set)

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

    async def leave(self) -> None:
        """Cancels the steps that `work` has begun. One in a thread is left to itself, and one that goes on, too."""
        for seconds in (0.0, _PARTING):
            self._steps.stop()
            if self._steps.running:
                await asyncio.wait(self._steps.running, timeout=seconds)

    @property
    def busy(self) -> bool:
        """Whether a step runs, or its outcome is still to be recorded."""
        return self._steps.busy


class _Block:
    """The block of an `async with`, and the task that runs beside it: if that ends, the block is cancelled."""

    def __init__(self, beside: asyncio.Task[None]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancellations = task.cancelling()
        self._beside = beside
        self._is_left = self._has_cancelled = False

    async def begin(self, ready: asyncio.Event) -> None:
        """Waits until the block may begin. Raises what keeps it from that."""
        waiting = asyncio.create_task(ready.wait())
        try:
            await asyncio.wait([waiting, self._beside], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._beside.cancel()
            await asyncio.wait([self._beside])
            raise
        finally:
            waiting.cancel()
        if self._beside.done():
            self._beside.result()
        self._beside.add_done_callback(self._cancel)

    def _cancel(self, beside: asyncio.Task[None]) -> None:
        if not self._is_left:
            self._has_cancelled = True
            self._task.cancel("the worker has ended")

    async def end(self, error: BaseException | None) -> None:
        """Cancels the task that runs beside the block, and waits for its end.

        error: what the block is left by. Raises what else it is to be left by: an error of what went on beside it, or a
        cancellation that came while it was waited for.
        """
        self._is_left = True
        self._beside.cancel()
        interruption: asyncio.CancelledError | None = None
        while not self._beside.done():
            try:
                await asyncio.wait([self._beside])
            except asyncio.CancelledError as cancelled:
                interruption = cancelled
                self._beside.cancel()
        if self._has_cancelled:
            self._task.uncancel()
        failure = None if self._beside.cancelled() else self._beside.exception()
        interruption = interruption or (error if isinstance(error, asyncio.CancelledError) else None)
        if interruption and (self._task.cancelling() > self._cancellations or not self._has_cancelled):
            if failure:
                _log.error("the worker also failed", exc_info=loggable(failure))
            if interruption is not error:
                raise interruption
        elif failure:
            raise failure
        elif self._has_cancelled:
            raise RuntimeError("the worker was cancelled other than by leaving its block")


class _Bell:
    """Rings in the worker's two threads when there may be something to do."""

    def __init__(self, world: Served) -> None:
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


def _reason(error: BaseException) -> str:
    """Why the database refuses. SQLite's texts have names of tables, and nothing that a run carries."""
    return f"{type(error).__name__}: {error}" if isinstance(error, sqlite3.Error) else described(error)
