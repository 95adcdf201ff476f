"""A schedule on the deployed stack. The shortest that there is comes every minute, which other tests use meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.conftest import until
from worldflow.devtools.stack import Stack


def test_a_schedule_starts_a_run_when_it_is_due_and_none_when_it_is_deleted(
    stack: Stack, ended: Callable[..., dict[str, Any]], scheduled: tuple[datetime, datetime]
) -> None:
    def last_run() -> str | None:
        run_id: str | None = stack.call("GET", "/schedules/minutely").body.get("last_run_id")
        return run_id

    last = until(last_run, within=90)
    runs = stack.call("GET", "/runs?workflow=nap&limit=100").body["runs"]
    due = min(moment(run["run_id"]) for run in runs if run["run_id"].startswith("minutely:"))
    before, after = scheduled
    assert before < due <= after + timedelta(minutes=1)
    assert ended(last)["status"] == "completed"

    paused = stack.call("PATCH", "/schedules/minutely", {"paused": True})
    assert (paused.status, paused.body["paused"]) == (200, True)
    assert [one["schedule_id"] for one in stack.call("GET", "/schedules").body["schedules"]] == ["minutely"]
    assert stack.call("DELETE", "/schedules/minutely").status == 204
    assert stack.call("GET", "/schedules/minutely").status == 404
    group = stack.outputs["SchedulerGroupName"]
    names = [one["Name"] for one in stack.aws.client("scheduler").list_schedules(GroupName=group)["Schedules"]]
    assert "schedule-minutely" not in names


def moment(run_id: str) -> datetime:
    """For which moment a schedule has started a run."""
    return datetime.strptime(run_id, "minutely:%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
