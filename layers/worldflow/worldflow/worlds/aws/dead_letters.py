"""The dead letters of an `AWSWorld`. Each queue's are found by its redrive policy."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_core import from_json

from worldflow.worlds.aws.access import AWSAccess
from worldflow.worlds.aws.messages import queue_name
from worldflow.worlds.messages import may_be_message, undelivered
from worldflow.worlds.records import Redriven

_HIDDEN = 60
"""Seconds for which a dead letter is out of sight while it is moved."""


class AWSDeadLetters:
    def __init__(self, access: AWSAccess) -> None:
        self._access = access

    def set_aside(self, queue_arn: str, body: str, id: str) -> bool:
        url = self._access.settings.run_queue_url
        if queue_name(url) != queue_name(queue_arn):
            return False
        self._access.sqs.send_message(
            QueueUrl=self._dead_letters_of(url),
            MessageBody=body,
            MessageGroupId=id,  # of its own: it holds up no dead letter of the run
            MessageDeduplicationId=id,
        )
        return True

    def redrive(self, *, discard: bool) -> Redriven:
        settings, moved, unreadable, in_flight = self._access.settings, 0, 0, 0
        for url in (settings.run_queue_url, settings.step_queue_url, settings.timer_queue_url):
            dead = self._dead_letters_of(url)
            for messages in self._receive_all(dead):
                for message in messages:
                    body = undelivered(message["Body"])
                    if may_be_message(body):
                        self._send_again(self._queue_of(body) or url, message)
                        moved += 1
                    else:
                        unreadable += 1
                        if not discard:
                            continue
                    self._access.sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])
            in_flight += self._in_flight(dead)
        return Redriven(moved, unreadable, max(0, in_flight - (0 if discard else unreadable)))

    def _queue_of(self, body: str) -> str | None:
        """The queue of a task that names a step queue: all step queues have their dead letters in one."""
        name = from_json(body).get("queue")
        return self._access.settings.url_of_step_queue(name) if name in self._access.settings.step_queues else None

    def _receive_all(self, url: str) -> Iterator[Sequence[dict[str, Any]]]:
        while messages := self._access.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=_HIDDEN,
            MessageSystemAttributeNames=["MessageGroupId"],
        ).get("Messages"):
            yield messages

    def _send_again(self, url: str, message: dict[str, Any]) -> None:
        fifo = {}
        if url.endswith(".fifo"):
            # With an id of its own: the queue may still know that of the first.
            fifo = {
                "MessageGroupId": message["Attributes"]["MessageGroupId"],
                "MessageDeduplicationId": uuid.uuid4().hex,
            }
        self._access.sqs.send_message(QueueUrl=url, MessageBody=undelivered(message["Body"]), **fifo)

    def _in_flight(self, url: str) -> int:
        name = "ApproximateNumberOfMessagesNotVisible"
        answer = self._access.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def _dead_letters_of(self, url: str) -> str:
        found = self._access.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
        arn = json.loads(found["Attributes"]["RedrivePolicy"])["deadLetterTargetArn"]
        return url.removesuffix(queue_name(url)) + queue_name(arn)
