"""A schedule starts its workflow at each of its moments, once, on every World."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.support import workflows
from tests.support.schedules import create, fire_next, run_id, started, wait_for, wait_until
from tests.support.systems import System, finish
from worldflow.runtime import firing, schedules, starting
from worldflow.worlds.messages import ScheduleDue
from worldflow.worlds.recurrence import parse


@pytest.mark.time_of_day(system=["memory"])
def test_a_run_a_day_with_the_moment_in_its_id(system: System) -> None:
    create(system)
    moments = [fire_next(system) for _ in range(3)]

    assert [moment.hour for moment in moments] == [8, 8, 8]
    assert moments[2] - moments[0] == timedelta(days=2)
    runs = started(system.world)
    assert [run.run_id for run in runs] == [run_id(moment) for moment in moments]
    assert all(run.workflow_name == "squares" for run in runs)
    assert finish(system, run_id(moments[0])).result == 1


@pytest.mark.time_of_day(system=["memory", "aws"])
def test_nothing_starts_before_it_is_due(system: System) -> None:
    create(system)
    due = schedules.get(system.world, "nightly").next_due(system.clock.now())
    assert due
    wait_until(system, due - timedelta(seconds=1))
    assert started(system.world) == []


def test_a_rate_counts_from_the_creation(system: System) -> None:
    created = system.clock.now().replace(microsecond=0)
    create(system, schedule="rate(2 hours)")
    wait_for(system, hours=5)

    assert [run.run_id for run in started(system.world)] == [
        run_id(created + timedelta(hours=2)),
        run_id(created + timedelta(hours=4)),
    ]


@pytest.mark.time_of_day(system=["memory", "aws"])
def test_it_is_due_by_the_clocks_of_its_time_zone(system: System) -> None:
    create(system, schedule="cron(0 9 * * ? *)", timezone="Asia/Tokyo")
    due = fire_next(system)

    assert (due.hour, due.minute) == (0, 0)
    assert [run.run_id for run in started(system.world)] == [run_id(due)]


@pytest.mark.time_of_day(system=["memory"])
def test_a_moment_that_clocks_leave_out_in_spring_starts_nothing(system: System) -> None:
    year = system.clock.now().year + 1
    system.clock.forward(datetime(year, 3, 1, tzinfo=UTC))
    create(system, schedule="cron(30 2 ? 3 SUN *)", timezone="Europe/Berlin")
    wait_until(system, datetime(year, 4, 2, tzinfo=UTC))

    sundays = [datetime(year, 3, day) for day in range(1, 32) if datetime(year, 3, day).isoweekday() == 7]
    berlin = [sunday.replace(hour=2, minute=30, tzinfo=ZoneInfo("Europe/Berlin")) for sunday in sundays[:-1]]
    assert [run.run_id for run in started(system.world)] == [run_id(moment.astimezone(UTC)) for moment in berlin]


def test_a_copy_of_a_message_starts_nothing(system: System) -> None:
    create(system)
    due = fire_next(system)
    message = ScheduleDue(schedule_id="nightly", due=due)
    for _ in range(2):
        firing.fire(system.world, message)
        system.settle()
    fire_next(system)
    firing.fire(system.world, message)
    system.settle()

    assert len(started(system.world)) == 2
    # The copies have not made it due more often, either.
    wait_for(system, days=2)
    assert len(started(system.world)) == 4


def test_a_paused_one_starts_nothing_until_it_goes_on(system: System) -> None:
    create(system)
    schedules.update(system.world, "nightly", paused=True)
    wait_for(system, days=3)
    assert started(system.world) == []

    schedules.update(system.world, "nightly", paused=False)
    due = fire_next(system)
    assert [run.run_id for run in started(system.world)] == [run_id(due)]


def test_one_created_paused_starts_nothing(system: System) -> None:
    create(system, paused=True)
    wait_for(system, days=2)
    assert started(system.world) == []


@pytest.mark.time_of_day(system=["memory"])
def test_a_rate_that_was_paused_goes_on_in_its_rhythm(system: System) -> None:
    created = system.clock.now().replace(microsecond=0)
    create(system, schedule="rate(2 hours)")
    schedules.update(system.world, "nightly", paused=True)
    wait_for(system, hours=5)
    schedules.update(system.world, "nightly", paused=False)
    wait_for(system, hours=2)

    assert [run.run_id for run in started(system.world)] == [run_id(created + timedelta(hours=6))]


def test_a_message_on_its_way_to_a_paused_one_starts_nothing(system: System) -> None:
    create(system, paused=True)
    firing.fire(system.world, ScheduleDue(schedule_id="nightly", due=system.clock.now() + timedelta(days=1)))
    assert started(system.world) == []


def test_a_deleted_one_starts_nothing_and_its_runs_go_on(system: System) -> None:
    create(system, workflow=workflows.pauses, input={"count": 1, "seconds": 7200})
    due = fire_next(system)
    schedules.delete(system.world, "nightly")

    assert finish(system, run_id(due)).status == "completed"
    wait_for(system, days=2)
    firing.fire(system.world, ScheduleDue(schedule_id="nightly", due=due + timedelta(days=1)))
    assert len(started(system.world)) == 1
    assert system.next_due() is None


def test_a_message_to_a_deleted_one_starts_nothing_of_its_successor(system: System) -> None:
    create(system)
    old = ScheduleDue(schedule_id="nightly", due=system.clock.now())
    wait_for(system, minutes=1)
    schedules.delete(system.world, "nightly")
    create(system)
    firing.fire(system.world, old)

    assert started(system.world) == []
    due = fire_next(system)
    assert [run.run_id for run in started(system.world)] == [run_id(due)]


def test_a_changed_one_is_due_as_it_is_now(system: System) -> None:
    create(system)
    changed = "cron(30 20 * * ? *)"
    schedules.update(system.world, "nightly", schedule=changed, input={"count": 3})
    due = fire_next(system)

    assert (due.hour, due.minute) == (20, 30)
    wait_for(system, hours=23)
    assert [run.run_id for run in started(system.world)] == [run_id(due)]
    assert system.world.read_run(run_id(due)).input == {"count": 3}


def test_a_changed_rate_counts_from_the_change(system: System) -> None:
    create(system, schedule="rate(2 hours)")
    wait_for(system, hours=1)
    changed = system.clock.now().replace(microsecond=0)
    schedules.update(system.world, "nightly", schedule="rate(3 hours)")
    wait_for(system, hours=4)

    assert [run.run_id for run in started(system.world)] == [run_id(changed + timedelta(hours=3))]


def test_two_schedules_do_not_mind_one_another(system: System) -> None:
    create(system, "a")
    create(system, "b", schedule="rate(1 day)")
    wait_for(system, days=3)

    assert [len(started(system.world, id)) for id in ("a", "b")] == [3, 3]


def test_a_large_input_reaches_the_run(system: System) -> None:
    create(system, workflow=workflows.fails, input={"message": "x" * 100_000})
    due = fire_next(system)

    assert system.world.read_run(run_id(due)).input == {"message": "x" * 100_000}


def test_a_workflow_whose_code_is_elsewhere(system: System) -> None:
    create(system, workflow="in_another_process", input={"a": 1})
    due = fire_next(system)

    assert system.world.read_run(run_id(due)).workflow_name == "in_another_process"


def test_an_id_that_a_run_of_another_workflow_has_is_left_to_it(
    system: System, caplog: pytest.LogCaptureFixture
) -> None:
    create(system)
    due = parse("cron(0 8 * * ? *)").after(system.clock.now())
    assert due
    starting.start(system.world, run_id(due), workflows.chain, {"length": 1})
    fire_next(system)

    assert [run.workflow_name for run in started(system.world)] == ["chain"]
    assert f"run '{run_id(due)}' already exists" in caplog.text
    fire_next(system)
    assert [run.workflow_name for run in started(system.world)] == ["chain", "squares"]


def test_schedules_are_not_among_the_runs(system: System) -> None:
    create(system)
    create(system, "other")

    assert system.world.list_runs().runs == []
    assert system.world.get_run("schedule#nightly") is None
