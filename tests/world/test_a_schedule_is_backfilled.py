"""Runs of moments of a schedule that are past."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.schedules import create, fire_next, run_id, started, wait_for
from tests.support.systems import System, finish
from tests.support.workflows import squares
from worldflow import InvalidInputError, ScheduleNotFoundError
from worldflow.runtime import Orchestrator, extra_runs, schedules, starting

FROM, UNTIL = datetime(2025, 3, 1, 8, tzinfo=UTC), datetime(2025, 3, 4, 8, tzinfo=UTC)
MOMENTS = ["nightly:20250301T080000Z", "nightly:20250302T080000Z", "nightly:20250303T080000Z"]


def test_each_moment_from_the_start_until_before_the_end_gets_its_run(system: System) -> None:
    create(system, paused=True)
    assert asyncio.run(Orchestrator(system.world).backfill_schedule("nightly", FROM, UNTIL)) == MOMENTS

    assert [run.run_id for run in started(system.world)] == MOMENTS
    assert [finish(system, run).result for run in MOMENTS] == [1, 1, 1]
    assert schedules.get(system.world, "nightly").last_due is None


def test_one_that_died_half_way_is_repeated(system: System) -> None:
    create(system)
    start, calls = starting.start, []

    def dying(*args: Any, **options: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return start(*args, **options)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(starting, "start", dying)
        extra_runs.backfill(system.world, "nightly", FROM, UNTIL)
    again = extra_runs.backfill(system.world, "nightly", FROM, UNTIL)

    assert again == [(MOMENTS[0], False), (MOMENTS[1], True), (MOMENTS[2], True)]


def test_a_moment_that_the_schedule_has_dealt_with_gets_no_other_run(system: System) -> None:
    create(system, schedule="rate(1 hour)")
    due = fire_next(system)
    wait_for(system, minutes=1)
    found = extra_runs.backfill(system.world, "nightly", FROM, system.clock.now())

    assert found == [(run_id(due), False)], "a rate has no moments before it counts"


NAIVE = datetime(2025, 3, 1)


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        (NAIVE, UNTIL, "start"),
        (FROM, NAIVE, "end"),
        (FROM, "2025-03-04", "end"),
        (UNTIL, UNTIL, "end"),
        (datetime.min.replace(tzinfo=UTC), UNTIL, "start"),
        (FROM, datetime(9999, 1, 1, tzinfo=UTC), "end"),
        (FROM, FROM + timedelta(days=101), "end"),
    ],
)
@pytest.mark.parametrize("system", ["memory"], indirect=True)
def test_times_that_do_not_fit_are_refused(system: System, start: Any, end: Any, field: str) -> None:
    create(system)
    with pytest.raises(InvalidInputError) as raised:
        extra_runs.backfill(system.world, "nightly", start, end)
    assert [found.field for found in raised.value.fields] == [field]
    assert started(system.world) == []


@pytest.mark.parametrize("system", ["memory"], indirect=True)
def test_up_to_the_limit_is_backfilled(system: System) -> None:
    create(system)
    with pytest.raises(InvalidInputError, match=r"more than 100 times.*such as up to 2025-06-09T08:00:00Z"):
        extra_runs.backfill(system.world, "nightly", FROM, FROM + timedelta(days=101))
    until = datetime(2025, 6, 9, 8, tzinfo=UTC)
    assert len(extra_runs.backfill(system.world, "nightly", FROM, until)) == extra_runs.BACKFILL_LIMIT
    with pytest.raises(ScheduleNotFoundError):
        extra_runs.backfill(system.world, "hourly", FROM, UNTIL)


def test_a_backfill_over_the_api(api: Api) -> None:
    schedules.create(api.world, "nightly", squares, {"count": 2}, schedule="cron(0 8 * * ? *)")
    asked = {"start": FROM.isoformat(), "end": UNTIL.isoformat()}
    for created in (True, False):
        answer = api.post("/schedules/nightly/backfill", asked)
        assert (answer.status, answer.body["schedule_id"]) == (200, "nightly")
        assert answer.body["runs"] == [{"run_id": run, "created": created} for run in MOMENTS]
    assert api.post("/schedules/nightly/backfill", {**asked, "end": "2025-03-04T08:00:00"}).status == 422
    assert api.post("/schedules/hourly/backfill", asked).status == 404
