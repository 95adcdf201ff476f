"""The time at which every test starts, whatever the machine's clock shows.

    from tests.support import clock
    clock.now()           the time of this test: START at first, and from there as fast as real time
    clock.START           the instant itself; `TEST_NOW=2028-02-29T12:00:00Z make test` starts every test at another one
    clock.environment()   of another process that is to have the time of this test
    clock.INSTANTS        where `make test-hours` starts the tests that are marked `time_of_day`, one after the other

The product reads the machine's clock in one place, `worldflow.clock`, and has this one there in tests: also a World
without a `clock` of its own. So has moto (tests/support/aws.py). `tests/unit/test_nothing_reads_the_machines_clock.py`
finds the code that reads the machine's clock itself. The time zone of the machine is UTC.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import worldflow.clock

_VARIABLE, _SINCE = "TEST_NOW", "TEST_NOW_SINCE"
"""The second one is for other processes: when, on the monotonic clock that all of them share, it was the first one."""

_DEFAULT = "2026-03-11T09:41:27.5Z"


def instant(text: str) -> datetime:
    """Reads an instant in ISO 8601, with its offset from UTC. Raises `ValueError`."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return moment.astimezone(UTC)


def _start() -> datetime:
    text = os.environ.get(_VARIABLE) or _DEFAULT
    try:
        return instant(text)
    except ValueError as error:
        sys.exit(f"{_VARIABLE} must be an instant with an offset from UTC, such as 2028-02-29T12:00:00Z: {error}")


START = _start()


class Instant(NamedTuple):
    """Where a test may start. `zone` is the time zone of its machine: UTC, with None."""

    at: datetime
    zone: str | None = None

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%dT%H:%M:%S}" + (f"-{self.zone.rpartition('/')[2]}" if self.zone else "")


INSTANTS = [
    *(Instant(instant(f"2026-06-17T{hour:02}:41:27.5Z")) for hour in range(24)),
    Instant(instant("2026-12-31T23:59:30Z")),
    Instant(instant("2028-02-29T12:00:00Z")),
    # Just before clocks are changed, forward and back.
    *(
        Instant(instant(f"{at}:59:30Z"), zone)
        for zone, changes in {
            "Europe/Vienna": ["2026-03-29T00", "2026-10-25T00", "2027-03-28T00", "2027-10-31T00"],
            "America/New_York": ["2026-03-08T06", "2026-11-01T05", "2027-03-14T06", "2027-11-07T05"],
        }.items()
        for at in changes
    ),
]

_start_of_test = START
_began = float(os.environ.get(_SINCE) or time.monotonic())


def restart(at: datetime = START) -> None:
    """Begins a test: it is `at` now."""
    global _start_of_test, _began
    _start_of_test, _began = at, time.monotonic()


def start() -> datetime:
    """Where this test started: `START`, except in `make test-hours`."""
    return _start_of_test


def now() -> datetime:
    """The time of this test, in UTC."""
    return _start_of_test + timedelta(seconds=time.monotonic() - _began)


def environment(*path: str | os.PathLike[str], **more: str) -> dict[str, str]:
    """The environment of another process, and of those that it starts, in which it is the time of this test.

    path: where it finds modules first; then as this process does.
    """
    here = Path(__file__).parent
    places = [here / "other_process", *path, here.parents[1], *sys.path]
    own = {_VARIABLE: _start_of_test.isoformat(), _SINCE: repr(_began), "PYTHONPATH": os.pathsep.join(map(str, places))}
    return {**os.environ, **own, **more}


# Here and not in a fixture: modules are imported and wider fixtures are made before the fixtures of a test.
worldflow.clock.now = now
os.environ["TZ"] = "UTC"
time.tzset()
