"""What tests of schedules share."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.support import workflows
from tests.support.systems import System, skip
from worldflow.runtime import schedules
from worldflow.worlds import RunRecord, ScheduleRecord, World

DAILY = "cron(0 8 * * ? *)"


def create(system: System, schedule_id: str = "nightly", **fields: Any) -> ScheduleRecord:
    """A schedule, of `squares` unless another workflow is given."""
    given = {"workflow": workflows.squares, "input": {"count": 2}, "schedule": DAILY} | fields
    record, _ = schedules.create(system.world, schedule_id, **given)
    system.settle()
    return record


def fire_next(system: System, schedule_id: str = "nightly") -> datetime:
    """Goes on to when the schedule is due, and returns that moment."""
    due = schedules.get(system.world, schedule_id).next_due(system.clock.now())
    assert due
    while system.clock.now() < due:
        assert skip(system)
    return due


def wait_until(system: System, moment: datetime) -> None:
    """Lets time pass, and all happen that is due meanwhile."""
    while (due := system.next_due()) and due <= moment:
        system.clock.forward(due)
        system.settle()
    system.clock.forward(moment)
    system.settle()


def wait_for(system: System, **duration: float) -> None:
    wait_until(system, system.clock.now() + timedelta(**duration))


def started(world: World, schedule_id: str = "nightly") -> list[RunRecord]:
    """The runs that the schedule has started, oldest first."""
    runs = [run for run in world.list_runs(limit=200).runs if run.run_id.startswith(f"{schedule_id}:")]
    return sorted(runs, key=lambda run: run.run_id)


def run_id(due: datetime, schedule_id: str = "nightly") -> str:
    return f"{schedule_id}:{due:%Y%m%dT%H%M%SZ}"
