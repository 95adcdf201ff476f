"""A run that waits for a place at its workflow's limit, and is paused meanwhile."""

from __future__ import annotations

import pytest

from tests.support.crashes import CrashingWorld
from worldflow import Limit, wait_for_signal
from worldflow.engine.history import CancelRequested, RunPaused, RunUnpaused
from worldflow.engine.workflow import definitions
from worldflow.engine.workflow.starts import Starts
from worldflow.runtime import starting
from worldflow.turns.turns import Turns
from worldflow.worlds import limits
from worldflow.worlds.messages import FactArrived, Start


async def waits() -> str:
    return str(await wait_for_signal("go"))


def take(world: CrashingWorld, run_id: str, *facts: object) -> None:
    messages = [FactArrived(run_id=run_id, fact=fact) for fact in facts]
    Turns(world).take(run_id, messages or [Start(run_id=run_id)])


@pytest.fixture
def paused(world: CrashingWorld) -> CrashingWorld:
    """Run 1 has the only place, and run 2 waits and is paused."""
    workflow = definitions.Workflow(waits, "shop")
    workflow.starts = Starts(limit=Limit("dock", concurrency=1))
    definitions._workflows._versions["shop"] = {1: workflow}
    for run_id in ("run-1", "run-2"):
        starting.start(world, run_id, "shop")
        take(world, run_id)
    take(world, "run-2", RunPaused(pause_id="1"))
    return world


def kinds(world: CrashingWorld) -> list[str]:
    return [event.event_type for event in world.load_history("run-2")]


def test_it_does_not_begin_when_it_is_cancelled(paused: CrashingWorld) -> None:
    take(paused, "run-2", CancelRequested())

    assert kinds(paused) == ["RunStarted", "RunPaused", "RunUnpaused", "CancelRequested", "RunCancelled"]
    assert not limits.read(paused, "dock", "").waiting


def test_it_waits_when_it_goes_on(paused: CrashingWorld) -> None:
    take(paused, "run-2", RunUnpaused(pause_id="2"))

    assert kinds(paused) == ["RunStarted", "RunPaused", "RunUnpaused"]
    assert list(limits.read(paused, "dock", "").waiting) != []
