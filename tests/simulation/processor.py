"""The processor's time, which code says that it takes: the watchdog looks each time, and needs no thread.

Values whose type takes long to read and to write are in `programs.py`. That is the engine's time; what the workflow's
own code takes is not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock

from worldflow.turns import watchdog


class _Watchdog(watchdog._Watchdog):
    """One that looks when time is taken, at the thread that takes it: the simulation has one at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self._entered: list[watchdog._Watch] = []

    def begin(self, watch: watchdog._Watch) -> None:
        self._check(watch)
        self._entered.append(watch)

    def end(self, watch: watchdog._Watch) -> None:
        if watch in self._entered:
            self._entered.remove(watch)

    def look(self) -> None:
        if self._entered:
            self._check(self._entered[-1])


INTERVAL = 0.5
"""Seconds of the processor after which the watchdog looks again."""

_watchdogs: list[_Watchdog] = []


def take(seconds: float) -> None:
    """Takes time of the processor, where the simulation has one."""
    for watching in _watchdogs:
        for _ in range(math.ceil(seconds / INTERVAL)):
            watching.time += INTERVAL
            watching.look()


def _stop(thread: int, error: type[BaseException] | None) -> None:
    if error:
        raise error


@contextmanager
def processor() -> Iterator[None]:
    """Makes the time of the processor what `take` takes of it."""
    watching = _Watchdog()

    def clock() -> float:
        return watching.time

    _watchdogs.append(watching)
    try:
        with (
            mock.patch.object(watchdog, "_watchdog", watching),
            mock.patch.object(watchdog, "_cpu_clock", lambda: clock),
            mock.patch.object(watchdog, "_send", _stop),
            mock.patch.object(watchdog, "time", SimpleNamespace(perf_counter=clock)),
        ):
            yield
    finally:
        _watchdogs.remove(watching)
