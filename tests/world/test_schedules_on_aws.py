"""What AWSWorld makes of a schedule: a schedule of EventBridge Scheduler that repeats."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.schedules import DAILY, create
from tests.support.systems import AWSSystem
from worldflow import ConfigurationError, InvalidInputError, ScheduleNotFoundError
from worldflow.runtime import firing, schedules
from worldflow.worlds import AWSWorld
from worldflow.worlds.messages import ScheduleDue, load_message

pytestmark = pytest.mark.time_of_day


def test_it_is_one_schedule_that_sends_to_the_queue_of_timers(aws: AWSSystem) -> None:
    create(aws, timezone="Europe/Berlin", schedule="cron(0 8 ? * MON-FRI *)")

    (schedule,) = aws.stack.schedules()
    assert schedule["Name"] == "schedule-nightly"
    assert schedule["GroupName"] == aws.stack.resources.scheduler_group
    assert schedule["ScheduleExpression"] == "cron(0 8 ? * MON-FRI *)"
    assert schedule["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["State"] == "ENABLED"
    assert "StartDate" not in schedule
    assert schedule["Target"]["Arn"] == aws.stack.resources.timer_queue_arn
    assert schedule["Target"]["RoleArn"] == aws.stack.resources.scheduler_role_arn
    assert schedule["Target"]["DeadLetterConfig"] == {"Arn": aws.stack.resources.timer_dead_letter_arn}
    text = schedule["Target"]["Input"]
    assert json.loads(text)["due"] == "<aws.scheduler.scheduled-time>"
    message = load_message(text.replace("<aws.scheduler.scheduled-time>", "2026-11-22T08:00:00Z"))
    assert isinstance(message, ScheduleDue)
    assert message.run_id == "nightly:20261122T080000Z"


def test_a_rate_begins_when_its_interval_has_passed(aws: AWSSystem) -> None:
    created = create(aws, schedule="rate(2 hours)").counts_from
    (schedule,) = aws.stack.schedules()
    assert schedule["StartDate"].astimezone(UTC) == created + timedelta(hours=2)

    # Scheduler refuses a beginning that has passed.
    aws.clock.forward(created + timedelta(hours=5))
    schedules.update(aws.world, "nightly", overlap="allow")
    (schedule,) = aws.stack.schedules()
    assert schedule["StartDate"].astimezone(UTC) == created + timedelta(hours=6)


def test_its_requests(aws: AWSSystem) -> None:
    aws.stack.requests.clear()
    create(aws)
    assert aws.stack.requests == ["dynamodb.PutItem", "scheduler.CreateSchedule", "dynamodb.GetItem"]

    aws.stack.requests.clear()
    firing.fire(aws.world, ScheduleDue(schedule_id="nightly", due=aws.clock.now()))
    assert aws.stack.requests == [
        "dynamodb.GetItem",
        *["dynamodb.PutItem", "dynamodb.PutItem", "sqs.SendMessageBatch", "dynamodb.PutItem"],
    ]

    aws.stack.requests.clear()
    schedules.delete(aws.world, "nightly")
    assert aws.stack.requests == ["dynamodb.GetItem", "scheduler.DeleteSchedule", "dynamodb.DeleteItem"]


@contextmanager
def refusing(aws: AWSSystem, expression: str, code: str = "ValidationException") -> Iterator[None]:
    """Scheduler rejects an expression."""

    def refuse(params: dict[str, Any], **_: Any) -> None:
        if json.loads(params["body"])["ScheduleExpression"] == expression:
            raise ClientError({"Error": {"Code": code, "Message": "Invalid Schedule Expression"}}, "CreateSchedule")

    events = aws.world.access.scheduler.meta.events  # type: ignore[attr-defined]
    names = ("before-call.scheduler.CreateSchedule", "before-call.scheduler.UpdateSchedule")
    for name in names:
        events.register(name, refuse)
    try:
        yield
    finally:
        for name in names:
            events.unregister(name, refuse)


def test_what_scheduler_refuses_to_create_is_not_there(aws: AWSSystem) -> None:
    with refusing(aws, DAILY), pytest.raises(InvalidInputError, match=r"rejects .* Invalid") as raised:
        create(aws)

    assert [field.field for field in raised.value.fields] == ["schedule"]
    with pytest.raises(ScheduleNotFoundError):
        schedules.get(aws.world, "nightly")


def test_what_scheduler_refuses_to_change_stays_as_it_was(aws: AWSSystem) -> None:
    before = create(aws)
    with refusing(aws, "rate(3 hours)"), pytest.raises(InvalidInputError, match="rejects"):
        schedules.update(aws.world, "nightly", schedule="rate(3 hours)")

    assert schedules.get(aws.world, "nightly") == before
    assert [schedule["ScheduleExpression"] for schedule in aws.stack.schedules()] == [DAILY]


def test_other_refusals_are_errors(aws: AWSSystem) -> None:
    with refusing(aws, DAILY, "AccessDeniedException"), pytest.raises(ClientError, match="AccessDenied"):
        create(aws)


def test_without_a_schedule_group_it_says_so(aws: AWSSystem) -> None:
    world = AWSWorld(aws.stack.settings.model_copy(update={"scheduler_group": None}), session=aws.stack.session)
    with pytest.raises(ConfigurationError, match="WORLDFLOW_SCHEDULER_GROUP"):
        schedules.create(world, "nightly", "squares", schedule=DAILY)


def test_a_dead_message_starts_its_run_all_the_same(aws: AWSSystem) -> None:
    record = create(aws)
    due = record.created_at.replace(microsecond=0) + timedelta(days=1)
    aws.deliver("dead-timers", ScheduleDue(schedule_id="nightly", due=due))

    assert schedules.get(aws.world, "nightly").last_due == due
