"""The messages of an `AWSWorld`: SQS FIFO queues, and the delay line.

The delay line: a FIFO queue has no delay for a single message, and EventBridge Scheduler is good to the minute only.
What is due within fifteen minutes waits in the standard queue of timers (`DelaySeconds`); what is due later is put
there by a schedule, a minute early, and waits there for the rest. The orchestrator's function sends on what is due
(`serving/orchestrator_handler.py`).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any

from botocore.exceptions import ClientError

from worldflow.engine.errors import WorldflowError
from worldflow.worlds.aws.access import AWSAccess
from worldflow.worlds.messages import Delayed, Message, Start, StepTask
from worldflow.worlds.outages import OutageError, is_passing_code

BATCH_LIMIT = 200_000
"""Bytes of messages in one request: below SQS's older limit of 256 KiB, which emulators still have."""

LONGEST_DELAY = timedelta(minutes=15)
"""SQS's `DelaySeconds` ends here."""

PARALLEL_REQUESTS = 8
"""Requests that are made side by side."""

SCHEDULER_MARGIN = timedelta(minutes=1)
"""Scheduler fires within a minute after its time."""


_Request = Callable[[], None]


class AWSMessages:
    def __init__(self, access: AWSAccess) -> None:
        self._access = access

    def send(self, messages: Sequence[Message | Delayed]) -> None:
        now, has_scheduler = self._access.now(), bool(self._access.settings.scheduler_group)
        prompt: list[Message] = []
        waiting: list[dict[str, Any]] = []
        lanes: list[list[_Request]] = []
        for message in messages:
            if not isinstance(message, Delayed):
                prompt.append(message)
            elif (delay := message.due - now) <= timedelta(0):
                prompt.append(message.message)
            elif delay <= LONGEST_DELAY or not has_scheduler:
                # Without a Scheduler a long delay is made of short ones: what comes early is sent here again.
                seconds = math.ceil(min(delay, LONGEST_DELAY).total_seconds())
                waiting.append({"MessageBody": message.dump(), "DelaySeconds": seconds})
            else:
                lanes.append([partial(self._schedule, message)])
        timers = self._access.settings.timer_queue_url
        lanes += [[partial(self._send_batch, timers, batch)] for batch in _batches(waiting)]
        for url, queue_messages in self._by_queue(prompt):
            lanes += self._in_order(url, queue_messages)
        self._make(lanes)

    def _by_queue(self, messages: Sequence[Message]) -> Iterator[tuple[str, list[Message]]]:
        tasks: dict[str, list[Message]] = {}
        others: list[Message] = []
        for message in messages:
            if isinstance(message, StepTask):
                tasks.setdefault(self._access.settings.url_of_step_queue(message.queue), []).append(message)
            else:
                others.append(message)
        yield from tasks.items()
        if others:
            yield self._access.settings.run_queue_url, others

    def _in_order(self, url: str, messages: Sequence[Message]) -> list[list[_Request]]:
        """The requests that send these, in lanes: side by side unless a group's messages are in two of them."""
        entries = (
            {
                "MessageBody": message.dump(),
                "MessageGroupId": message.group,
                "MessageDeduplicationId": message.dedup_id,
            }
            for message in messages
        )
        batches = list(_batches(entries))
        requests: list[_Request] = [partial(self._send_batch, url, batch) for batch in batches]
        groups = [group for batch in batches for group in {entry["MessageGroupId"] for entry in batch}]
        return [[request] for request in requests] if len(groups) == len(set(groups)) else [requests]

    def _make(self, lanes: Sequence[Sequence[_Request]]) -> None:
        """Makes the requests: lanes side by side, those of a lane one after the other. Raises the first error."""
        if len(lanes) > 1:
            made = [self._threads.submit(_one_by_one, lane) for lane in lanes]
            wait(made)  # also where one has failed: nothing is under way any more when this returns
            for request in made:
                request.result()
        else:
            for lane in lanes:
                _one_by_one(lane)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(PARALLEL_REQUESTS, thread_name_prefix="worldflow-send")

    def _send_batch(self, url: str, batch: Sequence[dict[str, Any]]) -> None:
        numbered = [{"Id": str(index), **entry} for index, entry in enumerate(batch)]
        answer = self._access.sqs.send_message_batch(QueueUrl=url, Entries=numbered)
        if failed := answer.get("Failed"):
            # A batch that fails in part answers 200. Sending all of it again is harmless: copies have one id.
            reasons = "; ".join(sorted({failure.get("Message") or failure["Code"] for failure in failed}))
            passing = all(not failure.get("SenderFault") or is_passing_code(failure["Code"]) for failure in failed)
            error = WorldflowError(f"{len(failed)} of {len(batch)} messages were not sent: {reasons}")
            raise error from (OutageError(reasons) if passing else None)

    def acknowledge(self, queue_arn: str, receipts: Sequence[str]) -> None:
        settings = self._access.settings
        for url in (settings.run_queue_url, settings.timer_queue_url):
            if queue_name(url) == queue_name(queue_arn):
                entries = [{"Id": str(index), "ReceiptHandle": receipt} for index, receipt in enumerate(receipts)]
                self._access.sqs.delete_message_batch(QueueUrl=url, Entries=entries)

    def postpone(self, queue_arn: str, waits: Mapping[str, int]) -> None:
        url = self._access.settings.run_queue_url
        entries = [
            {"Id": str(index), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
            for index, (receipt, seconds) in enumerate(waits.items())
        ]
        self._access.sqs.change_message_visibility_batch(
            QueueUrl=url.removesuffix(queue_name(url)) + queue_name(queue_arn), Entries=entries
        )

    def cancel(self, message: Message, deliver_at: datetime, sent_at: datetime) -> None:
        # What waits in the queue of timers cannot be taken back; it is dropped when it comes.
        is_scheduled = deliver_at - sent_at > LONGEST_DELAY and deliver_at - self._access.now() > SCHEDULER_MARGIN
        if is_scheduled and self._access.settings.scheduler_group:
            with suppress(self._access.scheduler.exceptions.ResourceNotFoundException):
                self._access.scheduler.delete_schedule(
                    Name=schedule_name(Delayed(due=deliver_at, message=message)),
                    GroupName=self._access.settings.scheduler_group,
                )

    def _schedule(self, delayed: Delayed) -> None:
        try:
            self._access.scheduler.create_schedule(
                Name=schedule_name(delayed),
                GroupName=self._access.settings.scheduler_group,
                ScheduleExpression=f"at({delayed.due.astimezone(UTC) - SCHEDULER_MARGIN:%Y-%m-%dT%H:%M:%S})",
                ScheduleExpressionTimezone="UTC",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="DELETE",
                Target=self._access.wake(delayed.dump()),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConflictException":
                raise


def queue_name(queue: str) -> str:
    """The name of a queue, at the end of its URL or ARN."""
    return re.split("[/:]", queue)[-1]


def _one_by_one(requests: Iterable[_Request]) -> None:
    for request in requests:
        request()


def schedule_name(delayed: Delayed) -> str:
    """The message's identity, so that creating it twice is found out.

    Those of starts begin with `start-`: an application may create these, and no others.
    """
    due = delayed.due.astimezone(UTC)
    digest = hashlib.sha256(f"{delayed.message.dedup_id}@{due.isoformat()}".encode()).hexdigest()
    return f"start-{digest[:58]}" if isinstance(delayed.message, Start) else digest  # 64 characters, Scheduler's most


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
