"""`redrive`: what lies among the dead letters goes back to its queue, and its run goes on."""

from __future__ import annotations

import pytest

from tests.support import workflows
from tests.support.systems import AWSSystem, finish
from worldflow.runtime import starting
from worldflow.worlds.messages import Poke, StepTask
from worldflow.worlds.records import Redriven


def bury(aws: AWSSystem, queue: str, body: str, group: str | None = "r") -> None:
    fifo = {"MessageGroupId": group, "MessageDeduplicationId": body[:100].replace(" ", "")} if group else {}
    aws.stack.sqs.send_message(QueueUrl=aws.stack.urls[queue], MessageBody=body, **fifo)  # type: ignore[index, arg-type]


def test_a_run_whose_message_is_dead_goes_on(aws: AWSSystem) -> None:
    starting.start(aws.world, "r", workflows.chain, {"length": 2})
    (start,) = aws.stack.messages("runs")
    bury(aws, "dead-runs", start.body)
    aws.stack.purge("runs")

    assert aws.world.redrive() == Redriven(moved=1)
    assert finish(aws, "r").status == "completed"


def test_each_goes_to_the_queue_that_it_came_from(aws: AWSSystem) -> None:
    bury(aws, "dead-runs", Poke(run_id="r", nonce="1").dump())
    bury(aws, "dead-steps", StepTask(run_id="r", step_id="s1", name="n").dump(), "r#s1#1")
    bury(aws, "dead-timers", '{"MessageBody": "{\\"v\\": 1}"}', None)

    assert aws.world.redrive().moved == 3
    assert [len(aws.stack.messages(queue)) for queue in ("runs", "steps", "timers")] == [1, 1, 1]
    assert [len(aws.stack.messages(queue)) for queue in ("dead-runs", "dead-steps", "dead-timers")] == [0, 0, 0]
    assert aws.stack.messages("timers")[0].body == '{"v": 1}'
    assert aws.stack.messages("steps")[0].group_id == "r#s1#1"


def test_one_whose_id_the_queue_still_knows_is_no_copy(aws: AWSSystem) -> None:
    message = Poke(run_id="r", nonce="1")
    aws.world.send([message])
    aws.stack.purge("runs")
    bury(aws, "dead-runs", message.dump())

    aws.world.redrive()

    assert len(aws.stack.messages("runs")) == 1


@pytest.mark.parametrize("discard", [False, True])
def test_what_is_no_message_is_left_unless_it_is_to_go(aws: AWSSystem, discard: bool) -> None:
    bury(aws, "dead-runs", "hello")

    assert aws.world.redrive(discard=discard) == Redriven(unreadable=1)
    assert len(aws.stack.messages("dead-runs")) == (0 if discard else 1)


def test_what_is_being_tried_is_counted(aws: AWSSystem) -> None:
    bury(aws, "dead-runs", Poke(run_id="r", nonce="1").dump())
    aws.stack.sqs.receive_message(QueueUrl=aws.stack.urls["dead-runs"])

    assert aws.world.redrive() == Redriven(in_flight=1)
