"""The orchestrator's process is killed between any two turns, and the run goes on from its history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import until
from worldflow.devtools.stack import Stack


def test_killed_between_any_two_turns(
    stack: Stack,
    start: Callable[..., str],
    ended: Callable[..., dict[str, Any]],
    history: Callable[[str], list[dict[str, Any]]],
) -> None:
    orchestrator = stack.outputs["OrchestratorFunctionName"]
    numbers = [7, 11, 13, 17]
    run_id = start("collect", count=len(numbers))
    until(lambda: history(run_id) or None, within=30)
    for count, number in enumerate(numbers, 1):
        killed = stack.aws.kill_workers(orchestrator)
        assert killed, "there was a warm process, with the execution live in it"
        until(lambda killed=killed: not set(killed) & set(stack.aws.worker_pids(orchestrator)) or None, within=10)
        assert stack.call("POST", f"/runs/{run_id}/signals/number", number).status == 202
        until(lambda count=count: len(history(run_id)) > count or None, within=30)
    assert ended(run_id)["result"] == numbers
