"""`catch_up`: moments that are older are missed. `remaining`: a schedule finishes after so many runs."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.support import workflows
from tests.support.schedules import create, fire_next, run_id, started, wait_for
from tests.support.systems import AWSSystem, System, signal
from tests.world.test_a_schedule_survives_crashes import Crash, crashing, meanwhile
from worldflow import InvalidInputError, ScheduleExistsError
from worldflow.runtime import extra_runs, firing, schedules
from worldflow.worlds import ScheduleRecord
from worldflow.worlds.messages import ScheduleDue

LONG = {"workflow": workflows.collect, "input": {"count": 1}}
HOURLY = "cron(0 * * * ? *)"
HOUR = timedelta(hours=1)


def record(system: System) -> ScheduleRecord:
    return schedules.get(system.world, "nightly")


def fire(system: System, *moments: datetime) -> None:
    for due in moments:
        firing.fire(system.world, ScheduleDue(schedule_id="nightly", due=due))
        system.settle()


def run_ids(system: System) -> list[str]:
    return [run.run_id for run in started(system.world)]


# --- catch-up --------------------------------------------------------------------------------------------------------


def test_moments_older_than_the_window_are_missed(system: System) -> None:
    """The messages of ten hours arrive at once, as after a throttled function; in a LocalWorld one by one."""
    create(system, schedule=HOURLY, overlap="allow", catch_up="3h")
    first = record(system).next_due(system.clock.now())
    assert first
    moments = [first + n * HOUR for n in range(10)]
    system.clock.forward(moments[-1] + HOUR / 2)
    if isinstance(system, AWSSystem):
        fire(system, *moments)
    system.settle()

    assert run_ids(system) == list(map(run_id, moments[-3:]))
    assert (record(system).missed, record(system).last_due) == (7, moments[-1])
    fire(system, *moments)  # copies
    assert (len(run_ids(system)), record(system).missed) == (3, 7)


def test_the_overlap_decides_on_those_that_are_not_missed(system: System) -> None:
    create(system, schedule=HOURLY, overlap="buffer_all", catch_up="3h", **LONG)
    first = record(system).next_due(system.clock.now())
    assert first
    system.clock.forward(first + 10 * HOUR)
    if isinstance(system, AWSSystem):
        fire(system, *(first + n * HOUR for n in range(11)))
    system.settle()

    assert run_ids(system) == [run_id(first + 8 * HOUR)]
    assert record(system).buffered == [first + 9 * HOUR, first + 10 * HOUR]


def test_a_run_that_was_about_to_be_started_is_not_missed(system: System) -> None:
    create(system, catch_up="1h")
    with crashing(system, 1, "after"), pytest.raises(Crash):
        due = fire_next(system)
    due = record(system).last_due
    assert due and record(system).starting
    system.restart()
    wait_for(system, hours=3)

    assert run_ids(system) == [run_id(due)] and record(system).missed == 0


# --- a limited number of runs ----------------------------------------------------------------------------------------


def test_it_finishes_after_so_many_runs(system: System) -> None:
    create(system, remaining=2)
    first, second = fire_next(system), fire_next(system)
    assert (record(system).remaining, record(system).finished) == (0, True)
    assert record(system).next_due(system.clock.now()) is None
    if isinstance(system, AWSSystem):
        (armed,) = system.stack.schedules()
        assert armed["State"] == "DISABLED"
    else:
        assert system.next_due() is None
    fire(system, second + timedelta(days=1))  # which was on its way
    assert run_ids(system) == [run_id(first), run_id(second)]

    extra_runs.trigger(system.world, "nightly", "t1")
    assert len(run_ids(system)) == 3
    schedules.update(system.world, "nightly", remaining=1)
    fire_next(system)
    assert (len(run_ids(system)), record(system).remaining) == (4, 0)
    assert schedules.update(system.world, "nightly", remaining="unlimited").remaining is None
    fire_next(system)
    assert len(run_ids(system)) == 5


def test_what_is_skipped_does_not_count_and_what_waits_is_dropped(system: System) -> None:
    create(system, remaining=2, overlap="buffer_all", **LONG)
    first, second, _ = (fire_next(system) for _ in range(3))
    assert record(system).remaining == 1
    signal(system, run_id(first), "value", 1)

    assert run_ids(system) == [run_id(first), run_id(second)]
    assert (record(system).finished, record(system).buffered, record(system).skipped) == (True, [], 1)


def test_a_late_moment_under_allow_counts_once(system: System) -> None:
    made = create(system, remaining=3, overlap="allow")
    day = made.created_at.replace(microsecond=0) + timedelta(days=1)
    fire(system, day + timedelta(days=1), day, day)

    assert (run_ids(system), record(system).remaining) == ([run_id(day), run_id(day + timedelta(days=1))], 1)


@pytest.mark.parametrize("system", ["memory", "aws"], indirect=True)
def test_a_crash_while_the_last_run_is_started(system: System) -> None:
    for number in [5] if isinstance(system, AWSSystem) else range(6):
        for when in ("before", "after"):
            create(system, f"{when}{number}", remaining=1)
            with crashing(system, number, when), pytest.raises(Crash):  # type: ignore[arg-type]
                fire_next(system, f"{when}{number}")
            system.restart()
            wait_for(system, days=3)

            assert len(started(system.world, f"{when}{number}")) == 1
            assert system.next_due() is None and schedules.get(system.world, f"{when}{number}").remaining == 0


def test_it_is_continued_while_it_finishes(system: System) -> None:
    create(system, remaining=1)
    with meanwhile(system, "arm", lambda: schedules.update(system.world, "nightly", remaining=1)):
        fire_next(system)

    assert fire_next(system) and len(run_ids(system)) == 2


def test_the_same_number_is_the_same_schedule(system: System) -> None:
    create(system, remaining=2)
    fire_next(system)
    create(system, remaining=2)  # although one is left
    assert record(system).remaining == 1
    with pytest.raises(ScheduleExistsError):
        create(system, remaining=1)


# --- what does not fit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{"catch_up": "1m"}, {"catch_up": "soon"}, {"remaining": 0}, {"remaining": True}])
@pytest.mark.parametrize("system", ["memory"], indirect=True)
def test_a_field_that_does_not_fit(system: System, fields: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError) as raised:
        create(system, **fields)
    assert [error.field for error in raised.value.fields] == list(fields)


def test_a_window_is_removed(system: System) -> None:
    assert create(system, catch_up="1h").catch_up == 3_600
    assert schedules.update(system.world, "nightly", catch_up=0).catch_up is None


def test_a_record_of_an_earlier_version_is_read() -> None:
    """0.5.0 wrote this."""
    text = (
        '{"schedule_id":"nightly","workflow":"squares","input":{"count":2},"schedule":"cron(0 8 * * ? *)",'
        '"timezone":"UTC","overlap":"skip","paused":false,"created_at":"2026-03-11T10:00:00.001Z",'
        '"updated_at":"2026-03-11T10:00:00.001Z","counts_from":"2026-03-11T10:00:00Z",'
        '"last_due":"2026-03-12T08:00:00Z","last_run_id":"nightly:20260312T080000Z","version":"1"}'
    )
    record = ScheduleRecord.model_validate_json(text)
    assert (record.catch_up, record.remaining, record.buffered, record.skipped, record.missed) == (None, None, [], 0, 0)
    assert record.is_active and record.describe(record.last_due)["next_due"] == "2026-03-13T08:00:00Z"  # type: ignore[arg-type]
