"""What a moment of a schedule asks of AWS, besides its run: what is read and written when it is due."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.support import workflows
from tests.support.schedules import create
from tests.support.systems import AWSSystem
from worldflow.runtime import firing
from worldflow.worlds.messages import ScheduledRunEnded, ScheduleDue, ScheduleMessage

READ, WRITE, SEND = "dynamodb.GetItem", "dynamodb.PutItem", "sqs.SendMessageBatch"
STARTED = {READ: 1, WRITE: 3, SEND: 1}
"""The record twice and the run once, which is not looked for where it is the first."""


def requests(aws: AWSSystem, message: ScheduleMessage) -> dict[str, int]:
    aws.stack.requests.clear()
    firing.fire(aws.world, message)
    return dict(Counter(aws.stack.requests))


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        ("skip", {READ: 2, WRITE: 1}),
        ("allow", STARTED),
        ("buffer_one", {READ: 3, WRITE: 1}),
        ("cancel_other", {READ: 3, WRITE: 1, SEND: 1}),
    ],
)
def test_a_moment_that_overlaps(overlap: Any, expected: dict[str, int], aws: AWSSystem) -> None:
    record = create(aws, overlap=overlap, workflow=workflows.collect, input={"count": 1})
    first, second = (record.created_at.replace(microsecond=0) + n * timedelta(days=1) for n in (1, 2))
    due = ScheduleDue(schedule_id="nightly", due=first)
    assert requests(aws, due) == STARTED
    assert requests(aws, ScheduleDue(schedule_id="nightly", due=second)) == expected


def test_the_end_of_a_run_that_another_waits_for(aws: AWSSystem) -> None:
    record = create(aws, overlap="buffer_one", workflow=workflows.collect, input={"count": 1})
    first, second = (record.created_at.replace(microsecond=0) + n * timedelta(days=1) for n in (1, 2))
    due = ScheduleDue(schedule_id="nightly", due=first)
    for moment in (first, second):
        firing.fire(aws.world, ScheduleDue(schedule_id="nightly", due=moment))
    run = aws.world.get_run(due.run_id)
    assert run
    aws.world.update_run(run.model_copy(update={"status": "completed", "seq": 9}))
    assert requests(aws, ScheduledRunEnded(schedule_id="nightly", run_id=run.run_id)) == {
        READ: 3,  # the schedule, the run, and whether another generation follows it
        WRITE: 3,
        SEND: 1,
    }
    assert requests(aws, ScheduledRunEnded(schedule_id="nightly", run_id=run.run_id)) == {READ: 1}
