"""What five thousand steps at once ask of AWS."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from tests.support.systems import AWSSystem
from tests.unit.runtime.test_a_fan_out_of_five_thousand_steps import COUNT, fan_out
from worldflow.runtime import starting
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import Start


@pytest.fixture
def sent(aws: AWSSystem) -> Any:
    """The batches of messages that are sent, in place of moto, which looks through a queue for each."""
    batches: list[list[dict[str, Any]]] = []

    def accept(params: dict[str, Any], **_: Any) -> Any:
        entries = json.loads(params["body"])["Entries"]
        batches.append(entries)
        successful = [{"Id": entry["Id"], "MessageId": "1", "MD5OfMessageBody": "1"} for entry in entries]
        return AWSResponse("https://sqs", 200, {}, None), {"Successful": successful}

    events = aws.world.access.sqs.meta.events
    events.register("before-call.sqs.SendMessageBatch", accept)
    yield batches
    events.unregister("before-call.sqs.SendMessageBatch", accept)


def test_one_commit_and_ten_tasks_a_request(aws: AWSSystem, sent: list[list[dict[str, Any]]]) -> None:
    starting.start(aws.world, "r", fan_out, {"count": COUNT})
    aws.stack.requests.clear()
    sent.clear()
    Turns(aws.world).take("r", [Start(run_id="r")])

    # The commit is larger than an item may be: it lies in the bucket, and its item refers to it.
    assert Counter(aws.stack.requests) == {
        "dynamodb.Query": 1,
        "dynamodb.BatchGetItem": 1,
        "s3.PutObject": 1,
        "dynamodb.PutItem": 1,
    }
    assert Counter(map(len, sent)) == {10: COUNT // 10}
    assert len({entry["MessageGroupId"] for entries in sent for entry in entries}) == COUNT
    assert len(aws.world.load_history("r")) == COUNT + 1
