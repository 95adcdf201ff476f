"""Sleeps of seconds and of days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.e2e.conftest import until
from worldflow.devtools.stack import Stack

History = Callable[[str], list[dict[str, Any]]]


def test_two_seconds_take_less_than_four(
    start: Callable[..., str], ended: Callable[..., dict[str, Any]], history: History
) -> None:
    run_id = start("nap", duration="2s")
    assert ended(run_id)["result"] == [run_id, "s1", f"{run_id}/s1"]
    at = {event["event_type"]: datetime.fromisoformat(event["at"]) for event in history(run_id)}
    assert timedelta(seconds=2) <= at["TimerFired"] - at["TimerStarted"] < timedelta(seconds=4)


def delayed(stack: Stack) -> int:
    """Messages that wait in the queue of timers: other runs' too, whose time comes meanwhile."""
    queue = stack.outputs["TimerQueueUrl"]
    attributes = stack.aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessagesDelayed"])


def test_thirty_days_are_one_schedule_and_nothing_else(
    stack: Stack, start: Callable[..., str], history: History
) -> None:
    scheduler = stack.aws.client("scheduler")
    group = stack.outputs["SchedulerGroupName"]
    before = {schedule["Name"] for schedule in scheduler.list_schedules(GroupName=group)["Schedules"]}
    waiting = delayed(stack)
    run_id = start("nap", duration="30d")
    until(lambda: history(run_id) or None, within=30)

    def schedule() -> str | None:
        new = {schedule["Name"] for schedule in scheduler.list_schedules(GroupName=group)["Schedules"]} - before
        return new.pop() if new else None

    found = scheduler.get_schedule(GroupName=group, Name=until(schedule, within=10))
    due = datetime.fromisoformat(history(run_id)[-1]["payload"]["due"])
    assert found["ScheduleExpression"] == f"at({due - timedelta(minutes=1):%Y-%m-%dT%H:%M:%S})"
    assert delayed(stack) <= waiting
    assert stack.call("POST", f"/runs/{run_id}/cancel").status == 202
