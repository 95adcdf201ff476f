"""Threads for calls that block, apart from those that the application gives to `asyncio.to_thread`.

That pool is the application's, and small: on two processors, six threads. Steps that filled it would keep `signal` and
`cancel` waiting until they end, and steps that wait for one of these would never end.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """Up to `most` threads, each started when a call finds none idle. May be used from several event loops."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Calls a function in a thread, in a copy of the caller's context. The future is one of the running loop."""
        context = contextvars.copy_context()
        with self._lock:
            self._pool = self._pool or ThreadPoolExecutor(self._most, self._name)
            call = partial(context.run, function, *args, **kwargs)
            return asyncio.get_running_loop().run_in_executor(self._pool, call)

    def close(self) -> None:
        """Lets go of the threads: each ends with the call that it is in. A later call starts new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool:
            pool.shutdown(wait=False)
