"""Sixty steps of a second each, ten at a time: some six seconds, and not sixty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_sixty_steps_run_ten_at_a_time(start: Callable[..., str], ended: Callable[..., dict[str, Any]]) -> None:
    record = ended(start("parallel", count=60), within=90)
    spans = [(began, finished) for _, began, finished in record["result"]]
    assert [number for number, _, _ in record["result"]] == list(range(60))
    most = max(sum(began <= moment < finished for began, finished in spans) for moment, _ in spans)
    assert 5 <= most <= 10  # the template's StepMaximumConcurrency, and a busy machine
    elapsed = max(finished for _, finished in spans) - min(began for began, _ in spans)
    assert elapsed < 45
