"""A schedule on the deployed stack. The shortest that there is comes every minute."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.conftest import until
from tools.stack import Stack


def test_a_schedule_starts_a_run_when_it_is_due_and_none_when_it_is_deleted(
    stack: Stack, ended: Callable[..., dict[str, Any]]
) -> None:
    schedule = {"schedule_id": "minutely", "workflow": "nap", "input": {"duration": "0s"}}
    begun = datetime.now(UTC)
    created = stack.call("POST", "/schedules", {**schedule, "schedule": "cron(* * * * ? *)"})
    assert created.status == 201, created

    def last_run() -> str | None:
        run_id: str | None = stack.call("GET", "/schedules/minutely").body.get("last_run_id")
        return run_id

    run_id = until(last_run, within=90)
    due = datetime.strptime(run_id, "minutely:%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert begun < due <= begun + timedelta(minutes=1)
    assert ended(run_id)["status"] == "completed"

    paused = stack.call("PATCH", "/schedules/minutely", {"paused": True})
    assert (paused.status, paused.body["paused"]) == (200, True)
    assert [one["schedule_id"] for one in stack.call("GET", "/schedules").body["schedules"]] == ["minutely"]
    assert stack.call("DELETE", "/schedules/minutely").status == 204
    assert stack.call("GET", "/schedules/minutely").status == 404
    group = stack.outputs["SchedulerGroupName"]
    names = [one["Name"] for one in stack.aws.client("scheduler").list_schedules(GroupName=group)["Schedules"]]
    assert "schedule-minutely" not in names
