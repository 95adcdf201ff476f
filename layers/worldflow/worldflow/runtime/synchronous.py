"""`Orchestrator.sync`: the same calls for code without asyncio, such as the views of Django and Flask.

A call waits in its own thread while the asynchronous one runs on the process's background event loop. The first call
starts that loop, in a daemon thread; all threads of the process share it. A forked process, such as a worker of
gunicorn, starts its own.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
A = TypeVar("A", covariant=True)
T = TypeVar("T")


class _Background:
    """The event loop of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="worldflow-sync", daemon=True).start()
            return self._loop


_background = _Background()

_of_parents: list[_Background] = []
"""Kept, because Python warns of an open loop that is collected."""


def _forget() -> None:
    """In a forked process: the threads of the loop and of the holder of the lock have stayed in the parent."""
    global _background
    _of_parents.append(_background)
    _background = _Background()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget)


def wait_for(call: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on the background loop, in the caller's context, and returns its result.

    Raises `RuntimeError` in a thread that runs an event loop: the wait would block it.
    """
    if asyncio._get_running_loop() is not None:
        call.close()
        raise RuntimeError("Orchestrator.sync would block the event loop of this thread: await Orchestrator instead")
    future = asyncio.run_coroutine_threadsafe(call, _background.loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()  # of use only where the wait was interrupted, as by Ctrl-C
        raise


class Synchronous(Generic[A]):
    """What waits for the calls of an asynchronous object."""

    def __init__(self, asynchronous: A) -> None:
        self._asynchronous = asynchronous

    def __repr__(self) -> str:
        return f"<sync {self._asynchronous!r}>"


def waiting(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Synchronous[A], P], T]:
    """The method of a `Synchronous` that waits for this one, with its parameters and docstring."""

    @functools.wraps(method)
    def call(self: Synchronous[A], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return wait_for(method(self._asynchronous, *args, **kwargs))

    return call
