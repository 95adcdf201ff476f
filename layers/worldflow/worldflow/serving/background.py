"""A worker in a thread of its own, for applications without asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from concurrent.futures import Future

from worldflow.engine.privacy import loggable
from worldflow.serving.worker import Worker

_log = logging.getLogger("worldflow")


class BackgroundWorker:
    """Runs a `Worker` in a thread, for applications without asyncio, such as those of Django and Flask.

        with BackgroundWorker(Worker(world)):
            run = Orchestrator(world).sync.start_workflow("order-1", fulfil_order, {"order": order})
            run.result()

    Where no block surrounds the life of the application, call `start()`: the worker ends with the process, as when a
    block is left. It starts once, as a thread does. An error after which it cannot continue is logged, and raised by
    `close()`.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._ready: Future[None] = Future()
        self._ended: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._is_started = False

    def __enter__(self) -> BackgroundWorker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Returns when the worker serves or, with `standby`, waits to. Raises what keeps it from that, and
        `RuntimeError` when it is called again.
        """
        if self._is_started:
            raise RuntimeError("a BackgroundWorker starts once: create another")
        self._is_started = True
        threading.Thread(target=self._run, name="worldflow-background", daemon=True).start()
        # Before those of concurrent.futures, which waits for the worker's threads: `atexit` would come after it.
        threading._register_atexit(self._end)  # type: ignore[attr-defined]
        self._ready.result()

    def close(self) -> None:
        """Ends the worker as leaving its block does, and waits for that. Closing it again does nothing."""
        self._end()
        if self._loop:
            self._ended.result()

    def _end(self) -> None:
        if self._loop is None:
            return
        with contextlib.suppress(RuntimeError):  # it has ended, and its loop is closed
            self._loop.call_soon_threadsafe(self._stop.set)
        self._ended.exception()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
                self._ended.set_result(None)
                return
            _log.error("the worker cannot continue", exc_info=loggable(error))
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self._worker:
            self._ready.set_result(None)
            await self._stop.wait()
