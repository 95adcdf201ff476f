"""What died while the orchestrator could not be reached is put back by `worldflow redrive`, and its run goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.conftest import until, visible_again_after, waiting
from worldflow.devtools.stack import Stack


def test_a_signal_that_died_is_received_after_all(
    stack: Stack, application: dict[str, str], start: Callable[..., str], ended: Callable[..., dict[str, Any]]
) -> None:
    run_id = start("collect", count=1)
    until(lambda: stack.call("GET", f"/runs/{run_id}/events").body["events"] or None, within=30)
    queue, dead = stack.outputs["RunQueueUrl"], stack.outputs["RunDeadLetterQueueUrl"]
    with nobody_receives_from(stack, "RunDeadLetterQueue"), visible_again_after(90, stack):
        with nobody_receives_from(stack, "RunQueue"):
            assert stack.call("POST", f"/runs/{run_id}/signals/number", 7).status == 202
            sqs = stack.aws.client("sqs")
            for _ in range(6):  # as often as makes a dead letter, and once more
                sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0)
        died = until(lambda: waiting(stack, dead) or None, within=10)  # what the schedule of each minute sent, too
        assert stack.call("GET", f"/runs/{run_id}").body["status"] == "running"
        command = [sys.executable, "-m", "worldflow", "redrive"]
        done = subprocess.run(command, env=application, capture_output=True, text=True, check=False, timeout=60)
        assert done.stdout.startswith(f"Dead letters moved back: {died}."), done
        assert waiting(stack, dead) == 0
        assert ended(run_id)["result"] == [7]


@contextmanager
def nobody_receives_from(stack: Stack, queue: str) -> Iterator[None]:
    lambdas = stack.aws.client("lambda")
    mappings = lambdas.list_event_source_mappings(FunctionName=stack.outputs["OrchestratorFunctionName"])
    (mapping,) = [one["UUID"] for one in mappings["EventSourceMappings"] if f"-{queue}-" in one["EventSourceArn"]]
    lambdas.update_event_source_mapping(UUID=mapping, Enabled=False)
    try:
        yield
    finally:
        lambdas.update_event_source_mapping(UUID=mapping, Enabled=True)
