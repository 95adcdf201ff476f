"""A message that no code can read goes to the dead-letter queue, and stops no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import until, visible_again_after, waiting
from worldflow.devtools.stack import Stack


def test_it_goes_to_the_dead_letters_and_runs_go_on(
    stack: Stack, start: Callable[..., str], ended: Callable[..., dict[str, Any]]
) -> None:
    queue, dead = stack.outputs["StepQueueUrl"], stack.outputs["StepDeadLetterQueueUrl"]
    with visible_again_after(2, stack, receives=3):
        stack.aws.client("sqs").send_message(
            QueueUrl=queue, MessageBody="not JSON", MessageGroupId="poison", MessageDeduplicationId="1"
        )
        assert ended(start("doubles", start=1, times=5))["result"] == 32
        assert until(lambda: waiting(stack, dead) or None, within=60) == 1
