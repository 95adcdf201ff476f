"""Runs of a schedule that begin some time after they are due."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.schedules import create, fire_next, run_id, started, wait_until
from tests.support.systems import System, finish
from worldflow import Debounce, InvalidInputError, ScheduleExistsError, workflow
from worldflow.runtime import firing, schedules
from worldflow.worlds.messages import ScheduleDue
from worldflow.worlds.schedules import put_schedule


def test_a_run_begins_within_the_jitter_by_the_id_of_its_moment(system: System) -> None:
    record = create(system, jitter="5m")
    due = fire_next(system)
    begins = record.begins_at(due)
    assert begins and due < begins < due + timedelta(minutes=5)

    run = system.world.read_run(run_id(due))
    assert (run.start_at, run.describe()["status"]) == (begins, "pending")
    firing.fire(system.world, ScheduleDue(schedule_id="nightly", due=due))
    wait_until(system, begins + timedelta(seconds=1))
    assert [run.status for run in started(system.world)] == ["completed"]


@pytest.mark.parametrize("system", ["memory"], indirect=True)
def test_the_jitter_is_the_moments_own_and_spread_over_all_of_it(system: System) -> None:
    record = create(system, jitter=100, schedule="rate(1 hour)")
    moments = [record.counts_from + timedelta(hours=number) for number in range(200)]
    after = [(begins - due).total_seconds() for due in moments if (begins := record.begins_at(due))]

    assert 0 <= min(after) < 5 and 95 < max(after) < 100 and 40 < sum(after) / 200 < 60


@pytest.mark.parametrize("system", ["memory"], indirect=True)
def test_it_is_changed_removed_and_part_of_the_definition(system: System) -> None:
    assert create(system, jitter="1h").jitter == 3600
    with pytest.raises(ScheduleExistsError):
        create(system)
    assert schedules.update(system.world, "nightly", jitter="5m").jitter == 300
    assert schedules.update(system.world, "nightly", paused=True).jitter == 300
    assert schedules.update(system.world, "nightly", jitter=0).jitter is None


@pytest.mark.parametrize("jitter", ["soon", -1, "25h", float("nan")])
@pytest.mark.parametrize("system", ["memory"], indirect=True)
def test_what_is_no_jitter_is_refused(system: System, jitter: Any) -> None:
    with pytest.raises(InvalidInputError) as raised:
        create(system, jitter=jitter)
    assert [field.field for field in raised.value.fields] == ["jitter"]


@workflow(debounce=Debounce("10s"))
async def jitter_gathers(count: int) -> int:
    return count


def test_a_workflow_that_gathers_starts_waits_as_it_says_itself(system: System) -> None:
    with pytest.raises(InvalidInputError, match="leave out the jitter"):
        create(system, workflow=jitter_gathers, jitter="5m")
    record = create(system, jitter="5m")
    put_schedule(system.world, record.model_copy(update={"workflow": "jitter_gathers"}), replacing=record)
    fire_next(system)

    (run,) = started(system.world)
    assert finish(system, run.run_id).result == 2


def test_a_jitter_over_the_api(api: Api) -> None:
    asked = {"schedule_id": "nightly", "workflow": "squares", "input": {"count": 2}, "schedule": "rate(1 day)"}
    assert api.post("/schedules", {**asked, "jitter": "5m"}).body["jitter"] == 300
    assert "jitter" not in api("PATCH", "/schedules/nightly", {"jitter": 0}).body
    assert api("PATCH", "/schedules/nightly", {"jitter": "soon"}).fields == ["jitter"]
