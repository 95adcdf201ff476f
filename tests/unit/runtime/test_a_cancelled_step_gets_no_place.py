"""A limited step that is asked to end while it waits for its place does not begin when it is given one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import pytest

from tests.support.crashes import CrashingWorld
from worldflow import Limit, step, wait_for_signal
from worldflow.engine.history import CancelRequested, StepCompleted, StepFailed
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.workflow import definitions
from worldflow.runtime import starting
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import FactArrived, Poke, RunMessage, Start, StepDue, StepTask


@step(limit=Limit("gate", concurrency=1), cancellation="wait", timeout="1m")
async def passes() -> None: ...


async def waits() -> None:
    with suppress(asyncio.CancelledError):
        await passes()


def tasks(world: CrashingWorld) -> list[StepTask]:
    found = []
    while deliveries := world.receive("steps"):
        found += [delivery.message for delivery in deliveries if isinstance(delivery.message, StepTask)]
        world.acknowledge(deliveries)
    return found


@pytest.mark.parametrize(
    "message",
    [
        lambda now: StepDue(run_id="run-2", step_id="s1", attempt=1, granted=now),
        lambda now: Poke(run_id="run-2"),
    ],
    ids=["granted", "done again"],
)
def test_only_a_report_is_asked_for(world: CrashingWorld, message: Callable[[datetime], RunMessage]) -> None:
    definitions._workflows._versions["shop"] = {1: definitions.Workflow(waits, "shop")}
    turns = Turns(world)

    def take(run_id: str, message: RunMessage) -> None:
        turns.take(run_id, [message])

    for run_id in ("run-1", "run-2"):
        starting.start(world, run_id, "shop")
        take(run_id, Start(run_id=run_id))
    take("run-2", FactArrived(run_id="run-2", fact=CancelRequested()))
    begun, report = tasks(world)
    assert (begun.run_id, begun.report, report.run_id, report.report) == ("run-1", None, "run-2", True)
    assert report.call == begun.call  # else an outcome would be replaced by its report

    take("run-1", FactArrived(run_id="run-1", fact=StepCompleted(step_id="s1", attempt=1)))
    take("run-2", message(world.now()))

    assert [task for task in tasks(world) if task.run_id == "run-2" and not task.report] == []


async def goes_on() -> None:
    with suppress(asyncio.CancelledError, ConnectionError):
        await passes()
    await wait_for_signal("more")


def test_no_report_is_asked_for_of_an_attempt_that_fails_meanwhile(world: CrashingWorld) -> None:
    definitions._workflows._versions["shop"] = {1: definitions.Workflow(goes_on, "shop")}
    turns = Turns(world)
    starting.start(world, "run-1", "shop")
    turns.take("run-1", [Start(run_id="run-1")])
    tasks(world)

    failed = StepFailed(step_id="s1", attempt=1, error=encode_exception(ConnectionError()))
    turns.take("run-1", [FactArrived(run_id="run-1", fact=fact) for fact in (CancelRequested(), failed)])

    assert tasks(world) == []
