"""What a worker owes its queues: a receipt for each message, which the database may refuse for a while.

A message that is received is in flight until its receipt is written. One that could not be written is kept, and written
later: until then nothing else of its group is received.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from worldflow.worlds.outages import is_outage
from worldflow.worlds.served import Delivery, Served

PASSING = (sqlite3.OperationalError, OSError)
"""Errors that say nothing of what was asked for: the file is locked, the disk is full or does not answer."""

_LONGEST_DELAY = 30.0
"""Seconds until a message comes again that was put back again and again."""


def is_passing(error: BaseException) -> bool:
    """Whether an error says nothing of what was asked for: the database's, or that of a service that a codec asks."""
    return isinstance(error, PASSING) or is_outage(error)


def is_locked(error: BaseException) -> bool:
    """Whether another connection has the database: whatever is written now waits for as long, and fails too."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    return isinstance(error, sqlite3.OperationalError) and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_lasting(error: BaseException) -> bool:
    """Whether what was asked for is wrong, such as a table that is not there: it will be wrong the next time, too."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    return isinstance(error, sqlite3.OperationalError) and code & 0xFF == sqlite3.SQLITE_ERROR


class Receipts:
    """The receipts of one thread of a worker's."""

    def __init__(self, world: Served) -> None:
        self._world = world
        self._owed: list[Callable[[], None]] = []
        self._returns: dict[int, int] = {}
        """How often messages were put back, by their ids."""
        self.refused = False
        """The last receipt could not be written."""

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """The messages were handled."""
        self.handled(deliveries)
        self._write(partial(self._world.acknowledge, deliveries))

    def handled(self, deliveries: Sequence[Delivery]) -> None:
        """The messages were handled, and their receipt is written."""
        if self._returns:
            for delivery in deliveries:
                self._returns.pop(delivery.id, None)

    def reject(self, deliveries: Sequence[Delivery]) -> None:
        """The messages could not be handled. Too often, and they are dead."""
        self._write(partial(self._world.reject, deliveries))

    def put_back(self, deliveries: Sequence[Delivery]) -> int:
        """The messages come again, since an error was passing. Returns how often they have by now."""
        first = deliveries[0].id
        times = self._returns[first] = self._returns.get(first, 0) + 1
        delay = timedelta(seconds=min(2.0 ** min(times - 1, 10), _LONGEST_DELAY))
        self._write(partial(self._world.put_back, deliveries, delay))
        return times

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """The messages are for the next worker."""
        self._write(partial(self._world.put_back, deliveries, timedelta()))

    def _write(self, receipt: Callable[[], None]) -> None:
        self._owed.append(receipt)
        if not self.refused:
            with contextlib.suppress(*PASSING):
                self.settle()

    def settle(self) -> None:
        """Writes the receipts that are owed. Raises an error that is passing if the database refuses them again."""
        self.refused = bool(self._owed)
        while self._owed:
            self._owed[0]()
            del self._owed[0]
        self.refused = False
