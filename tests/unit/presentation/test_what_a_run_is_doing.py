"""A run in one sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worldflow.engine.history import Failure
from worldflow.engine.history.spans import Attempt, Span
from worldflow.presentation.doing import doing
from worldflow.worlds.records import Gathers, RunRecord, Status

NOW = datetime(2026, 3, 11, 14, 2, 7, tzinfo=UTC)
BEGUN = NOW - timedelta(minutes=5)


def record(status: Status = "running", **fields: Any) -> RunRecord:
    ended = NOW if status in ("completed", "failed", "cancelled", "continued") else None
    return RunRecord(
        run_id="r", workflow_name="w", status=status, created_at=BEGUN, updated_at=NOW, ended_at=ended, **fields
    )


def charge(*attempts: Attempt) -> Span:
    return Span("step", "s1", "charge", BEGUN, attempts=list(attempts))


FAILED = Attempt(1, BEGUN, NOW, "failed", Failure(type="builtins:ConnectionError", message="no"))
TIMER = Span("timer", "t1", "t1", BEGUN, due=NOW + timedelta(days=2, hours=21))
SIGNAL = "wait_for_signal('approval')"


@pytest.mark.parametrize(
    ("spans", "waits_for", "sentence"),
    [
        ([charge(Attempt(1, BEGUN))], [], "Running charge for 5 min."),
        (
            [charge(FAILED, Attempt(2, NOW + timedelta(seconds=12)))],
            [],
            "Attempt 2 of charge in 12 s, the last failed with ConnectionError.",
        ),
        (
            [charge(FAILED, Attempt(2, NOW))],
            [],
            "Running attempt 2 of charge for 0 ms, the last failed with ConnectionError.",
        ),
        ([TIMER], [SIGNAL], "Waiting for signal 'approval', times out in 2 d 21 h."),
        ([TIMER], [SIGNAL, "sleep()"], "Waiting for signal 'approval'; sleeping, wakes in 2 d 21 h."),
        ([], [SIGNAL], "Waiting for signal 'approval'."),
        ([TIMER], ["sleep()"], "Sleeping, wakes in 2 d 21 h."),
        ([TIMER], [], "Its next timer is due in 2 d 21 h."),
        ([Span("timer", "t1", "t1", BEGUN, due=NOW)], ["sleep()"], "Sleeping, wakes now."),
        ([Span("hook", "h1", "h1", BEGUN)], [], "Waiting for hook h1."),
        ([Span("hook", "h1", "h1", BEGUN), TIMER], [], "Waiting for hook h1, times out in 2 d 21 h."),
        ([Span("update", "u", "add", BEGUN)], [], "Answering update add."),
        (
            [Span("child", "c1", "pay", BEGUN, child_run_id="r.c1")],
            [],
            "Waiting for child pay (r.c1) for 5 min.",
        ),
        (
            [Span("step", "s1", "charge", BEGUN, NOW, "completed")],
            [],
            "Waiting for a signal or an update, or taking a turn.",
        ),
        ([], [], "Running its code."),
        (
            [charge(Attempt(1, BEGUN))] * 5,
            [],
            "Running charge for 5 min; running charge for 5 min; running charge for 5 min; 2 more.",
        ),
    ],
)
def test_a_run_that_is_under_way(spans: list[Span], waits_for: list[str], sentence: str) -> None:
    assert doing(record(), spans, NOW, waits_for) == sentence


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        (record("pending"), "Waiting for its first turn for 5 min."),
        (record("blocked", blocked_reason="no code"), "Blocked: no code. Deploy a fix, then resume the run."),
        (record("completed"), "Completed after 5 min."),
        (
            record("failed", error=Failure(type="app:Refused", message="too much")),
            "Failed after 5 min: Refused: too much",
        ),
        (record("cancelled", reason="enough"), "Cancelled after 5 min: enough"),
        (record("cancelled"), "Cancelled after 5 min"),
        (record("continued", next_run_id="r~2"), "Continued as r~2 after 5 min."),
    ],
)
def test_a_run_that_is_not(run: RunRecord, sentence: str) -> None:
    assert doing(run, [], NOW) == sentence


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        (record("pending", start_at=NOW + timedelta(minutes=58)), "Starts in 58 min."),
        (record("pending", start_at=BEGUN), "Waiting for its first turn for 5 min."),
        (
            record("pending", start_at=NOW + timedelta(seconds=9), gathers=Gathers(window="w", max_wait=10)),
            "Gathers starts, begins in 9 s.",
        ),
        (
            record("continued", next_run_id="r~2", error=Failure(type="builtins:ConnectionError")),
            "Failed with ConnectionError after 5 min; the next attempt is r~2.",
        ),
    ],
)
def test_one_that_has_not_begun_or_begins_again(run: RunRecord, sentence: str) -> None:
    assert doing(run, [], NOW) == sentence
