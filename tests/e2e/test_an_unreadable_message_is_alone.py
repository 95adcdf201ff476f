"""A message that no code can read goes to the dead-letter queue, and stops no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import until
from tools.stack import Stack


def test_it_goes_to_the_dead_letters_and_runs_go_on(
    stack: Stack, start: Callable[..., str], ended: Callable[..., dict[str, Any]]
) -> None:
    sqs = stack.aws.client("sqs")
    queue, dead = stack.outputs["StepQueueUrl"], stack.outputs["StepDeadLetterQueueUrl"]
    # Without waiting out five visibility timeouts.
    timeout = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "2"})
    try:
        sqs.send_message(QueueUrl=queue, MessageBody="not JSON", MessageGroupId="poison", MessageDeduplicationId="1")
        assert ended(start("doubles", start=1, times=5))["result"] == 32

        def buried() -> bool | None:
            names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            found = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=names)["Attributes"]
            return sum(map(int, found.values())) == 1 or None

        assert until(buried, within=60)
    finally:
        sqs.set_queue_attributes(QueueUrl=queue, Attributes=timeout)
