"""An asyncio event loop whose clock is a history.

It is a real `asyncio.AbstractEventLoop`, so that tasks, futures, `gather`, `TaskGroup`, `timeout`, `Queue` and the
rest of asyncio mean in a workflow what they always mean. It has no selector and no threads: it runs what is ready
until nothing is, and then returns. Time stands still while it runs; a `call_later` becomes a timer of its host, which
fires it by a fact in the history. What cannot be replayed (sockets, threads, subprocesses, signals) is refused by
name.

Tasks and futures are those of `awaitables.py`. What asyncio itself has to do otherwise in a workflow is in
`patches.py`.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
import math
import sys
from asyncio import events
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol, TypeVar, TypeVarTuple

from worldflow.engine.errors import UnsupportedOperationError
from worldflow.engine.here import COLLECTOR, run_here, running_loop
from worldflow.engine.privacy import log_context
from worldflow.engine.unawaited import Origin
from worldflow.engine.workflow.awaitables import CountingLoop, Future, Never, Task, Timer, close
from worldflow.engine.workflow.generators import Generators

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_log = logging.getLogger("worldflow")

_END_OF_SLEEP: Any = asyncio.futures._set_result_unless_cancelled  # type: ignore[attr-defined]
"""What `asyncio.sleep` has called when its time is over."""

_REFUSAL_LIMIT = 1_000
"""How often discarded code gets a `GeneratorExit` before it is left waiting."""


class Host(Protocol):
    """Whom the loop serves: the execution."""

    run_id: str
    replaying: bool
    """Whether what runs now has run before."""

    def timer_started(self, when: float, *, sleep: bool) -> str:
        """A timer is wanted for `when` (seconds since 1970). Returns its id.

        sleep: whether it ends an `asyncio.sleep`.
        """

    def timer_cancelled(self, timer_id: str) -> None:
        """A timer that has not fired is wanted no longer."""


class WorkflowLoop(CountingLoop):
    """The loop of one execution. Not thread-safe; runs in a thread that has no other running loop."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.now = 0.0
        self.ready: deque[asyncio.Handle] = deque()
        self._timers: dict[str, Timer] = {}
        # One count a kind: tasks alone in a set then come in the order of their creation.
        self.calls, self._futures, self._task_orders = itertools.count(1), itertools.count(1), itertools.count(1)
        self._task_names = itertools.count(1)
        self._tasks: dict[Task, None] = {}
        self._generators = Generators(self)
        self.unawaited = {}
        self.upsets = 0
        self._refusals = 0
        """How often code was told that nothing can be awaited any more."""
        self.closed = False

    # --- what the execution calls ---

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Makes this the running loop of this thread, which may make callbacks ready and `run` them, and no other."""
        if events._get_running_loop() is not None:
            raise RuntimeError("a workflow cannot run inside a running event loop: run it in its own thread")
        with self._running():
            yield

    @contextmanager
    def _running(self) -> Iterator[None]:
        outer, outer_here, hooks = events._get_running_loop(), running_loop(), sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(self._generators.begin, self._generators.leave)
        events._set_running_loop(self)
        run_here(self)
        try:
            yield
        finally:
            run_here(outer_here)
            events._set_running_loop(outer)
            sys.set_asyncgen_hooks(*hooks)

    def run(self, until: asyncio.Future[Any]) -> None:
        """Runs what is ready, until nothing is or `until` is done. The loop is `entered`."""
        ready = self.ready
        while ready and not until.done():
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def call(self, function: Callable[[], T]) -> T:
        """Calls a function as code of the workflow, with whatever loop around it; what it makes ready waits for the
        next `run`.
        """
        with self._running():
            return function()

    def fire(self, timer_id: str) -> None:
        """Makes a timer's callback ready. A timer that was cancelled is ignored."""
        timer = self._timers.pop(timer_id, None)
        if timer is not None:
            self.ready.append(timer)

    def tasks(self) -> list[Task]:
        """The tasks that have not ended, in the order of their creation."""
        return [task for task in self._tasks if not task.done()]

    def forgotten(self) -> list[Origin]:
        """Where calls were made that nobody has awaited, or will. See `unawaited.py`."""
        if not self.unawaited:
            return []
        is_calm = all(task.done() and not task.cancelled() and task._exception is None for task in self._tasks)
        return [
            Origin(*made)
            for made, upsets in self.unawaited.values()
            if upsets is None or (is_calm and upsets == self.upsets and made[0] != "signal")
        ]

    def dispose(self) -> None:
        """Ends all tasks without letting them run any further.

        A `finally` sees an exception that is no `Exception`, and `GeneratorExit` where it calls a step, sleeps or
        starts a task: it must not do for real, in this process, what it would have decided to do. Hence the loop counts
        as running meanwhile. And as libraries check in a `finally` that they are where they were (a context variable is
        reset in the context in which it was set, a cancel scope is left by the task that entered it), each task is
        ended as itself.
        """
        self.closed = True
        self.ready.clear()
        self._timers.clear()
        tasks, self._tasks = self._tasks, {}
        if tasks or self._generators:
            with self._running():
                for task in tasks:
                    if not task.done():
                        task._log_destroy_pending = False  # type: ignore[attr-defined]
                        task.context.run(close, task, self)
                self._generators.close()

    def check_open(self) -> None:
        """Raises `GeneratorExit` where the run can do nothing more: during disposal, and in what is collected.

        Raises `UnsupportedOperationError` in code of another run, or of none.
        """
        here = running_loop()
        if here is COLLECTOR:
            raise GeneratorExit
        if self.closed:
            self._refuse()
            return
        if here is not self:
            user = f"run {here.host.run_id!r}" if here else "a thread outside the run"
            raise UnsupportedOperationError(
                f"{user} used a task, future or hook of run {self.host.run_id!r}, which a replay could not repeat. "
                f"Send a signal instead"
            )

    def next_future(self) -> int:
        return next(self._futures)

    # --- what asyncio calls ---

    def time(self) -> float:
        return self.now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self.closed:
            self.check_open()
            self.ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        self.check_open()
        timer = Timer(when, callback, args, self, context)
        if self.closed:
            timer.timer_id = ""
        elif when <= self.now:
            timer.timer_id = ""
            self.ready.append(timer)
        elif when == math.inf:
            timer.timer_id = ""  # it never fires
        else:
            timer.timer_id = self.host.timer_started(when, sleep=callback is _END_OF_SLEEP)
            self._timers[timer.timer_id] = timer
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        assert isinstance(handle, Timer)
        if self._timers.pop(handle.timer_id, None) is not None:
            self.host.timer_cancelled(handle.timer_id)

    def create_future(self) -> asyncio.Future[Any]:
        self.check_open()
        return self.new_future()

    def _refuse(self) -> None:
        """Raises `GeneratorExit`; not to code that tries again and again, which is left waiting for good."""
        self._refusals += 1
        if self._refusals < _REFUSAL_LIMIT:
            raise GeneratorExit

    def new_future(self) -> asyncio.Future[Any]:
        """A future for the execution's own use, wherever it is at work."""
        return Future(next(self._futures), self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: contextvars.Context | None = None, **kwargs: Any
    ) -> asyncio.Task[Any]:
        if self.closed:
            coro.close()
            never: Any = Never(self.next_future(), self)
            self._refusals += 1
            if self._refusals < _REFUSAL_LIMIT:
                never.cancel()
            return never  # type: ignore[no-any-return]
        name = name or f"task-{next(self._task_names)}"
        context = context or contextvars.copy_context()
        task = Task(next(self._task_orders), coro, context, loop=self, name=name, **kwargs)
        self._tasks[task] = None
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)  # type: ignore[call-overload]
        if task._exception is not None:  # and not `exception()`: that would mark it as retrieved
            self.upsets += 1

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        if enabled:
            raise UnsupportedOperationError("a workflow's event loop has no debug mode")

    def is_running(self) -> bool:
        return events._get_running_loop() is self

    def is_closed(self) -> bool:
        return self.closed

    def get_task_factory(self) -> None:
        return None

    def get_exception_handler(self) -> None:
        return None

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.call_exception_handler(context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self.closed or self.host.replaying:
            return  # disposed of, somebody would have looked at the exception; on replay it was told before
        log_context(_log, "in a workflow", context)

    async def shutdown_asyncgens(self) -> None:
        return None


THREAD = "threads cannot be replayed; call a plain (not async) function decorated with @step"
_SUBPROCESS = "subprocesses cannot be replayed; start them in a @step"
_SIGNAL = "process signals cannot be replayed; use wait_for_signal()"
_UNAVAILABLE = {
    "run_in_executor": THREAD,
    "set_default_executor": THREAD,
    "shutdown_default_executor": THREAD,
    "set_task_factory": "only Worldflow creates tasks",
    "set_exception_handler": "catch the exception where it is awaited",
    "call_soon_threadsafe": "callbacks from other threads cannot be replayed; a workflow has one thread",
    "subprocess_exec": _SUBPROCESS,
    "subprocess_shell": _SUBPROCESS,
    "add_signal_handler": _SIGNAL,
    "remove_signal_handler": _SIGNAL,
    "run_forever": "Worldflow runs the loop",
    "run_until_complete": "Worldflow runs the loop; await the coroutine",
    "stop": "Worldflow runs the loop; return from the workflow",
    "close": "Worldflow runs the loop; return from the workflow",
}


def _refuse(name: str) -> Callable[..., NoReturn]:
    why = _UNAVAILABLE.get(name, "I/O cannot be replayed; do it in a @step")

    def refuse(self: WorkflowLoop, *args: Any, **kwargs: Any) -> NoReturn:
        raise UnsupportedOperationError(f"loop.{name}() is not available in a workflow: {why}")

    refuse.__name__ = name
    return refuse


def _refused() -> Iterator[str]:
    for name in dir(asyncio.AbstractEventLoop):
        if not name.startswith("_") and name not in vars(WorkflowLoop):
            yield name


for _name in list(_refused()):
    setattr(WorkflowLoop, _name, _refuse(_name))
