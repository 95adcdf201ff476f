"""What a test replaces for the whole process is replaced for every thread in it, and some of them loop for ever."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import pytest

from tests.support.threads import ministack_service, replace_sleep

TESTS = Path(__file__).parents[1]
SUPPORT = TESTS / "support" / "threads.py"


def test_only_the_thread_that_asks_for_it_sleeps_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    replace_sleep(monkeypatch, slept.append)
    other = threading.Thread(target=lambda: time.sleep(0))
    other.start()
    other.join()
    time.sleep(60)
    assert slept == [60]


@pytest.mark.one_python  # which has MiniStack
def test_ministack_starts_no_threads_in_a_process_of_tests() -> None:
    before = threading.active_count()
    assert ministack_service("dynamodb")._ttl_reaper
    assert threading.active_count() == before


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(r"""setattr\((time, "sleep"|"time\.sleep")""", id="sleep is replaced by replace_sleep"),
        pytest.param(r"^from ministack\.services|^import ministack", id="services come from ministack_service"),
    ],
)
def test_they_do_it_in_one_place(pattern: str) -> None:
    found = [
        path.relative_to(TESTS).as_posix()
        for path in TESTS.rglob("*.py")
        if path not in (SUPPORT, Path(__file__)) and re.search(pattern, path.read_text(), re.MULTILINE)
    ]
    assert found == []
