"""Batches of SQS messages as a Lambda function receives them, and its answer: the batch items that failed.

The event source mappings must have `ReportBatchItemFailures` on. A message that this code cannot read fails alone, and
waits in its queue for code that can; one that no code could goes to the dead letters at once, so that no run waits
behind it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from pydantic import ValidationError

from worldflow.engine.privacy import loggable
from worldflow.worlds.messages import Delayed, Message, load_message, may_be_message, summary, undelivered

_log = logging.getLogger("worldflow")

TURN_MARGIN = 20
"""Seconds before the function's timeout at which a turn begins no further inline step."""

Out = Enum("Out", ["DONE", "FAILED", "PUT_OFF"])
"""How the handling of messages went: they are acknowledged, or come again when their visibility timeout is over, or
sooner, since what was wrong passes.
"""

Scope = Callable[..., AbstractContextManager[Any]]
"""Called with `run_id=` (and `step_id=`, `attempt=`) around the work on a run or step: to put them on each line of a
log.
"""

SetAside = Callable[[str, str, str], bool]
"""Puts a body, of a queue, with an id, out of the way of others. Returns whether it did."""


def unscoped(**_: Any) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Record:
    id: str
    message: Message | Delayed
    receives: int
    is_dead: bool
    receipt: str
    sent_at: datetime | None
    """When it came into its queue. Not known of a dead letter, which SQS dates anew."""

    @property
    def group(self) -> str:
        return self.id if isinstance(self.message, Delayed) else self.message.group

    @property
    def kind(self) -> str:
        return self.message.message.kind if isinstance(self.message, Delayed) else self.message.kind

    @property
    def run_id(self) -> str:
        return self.message.message.run_id if isinstance(self.message, Delayed) else self.message.run_id


def read_batch(
    event: dict[str, Any],
    dead_letter_arns: Sequence[str] = (),
    set_aside: SetAside = lambda arn, body, id: False,
) -> tuple[list[Record], list[str]]:
    """The records of a batch, and the ids of those that cannot be read and are not set aside."""
    records, unreadable = [], []
    for record in event["Records"]:
        receives = int(record["attributes"]["ApproximateReceiveCount"])
        is_dead = record["eventSourceARN"] in dead_letter_arns
        body = undelivered(record["body"]) if is_dead else record["body"]
        try:
            message = load_message(body)
        except ValidationError as error:
            _log.error("message %s cannot be read: %s", record["messageId"], summary(error))
            if may_be_message(body) or not _set_aside(record, set_aside):
                unreadable.append(record["messageId"])
        else:
            sent_at = None if is_dead else _sent_at(record)
            records.append(Record(record["messageId"], message, receives, is_dead, record["receiptHandle"], sent_at))
    return records, unreadable


def _sent_at(record: Mapping[str, Any]) -> datetime | None:
    milliseconds = record["attributes"].get("SentTimestamp")
    return datetime.fromtimestamp(int(milliseconds) / 1_000, UTC) if milliseconds else None


def _set_aside(record: Mapping[str, Any], set_aside: SetAside) -> bool:
    try:
        return set_aside(record["eventSourceARN"], record["body"], record["messageId"])
    except Exception as error:
        _log.error(
            "message %s cannot be set aside and will be redelivered", record["messageId"], exc_info=loggable(error)
        )
        return False


def answer(failed: Sequence[str]) -> dict[str, Any]:
    """The answer to Lambda for a batch: the ids of the messages to redeliver."""
    return {"batchItemFailures": [{"itemIdentifier": id} for id in failed]}


def out_of_time_of(context: Any) -> Callable[[], bool]:
    """Tells whether an invocation has so little time left that nothing may begin in it."""
    return lambda: context is not None and context.get_remaining_time_in_millis() < TURN_MARGIN * 1_000
