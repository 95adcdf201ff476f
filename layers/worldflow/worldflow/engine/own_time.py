"""The time that the engine itself takes, to read and write values, while a workflow's code waits for it.

The watchdog takes this off the processor time of a workflow: a large value is not a loop without an await.
"""

from __future__ import annotations

from collections.abc import Callable


class OwnTime:
    """Counts while it is entered, in seconds. Entered within itself, it counts once.

    clock: returns seconds. The engine reads no clock itself.
    """

    __slots__ = ("_began", "_clock", "_depth", "_spent")

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        self._clock = clock
        self._depth = 0
        self._began = 0.0
        self._spent = 0.0

    def __enter__(self) -> None:
        if self._depth == 0:
            self._began = self._clock()
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._spent += self._clock() - self._began

    def spent(self) -> float:
        """What was counted up to now. Other threads may ask."""
        return self._spent + (self._clock() - self._began if self._depth else 0.0)
