"""Tables that are restored to points in time, while EventBridge Scheduler goes on and the queues lose what they had."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.support.systems import AWSSystem, skip
from worldflow.engine.history import StepCompleted, StepFailed
from worldflow.runtime.reconcile import ReconcileReport, reconcile
from worldflow.worlds.aws.restored import AWSRestored
from worldflow.worlds.messages import StepOutcome

OUTAGE = timedelta(hours=1)
"""What a restore takes."""


def tick(system: AWSSystem) -> bool:
    """Lets the least happen that can happen by itself. Returns whether anything can."""
    for queue in system.stack.arns:
        if system.stack.messages(queue) and system.poll(queue):
            return True
    due = system.next_due()
    if due is None:
        return False
    system.clock.forward(due)
    system._run_schedules()
    return True


def restore(system: AWSSystem, events: Any = None, runs: Any = None) -> None:
    """Puts copies of the tables back, or of one of them, empties the queues, and ends every process."""
    if events is not None:
        system.stack.put_back("events", events)
    if runs is not None:
        system.stack.put_back("runs", runs)
    system.stack.purge_all()
    system.restart()
    system.clock.forward(system.clock.now() + OUTAGE)


def reconciled(system: AWSSystem, *, dry_run: bool = False, concurrency: int = 2) -> ReconcileReport:
    report = reconcile(system.world, AWSRestored(system.world.access), dry_run=dry_run, concurrency=concurrency)
    assert not report.failed and not report.damaged
    return report


def recorded(system: AWSSystem) -> dict[tuple[str, str, int], StepCompleted | StepFailed]:
    """The attempts of which the ledger has the outcome."""
    outcomes = [
        StepOutcome.model_validate_json(item["outcome"]["S"])
        for item in system.stack.items("runs")
        if "outcome" in item
    ]
    return {(one.run_id, one.fact.step_id, one.fact.attempt): one.fact for one in outcomes}


def to_the_end(system: AWSSystem) -> None:
    system.settle()
    while skip(system):
        pass
