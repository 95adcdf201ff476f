"""What happens when a schedule is due and the run before has not ended: `skip` or `allow`."""

import logging
from datetime import timedelta

import pytest

from tests.support import workflows
from tests.support.schedules import create, fire_next, run_id, started, wait_for
from tests.support.systems import System, signal
from worldflow.runtime import firing, schedules
from worldflow.turns import generations
from worldflow.worlds.messages import ScheduleDue
from worldflow.worlds.schedules import put_schedule

LONG = {"workflow": workflows.collect, "input": {"count": 1}}


def test_skip_starts_nothing_while_the_run_before_goes_on(system: System, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "worldflow")
    create(system, **LONG)
    first, second = fire_next(system), fire_next(system)

    assert [run.run_id for run in started(system.world)] == [run_id(first)]
    assert f"run {run_id(first)} has not ended: no run is started for {second}" in caplog.text
    record = schedules.get(system.world, "nightly")
    assert (record.last_run_id, record.last_due) == (run_id(first), second)


def test_skip_goes_on_once_the_run_before_has_ended(system: System) -> None:
    create(system, **LONG)
    first = fire_next(system)
    fire_next(system)
    signal(system, run_id(first), "value", 1)
    third = fire_next(system)

    assert [run.run_id for run in started(system.world)] == [run_id(first), run_id(third)]


@pytest.mark.time_of_day(system=["memory", "aws"])
def test_a_moment_that_was_skipped_stays_so(system: System) -> None:
    create(system, **LONG)
    first, second = fire_next(system), fire_next(system)
    signal(system, run_id(first), "value", 1)
    firing.fire(system.world, ScheduleDue(schedule_id="nightly", due=second))

    assert len(started(system.world)) == 1


def test_skip_waits_for_a_blocked_run(system: System) -> None:
    create(system, workflow="unknown_here", input={})
    first = fire_next(system)
    assert system.world.read_run(run_id(first)).status == "blocked"
    fire_next(system)

    assert len(started(system.world)) == 1


def test_skip_does_not_wait_for_a_run_whose_record_is_gone(system: System) -> None:
    record = create(system, **LONG)
    stored = schedules.get(system.world, "nightly")
    gone = stored.model_copy(update={"last_run_id": "nightly:20250101T080000Z", "version": "2"})
    put_schedule(system.world, gone, replacing=record)
    due = fire_next(system)

    assert [run.run_id for run in started(system.world)] == [run_id(due)]


def test_skip_waits_for_the_last_generation_of_a_run(system: System) -> None:
    create(system, **LONG)
    first = fire_next(system)
    run = system.world.get_run(run_id(first))
    assert run
    system.world.update_run(run.model_copy(update={"status": "continued", "seq": 1_000}))
    fire_next(system)
    assert len(started(system.world)) == 1  # the next is about to begin

    generations.create_generation(system.world, run, run)
    fire_next(system)
    assert len(started(system.world)) == 2  # the two generations

    second = run.model_copy(update={"run_id": f"{run.run_id}~2", "status": "completed", "seq": 1_000})
    system.world.update_run(second)
    fire_next(system)
    assert len(started(system.world)) == 3


def test_allow_starts_one_beside_the_other(system: System) -> None:
    create(system, overlap="allow", **LONG)
    moments = [fire_next(system) for _ in range(3)]

    assert [(run.run_id, run.status) for run in started(system.world)] == [
        (run_id(moment), "running") for moment in moments
    ]


@pytest.mark.time_of_day(system=["memory", "aws"])
def test_allow_starts_a_late_one_too(system: System) -> None:
    record = create(system, overlap="allow")
    day = record.created_at.replace(microsecond=0) + timedelta(days=1)
    for due in (day + timedelta(days=1), day, day):
        firing.fire(system.world, ScheduleDue(schedule_id="nightly", due=due))
    system.settle()

    assert [run.run_id for run in started(system.world)] == [run_id(day), run_id(day + timedelta(days=1))]
    record = schedules.get(system.world, "nightly")
    assert (record.last_run_id, record.last_due) == (run_id(day + timedelta(days=1)), day + timedelta(days=1))


def test_skip_takes_a_late_one_for_skipped(system: System) -> None:
    record = create(system)
    day = record.created_at.replace(microsecond=0) + timedelta(days=1)
    for due in (day + timedelta(days=1), day):
        firing.fire(system.world, ScheduleDue(schedule_id="nightly", due=due))
        wait_for(system, minutes=1)

    assert [run.run_id for run in started(system.world)] == [run_id(day + timedelta(days=1))]


def test_changing_to_allow_holds_from_the_next_moment_on(system: System) -> None:
    create(system, **LONG)
    fire_next(system)
    schedules.update(system.world, "nightly", overlap="allow")
    fire_next(system)

    assert len(started(system.world)) == 2
