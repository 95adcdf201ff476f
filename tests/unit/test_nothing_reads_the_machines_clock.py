"""The time comes from one place: in the product from `worldflow.clock`, in tests from `tests.support.clock`.

What reads the machine's clock itself passes at one hour and fails at another.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from tests.support import clock
from worldflow.worlds import LocalWorld

ROOT = Path(__file__).parents[2]
READ = ("layers/worldflow/worldflow", "layers/workflows", "functions", "tests")
MAY = {
    "layers/worldflow/worldflow/clock.py": "the one place",
    "layers/worldflow/worldflow/devtools": "it waits for stacks and other processes",
    "tests/e2e": "other processes are at work there, by the machine's clock",
    "tests/infrastructure/test_local_aws.py": "a local AWS is at work there, by the machine's clock",
}

CLOCKS = {
    *(f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")),
    "datetime.date.today",
    *(f"time.{name}" for name in ("time", "time_ns", "CLOCK_REALTIME")),
}
CLOCKS_BY_DEFAULT = {
    **dict.fromkeys(("time.localtime", "time.gmtime", "time.ctime"), 1),
    **dict.fromkeys(("time.strftime", "time.asctime"), 2),
}
"""What shows the machine's time if it is called with fewer arguments than these."""


def readings(source: str) -> Iterator[str]:
    """Where a module reads the machine's clock: its line, and with what."""
    tree = ast.parse(source)
    imported: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}

    def dotted(node: ast.expr) -> str:
        if isinstance(node, ast.Attribute):
            return f"{dotted(node.value)}.{node.attr}"
        return imported.get(node.id, "") if isinstance(node, ast.Name) else ""

    for node in ast.walk(tree):
        if isinstance(node, (ast.Attribute, ast.Name)) and dotted(node) in CLOCKS:
            yield f"{node.lineno}: {dotted(node)}"
        elif isinstance(node, ast.Call) and len(node.args) < CLOCKS_BY_DEFAULT.get(dotted(node.func), 0):
            yield f"{node.lineno}: {dotted(node.func)}"


def files() -> Iterator[Path]:
    for folder in READ:
        yield from sorted((ROOT / folder).rglob("*.py"))


def may(path: Path) -> bool:
    return any(path.is_relative_to(ROOT / place) for place in MAY)


@pytest.mark.one_python
def test_the_clock_is_read_in_one_place() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{where}" for path in files() if not may(path) for where in readings(path.read_text())
    ]

    assert found == [], "the time comes from worldflow.clock, and in tests from tests.support.clock"


@pytest.mark.one_python
@pytest.mark.parametrize("place", MAY)
def test_what_may_read_it_does(place: str) -> None:
    assert any(list(readings(path.read_text())) for path in files() if path.is_relative_to(ROOT / place))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from datetime import UTC, datetime\ndatetime.now(UTC)", ["2: datetime.datetime.now"]),
        ("import datetime as dt\nclock = dt.datetime.utcnow", ["2: datetime.datetime.utcnow"]),
        ("from datetime import date\nx = f'{date.today()}'", ["2: datetime.date.today"]),
        ("def f():\n    from time import time as t\n    return t()", ["3: time.time"]),
        ("import time\ntime.gmtime(), time.gmtime(0)", ["2: time.gmtime"]),
        ("import time\ntime.strftime('%Y'), time.strftime('%Y', time.gmtime(0))", ["2: time.strftime"]),
        ("import time\ntime.monotonic(), time.sleep(0)", []),
        ("from worldflow import clock\nclock.now()", []),
        ("'time.time()'", []),
    ],
)
def test_what_reads_it(source: str, found: list[str]) -> None:
    assert list(readings(source)) == found


def test_the_instants_are_every_hour_and_just_before_clocks_change() -> None:
    assert {instant.at.hour for instant in clock.INSTANTS if instant.zone is None} == set(range(24))
    for at, zone in clock.INSTANTS:
        if zone:
            offsets = {moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in (at, at + timedelta(seconds=30))}
            assert len(offsets) == 2


@pytest.mark.time_of_day
def test_a_test_may_start_at_another_instant(request: pytest.FixtureRequest) -> None:
    """As it does in `make test-hours`."""
    instant = getattr(request.node, "callspec", SimpleNamespace(params={})).params.get("time_of_test")

    assert clock.start() == (instant.at if instant else clock.START)
    assert timedelta(0) <= LocalWorld().now() - clock.start() < timedelta(minutes=1)
    if instant and instant.zone:
        assert clock.now().astimezone().utcoffset() == clock.now().astimezone(ZoneInfo(instant.zone)).utcoffset()


def test_another_process_may_have_the_time_of_a_test() -> None:
    code = "from worldflow.worlds import LocalWorld; print(LocalWorld().now().isoformat())"
    before = clock.now()
    told = subprocess.check_output([sys.executable, "-c", code], env=clock.environment(), text=True)

    assert before <= datetime.fromisoformat(told.strip()) <= clock.now()


@pytest.mark.parametrize("text", ["2028-02-29T12:00:00Z", "2028-02-29T13:00:00+01:00"])
def test_where_tests_start_is_an_instant(text: str) -> None:
    assert clock.instant(text) == clock.instant("2028-02-29T12:00:00+00:00")


@pytest.mark.parametrize("text", ["2028-02-29T12:00:00", "noon", "2027-02-29T12:00:00Z", "12:00"])
def test_what_is_no_instant_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"offset|format|range|isoformat"):
        clock.instant(text)
