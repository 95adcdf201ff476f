"""Stops a workflow that does not await: a turn that never ends would take its whole function down, run after run.

A thread looks now and then at those that run workflow code. One that has used too much processor time since its
workflow last got on is sent an exception (`PyThreadState_SetAsyncExc`), again and again if the code swallows it. Time
spent waiting does not count, nor does a long history (each fact that is applied is progress), nor what the engine takes
to read and to write values. Code that is stuck in C, or sleeps, is not reached: the function's timeout ends that.
"""

from __future__ import annotations

import linecache
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TypeVar

from worldflow.engine.durations import spoken
from worldflow.engine.errors import WorkflowStuckError
from worldflow.engine.own_time import OwnTime
from worldflow.engine.workflow import queries
from worldflow.engine.workflow.execution import Execution
from worldflow.engine.workflow.loop import WorkflowLoop

T = TypeVar("T")

CPU_LIMIT = 5.0
"""Seconds of processor time that a workflow may take over one fact."""

VALUES_LIMIT = 45.0
"""Seconds that reading and writing values may take over one fact before they count: a type's own code may not end, and
the template's orchestrator has 60 s.
"""

_INTERVAL = 0.2

_OURS = str(Path(__file__).parent.parent)
_ENTRANCES = (WorkflowLoop.run.__code__, queries.answer.__code__)
"""Where the workflow's code is entered: what is outside is not its own."""

_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


class _Stop(BaseException):
    """Sent to the thread that is stuck."""


@dataclass(slots=True, eq=False)
class _Watch:
    thread: int
    limit: float
    execution: Execution
    cpu_time: Callable[[], float]
    seen: tuple[int, float, float] | None = None
    """The progress when it was last made, and the times then: all, and the engine's own."""
    stuck_at: str | None = None


class _Watchdog:
    """One thread for all that this process watches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: dict[int, _Watch] = {}
        self._wanted = threading.Event()
        self._pause = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, watch: _Watch) -> None:
        with self._lock:
            self._watches[watch.thread] = watch
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="worldflow-watchdog", daemon=True)
                self._thread.start()
        self._wanted.set()

    def end(self, watch: _Watch) -> None:
        """When it returns, the thread is sent nothing any more, and what it was sent has come or is taken back."""
        while self._watches.get(watch.thread) is watch:
            try:
                with self._lock:
                    if watch.stuck_at is not None:  # otherwise nothing was sent
                        _send(watch.thread, None)
                    del self._watches[watch.thread]
            except _Stop:
                continue

    def _look(self) -> None:
        while True:
            self._wanted.wait()
            self._pause.wait(_INTERVAL)  # and not time.sleep(), which tests of applications replace
            with self._lock:
                for watch in self._watches.values():
                    self._check(watch)
                if not self._watches:
                    self._wanted.clear()

    def _check(self, watch: _Watch) -> None:
        progress, now, own = watch.execution.length, watch.cpu_time(), watch.execution.own_time.spent()
        if watch.seen is None or watch.seen[0] != progress:
            watch.seen = progress, now, own
            return
        _, before, own_before = watch.seen
        if now - before - min(own - own_before, VALUES_LIMIT) >= watch.limit:
            watch.stuck_at = watch.stuck_at or _place(sys._current_frames().get(watch.thread))
            _send(watch.thread, _Stop)


_watchdog = _Watchdog()


def watched(execution: Execution, call: Callable[[], T], limit: float = CPU_LIMIT) -> T:
    """What a call returns in which an execution is at work, which is watched in this thread.

    limit: seconds of processor time without progress.
    Raises `WorkflowStuckError` instead of whatever came of a call that had to be stopped.
    """
    execution.own_time = OwnTime(time.perf_counter)
    watch = _Watch(threading.get_ident(), limit, execution, _cpu_clock())
    _watchdog.begin(watch)
    # All in one frame: what is sent may come at any place, also where a context manager is entered or left.
    try:
        try:
            value = call()
        finally:
            _watchdog.end(watch)
    except BaseException as error:
        _watchdog.end(watch)  # again: what was sent may have come at its beginning, and the next comes later
        if watch.stuck_at is None:
            raise
        raise _stuck(watch) from (None if isinstance(error, _Stop) else error)
    if watch.stuck_at is not None:
        raise _stuck(watch)
    return value


def _stuck(watch: _Watch) -> WorkflowStuckError:
    return WorkflowStuckError(
        f"the workflow used {spoken(watch.limit)} of processor time without awaiting; {watch.stuck_at}"
    )


def _cpu_clock() -> Callable[[], float]:
    """The processor time of this thread; where the system does not tell, time itself."""
    try:
        clock = time.pthread_getcpuclockid(threading.get_ident())
    except (AttributeError, OSError):
        return time.monotonic
    return lambda: time.clock_gettime(clock)


def _send(thread: int, error: type[BaseException] | None) -> None:
    import ctypes  # which only a workflow that is stuck needs

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error) if error else None)


def _place(frame: FrameType | None) -> str:
    """Where a thread is in the application's own code."""
    while frame and frame.f_code not in _ENTRANCES:
        code = frame.f_code
        if not code.co_filename.startswith((_OURS, *_LIBRARIES)):
            line = linecache.getline(code.co_filename, frame.f_lineno).strip()
            where = f"it was in {code.co_qualname}, {code.co_filename}:{frame.f_lineno}"
            return f"{where}: {line}" if line else where
        frame = frame.f_back
    return "its tasks keep waking each other"
