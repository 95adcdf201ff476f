"""A step whose process dies of it, whether it ends or is killed as by a lack of memory, loses one attempt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import visible_again_after
from worldflow.devtools.stack import Stack


def test_it_costs_one_attempt_of_one_step(
    stack: Stack, start: Callable[..., str], ended: Callable[..., dict[str, Any]], history: Callable[[str], list[Any]]
) -> None:
    with visible_again_after(4, stack):  # five deaths of each
        run_id = start("deadly", ways=["exit", "killed"])
        assert ended(run_id, within=120)["result"] == ["survived exit", "survived killed", 42]
    outcomes = [event for event in history(run_id) if event["event_type"] in ("StepCompleted", "StepFailed")]
    found = Counter(
        (event["payload"]["step_id"], event["payload"]["attempt"], event["payload"].get("error", {}).get("type"))
        for event in outcomes
    )
    crashed = "worldflow.engine.errors:StepCrashedError"
    assert found == Counter([("s1", 1, crashed), ("s1", 2, None), ("s2", 1, crashed), ("s2", 2, None), ("s3", 1, None)])
