"""The messages of an `AWSWorld`: SQS FIFO queues, and the delay line.

The delay line: a FIFO queue has no delay for a single message, and EventBridge Scheduler is good to the minute only.
What is due within fifteen minutes waits in the standard queue of timers (`DelaySeconds`); what is due later is put
there by a schedule, a minute early, and waits there for the rest. The orchestrator's function sends on what is due
(`aws_handlers.py`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from worldflow.engine.errors import WorldflowError
from worldflow.worlds.messages import Delayed, Message, StepTask

if TYPE_CHECKING:
    from worldflow.worlds.aws import AWSWorld

BATCH_LIMIT = 200_000
"""Bytes of messages in one request: below SQS's older limit of 256 KiB, which emulators still have."""

LONGEST_DELAY = timedelta(minutes=15)
"""SQS's `DelaySeconds` ends here."""

SCHEDULER_MARGIN = timedelta(minutes=1)
"""Scheduler fires within a minute after its time."""


class AWSMessages:
    """Uses the clients of its world."""

    def __init__(self, world: AWSWorld) -> None:
        self._world = world

    def send(self, messages: Sequence[Message], deliver_at: datetime | None = None) -> None:
        if deliver_at is not None and (delay := deliver_at - self._world.now()) > timedelta(0):
            self._send_later(messages, deliver_at, delay)
            return
        for url, queue_messages in self._by_queue(messages):
            self._send_batches(
                url,
                [
                    {
                        "MessageBody": message.dump(),
                        "MessageGroupId": message.group,
                        "MessageDeduplicationId": message.dedup_id,
                    }
                    for message in queue_messages
                ],
            )

    def _by_queue(self, messages: Sequence[Message]) -> Iterator[tuple[str, list[Message]]]:
        tasks: list[Message] = [message for message in messages if isinstance(message, StepTask)]
        others: list[Message] = [message for message in messages if not isinstance(message, StepTask)]
        if tasks:
            yield self._world.settings.step_queue_url, tasks
        if others:
            yield self._world.settings.run_queue_url, others

    def _send_later(self, messages: Sequence[Message], deliver_at: datetime, delay: timedelta) -> None:
        delayed = [Delayed(due=deliver_at, message=message) for message in messages]
        # Without a Scheduler a long delay is made of short ones: what comes early is sent here again.
        if delay <= LONGEST_DELAY or not self._world.settings.scheduler_group:
            seconds = math.ceil(min(delay, LONGEST_DELAY).total_seconds())
            bodies = [{"MessageBody": message.dump(), "DelaySeconds": seconds} for message in delayed]
            self._send_batches(self._world.settings.timer_queue_url, bodies)
        else:
            for message in delayed:
                self._schedule(message)

    def _send_batches(self, url: str, entries: Sequence[dict[str, Any]]) -> None:
        for batch in _batches(entries):
            numbered = [{"Id": str(index), **entry} for index, entry in enumerate(batch)]
            answer = self._world._sqs.send_message_batch(QueueUrl=url, Entries=numbered)
            if failed := answer.get("Failed"):
                # A batch that fails in part answers 200. Sending all of it again is harmless: copies have one id.
                reasons = {failure.get("Message") or failure["Code"] for failure in failed}
                raise WorldflowError(
                    f"{len(failed)} of {len(batch)} messages were not sent: {'; '.join(sorted(reasons))}"
                )

    def cancel(self, message: Message, deliver_at: datetime, sent_at: datetime) -> None:
        # What waits in the queue of timers cannot be taken back; it is dropped when it comes.
        is_scheduled = deliver_at - sent_at > LONGEST_DELAY and deliver_at - self._world.now() > SCHEDULER_MARGIN
        if is_scheduled and self._world.settings.scheduler_group:
            with suppress(self._world._scheduler.exceptions.ResourceNotFoundException):
                self._world._scheduler.delete_schedule(
                    Name=_schedule_name(Delayed(due=deliver_at, message=message)),
                    GroupName=self._world.settings.scheduler_group,
                )

    def _schedule(self, delayed: Delayed) -> None:
        target = {
            "Arn": self._world._required("timer_queue_arn"),
            "RoleArn": self._world._required("scheduler_role_arn"),
            "Input": delayed.dump(),
        }
        try:
            self._world._scheduler.create_schedule(
                Name=_schedule_name(delayed),
                GroupName=self._world.settings.scheduler_group,
                ScheduleExpression=f"at({delayed.due.astimezone(UTC) - SCHEDULER_MARGIN:%Y-%m-%dT%H:%M:%S})",
                ScheduleExpressionTimezone="UTC",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="DELETE",
                Target=target,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConflictException":
                raise


def _schedule_name(delayed: Delayed) -> str:
    """The message's identity, so that creating it twice is found out."""
    return hashlib.sha256(f"{delayed.message.dedup_id}@{delayed.due.isoformat()}".encode()).hexdigest()


def _batches(entries: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Entries in batches that one request may carry."""
    batch: list[dict[str, Any]] = []
    size = 0
    for entry in entries:
        length = len(entry["MessageBody"].encode())
        if batch and (len(batch) == 10 or size + length > BATCH_LIMIT):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += length
    if batch:
        yield batch
