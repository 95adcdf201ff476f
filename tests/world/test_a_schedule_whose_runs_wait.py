"""Overlaps under which a moment waits for the run before to end: a run's end starts the next, and nothing polls."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support import workflows
from tests.support.schedules import create, fire_next, run_id, started
from tests.support.systems import System, cancel, signal
from tests.world.test_a_schedule_survives_crashes import Crash, crashing, meanwhile
from worldflow import Debounce, InvalidInputError, RunEndedError, continue_as_new, wait_for_signal, workflow
from worldflow.runtime import extra_runs, firing, schedules, sending
from worldflow.worlds import ScheduleRecord
from worldflow.worlds.messages import ScheduledRunEnded, ScheduleDue
from worldflow.worlds.schedule_records import BUFFER_LIMIT, fitting

LONG = {"workflow": workflows.collect, "input": {"count": 1}}
DAY = timedelta(days=1)
in_memory = pytest.mark.parametrize("system", ["memory"], indirect=True)
"""What does not depend on the World."""


@workflow
async def cleans_up() -> None:
    try:
        await wait_for_signal("value")
    finally:
        await workflows.increment(1)


@workflow
async def takes_leave() -> None:
    try:
        await wait_for_signal("value")
    except asyncio.CancelledError:
        await wait_for_signal("leave")
        raise


@workflow
async def takes_turns(left: int) -> None:
    await wait_for_signal("value")
    if left > 1:
        continue_as_new(left=left - 1)


@workflow(debounce=Debounce("1m"))
async def gathers() -> None: ...


def record(system: System) -> ScheduleRecord:
    return schedules.get(system.world, "nightly")


def statuses(system: System) -> list[tuple[str, str]]:
    return [(run.run_id, run.status) for run in started(system.world)]


def end(system: System, due: datetime) -> None:
    """Lets the run of a moment complete. Time passes no further than that takes."""
    signal(system, run_id(due), "value", 1)


def fire(system: System, due: datetime) -> None:
    firing.fire(system.world, ScheduleDue(schedule_id="nightly", due=due))
    system.settle()


# --- each of them ---


def test_buffer_one_starts_one_more_when_the_run_ends(system: System) -> None:
    create(system, overlap="buffer_one", **LONG)
    first, second, third = (fire_next(system) for _ in range(3))
    assert statuses(system) == [(run_id(first), "running")]
    assert (record(system).buffered, record(system).skipped) == ([second], 1)

    end(system, first)
    assert statuses(system) == [(run_id(first), "completed"), (run_id(second), "running")]
    end(system, second)
    assert len(started(system.world)) == 2  # nothing waits for it
    assert statuses(system)[-1] == (run_id(second), "completed")
    fourth = fire_next(system)
    assert statuses(system)[-1] == (run_id(fourth), "running") and third < fourth


def test_buffer_all_starts_each_in_order(system: System) -> None:
    create(system, overlap="buffer_all", **LONG)
    moments = [fire_next(system) for _ in range(3)]
    for number, due in enumerate(moments, 1):
        assert statuses(system)[-1] == (run_id(due), "running") and len(started(system.world)) == number
        end(system, due)

    assert [status for _, status in statuses(system)] == ["completed"] * 3
    assert (record(system).buffered, record(system).last_run_id) == ([], run_id(moments[-1]))


@pytest.mark.parametrize("overlap", ["cancel_other", "terminate_other"])
def test_the_run_before_makes_way(system: System, overlap: Any) -> None:
    create(system, overlap=overlap, workflow=cleans_up, input={})
    first, second = fire_next(system), fire_next(system)

    assert statuses(system) == [(run_id(first), "cancelled"), (run_id(second), "running")]
    reason = f"schedule 'nightly' makes room for its run of {second:%Y-%m-%dT%H:%M:%SZ}"
    assert system.world.read_run(run_id(first)).reason == reason
    kinds = [event.event_type for event in system.world.read_events(run_id(first))]
    assert ("StepScheduled" in kinds) == (overlap == "cancel_other")  # its `finally`
    assert (record(system).buffered, record(system).skipped) == ([], 0)


@in_memory
def test_the_last_moment_gets_the_place_of_a_run_that_takes_its_time(system: System) -> None:
    create(system, overlap="cancel_other", workflow=takes_leave, input={})
    first, second, third = (fire_next(system) for _ in range(3))
    assert (record(system).buffered, record(system).skipped) == ([third], 1)
    assert [e.event_type for e in system.world.read_events(run_id(first))].count("CancelRequested") == 1

    signal(system, run_id(first), "leave")
    assert statuses(system) == [(run_id(first), "cancelled"), (run_id(third), "running")]
    assert second < third


def test_a_run_ends_with_its_last_generation(system: System) -> None:
    create(system, overlap="buffer_one", workflow=takes_turns, input={"left": 2})
    first, second = fire_next(system), fire_next(system)
    end(system, first)
    assert [run for run, _ in statuses(system)] == [run_id(first), f"{run_id(first)}~2"]

    sending.signal(system.world, run_id(first), "value", 1)
    system.settle()
    assert statuses(system)[-1] == (run_id(second), "running")


@in_memory
def test_a_run_that_is_cancelled_before_it_begins_sets_off_the_next(system: System) -> None:
    create(system, overlap="buffer_one", jitter="1d", **LONG)
    first = fire_next(system)
    fire(system, first + DAY)
    assert system.world.read_run(run_id(first)).status == "pending"
    cancel(system, run_id(first))

    assert [run for run, _ in statuses(system)] == [run_id(first), run_id(first + DAY)]


# --- what waits is given up ---


def test_pausing_drops_what_waits(system: System) -> None:
    create(system, overlap="buffer_all", **LONG)
    first, _, _ = (fire_next(system) for _ in range(3))
    schedules.update(system.world, "nightly", paused=True)
    end(system, first)

    assert (len(started(system.world)), record(system).buffered, record(system).skipped) == (1, [], 2)


@in_memory
def test_another_overlap_keeps_what_it_allows(system: System) -> None:
    create(system, overlap="buffer_all", **LONG)
    _, second, third, fourth = (fire_next(system) for _ in range(4))
    assert record(system).buffered == [second, third, fourth]

    assert schedules.update(system.world, "nightly", overlap="cancel_other").buffered == [fourth]
    assert schedules.update(system.world, "nightly", overlap="skip").buffered == []
    assert record(system).skipped == 3


@in_memory
def test_a_deleted_schedule_starts_nothing_more(system: System) -> None:
    create(system, overlap="buffer_one", **LONG)
    first = fire_next(system)
    fire_next(system)
    schedules.delete(system.world, "nightly")
    end(system, first)

    assert statuses(system) == [(run_id(first), "completed")]


def test_a_thousand_may_wait() -> None:
    moments = [datetime(2026, 1, 1) + n * DAY for n in range(BUFFER_LIMIT + 2)]
    assert fitting(moments, "buffer_all") == moments[:-2]
    assert fitting(moments[:3], "buffer_one") == moments[:1]
    assert fitting(moments[:3], "cancel_other") == fitting(moments[:3], "terminate_other") == moments[2:3]
    assert fitting(moments[:3], "skip") == fitting(moments[:3], "allow") == []


# --- copies, late messages, races ---


def test_copies_change_nothing(system: System) -> None:
    create(system, overlap="buffer_all", **LONG)
    first, second, third = (fire_next(system) for _ in range(3))
    for due in (first, second, third):
        fire(system, due)
    assert record(system).buffered == [second, third]

    end(system, first)
    system.world.send([ScheduledRunEnded(schedule_id="nightly", run_id=run_id(first))])
    fire(system, second)
    firing.fire(system.world, ScheduledRunEnded(schedule_id="nightly", run_id=run_id(first)))
    system.settle()
    assert (len(started(system.world)), record(system).buffered, record(system).skipped) == (2, [third], 0)


def test_buffer_all_takes_a_late_moment_too(system: System) -> None:
    made = create(system, overlap="buffer_all", **LONG)
    day = made.created_at.replace(microsecond=0) + DAY
    for due in (day, day + 3 * DAY, day + DAY, day + 2 * DAY):
        fire(system, due)

    assert record(system).buffered == [day + DAY, day + 2 * DAY, day + 3 * DAY]
    assert record(system).last_due == day + 3 * DAY


def test_the_run_ends_just_before_a_moment_begins_to_wait(system: System) -> None:
    """Its notification finds nothing that waits: whoever lets a moment wait looks once more."""
    create(system, overlap="buffer_one", **LONG)
    first = fire_next(system)
    with meanwhile(system, "put", lambda: end(system, first)):
        firing.fire(system.world, ScheduleDue(schedule_id="nightly", due=first + DAY))
    system.settle()

    assert statuses(system) == [(run_id(first), "completed"), (run_id(first + DAY), "running")]


@in_memory
def test_a_run_that_notifies_nobody_is_noticed_when_the_schedule_is_due(system: System) -> None:
    """It was started under another overlap."""
    create(system, **LONG)
    first = fire_next(system)
    schedules.update(system.world, "nightly", overlap="buffer_one")
    second = fire_next(system)
    end(system, first)
    assert len(started(system.world)) == 1
    third = fire_next(system)

    assert statuses(system) == [(run_id(first), "completed"), (run_id(second), "running")]
    end(system, second)
    assert statuses(system)[-1] == (run_id(third), "running")


def test_what_waits_is_taken_up_after_a_restore(system: System) -> None:
    """The notification was lost with the queues."""
    create(system, overlap="buffer_all", **LONG)
    first, second, third = (fire_next(system) for _ in range(3))
    run = system.world.get_run(run_id(first))
    assert run
    system.world.update_run(run.model_copy(update={"status": "completed", "seq": 1_000}))
    schedules.take_up(system.world, record(system))
    system.settle()

    assert statuses(system)[-1] == (run_id(second), "running")
    assert record(system).buffered == [third] and record(system).next_due(system.clock.now()) is not None


@in_memory
def test_the_last_moment_counts_although_the_end_of_the_run_was_not_noticed(system: System) -> None:
    create(system, **LONG)
    first = fire_next(system)
    schedules.update(system.world, "nightly", overlap="terminate_other")
    second = fire_next(system)
    assert record(system).buffered == [second]
    third = fire_next(system)

    assert statuses(system) == [(run_id(first), "cancelled"), (run_id(third), "running")]
    assert (record(system).buffered, record(system).skipped) == ([], 1)


@in_memory
def test_a_moment_that_waited_was_backfilled_meanwhile(system: System) -> None:
    create(system, overlap="buffer_all", **LONG)
    first, second, third, fourth = (fire_next(system) for _ in range(4))
    extra_runs.backfill(system.world, "nightly", second, third + timedelta(seconds=1))
    system.settle()
    end(system, second)
    end(system, first)
    assert record(system).buffered == [fourth]  # the second had ended; the third runs
    end(system, third)

    assert statuses(system)[-1] == (run_id(fourth), "running")


# --- crashes ---


CRASHES = [
    ("memory", "buffer_all", "before"),
    ("memory", "buffer_all", "after"),
    ("memory", "cancel_other", "before"),
    ("memory", "cancel_other", "after"),
    ("aws", "buffer_all", "before"),
    ("aws", "cancel_other", "after"),
]


@pytest.mark.parametrize(("system", "overlap", "when"), CRASHES, indirect=["system"])
def test_a_crash_at_any_write(system: System, overlap: Any, when: Any) -> None:
    """While a moment begins to wait, and while the end of the run before sets it off: each time one write later."""
    create(system, overlap=overlap, **LONG)
    moments = [fire_next(system)]
    for number in range(20):
        moments.append(moments[-1] + DAY)
        system.clock.forward(moments[-1])
        with crashing(system, number, when) as calls, suppress(Crash, RunEndedError):
            system.settle()
            if overlap == "buffer_all":
                end(system, moments[-2])
        system.restart()
        system.clock.forward(system.clock.now() + timedelta(seconds=100))  # what was in flight comes again
        system.settle()
        if overlap == "buffer_all":
            with suppress(RunEndedError):
                end(system, moments[-2])

        assert [run.run_id for run in started(system.world)] == list(map(run_id, moments))
        assert statuses(system)[-1] == (run_id(moments[-1]), "running")
        assert (record(system).buffered, record(system).skipped, record(system).starting) == ([], 0, None)
        if len(calls) <= number:
            return
    raise AssertionError("there are more writes than were tried")


# --- what does not fit ---


@in_memory
def test_a_workflow_that_gathers_starts_cannot_wait(system: System) -> None:
    with pytest.raises(InvalidInputError, match="the overlap must be skip or allow"):
        create(system, overlap="buffer_one", workflow=gathers, input={})
    create(system, workflow=gathers, input={})
    with pytest.raises(InvalidInputError, match="the overlap must be skip or allow"):
        schedules.update(system.world, "nightly", overlap="cancel_other")


def test_runs_of_skip_and_allow_notify_nobody(system: System) -> None:
    for overlap in ("skip", "allow"):
        create(system, overlap, overlap=overlap)
        due = fire_next(system, overlap)
        assert system.world.read_run(run_id(due, overlap)).notifies_schedule is None
        assert system.world.read_events(run_id(due, overlap))[0].payload.get("notifies_schedule") is None
