"""An AWS that does nothing but count what it is asked for.

The requests are made by an `AWSWorld`, as in a function: what they are, what is in them and how large that is, is
decided in one place only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import boto3

from worldflow.engine.history import Event
from worldflow.engine.history.base import UNRECORDED
from worldflow.engine.ids import is_of_limit
from worldflow.settings import Settings
from worldflow.worlds.aws.access import AWSAccess, as_attributes, values_of
from worldflow.worlds.aws.items import INDEXES, LISTED, item_size, record_item
from worldflow.worlds.aws.world import AWSWorld
from worldflow.worlds.messages import Delayed, Message, StepTask, load_message
from worldflow.worlds.records import RunRecord

SQS_CHUNK = 64 * 1024
"""Bytes that SQS counts as one request."""

ITEM_OVERHEAD = 100
"""Bytes that DynamoDB adds to each item, and to each entry of an index, where it charges for storage."""

_NONE = "none"


class _Settings(Settings):
    def url_of_step_queue(self, name: str | None) -> str:
        """One URL for all: they cost the same."""
        return self.step_queue_url


_SETTINGS = _Settings(
    events_table="events",
    runs_table="runs",
    step_queue_url=_NONE,
    run_queue_url=_NONE,
    timer_queue_url=_NONE,
    timer_queue_arn=_NONE,
    scheduler_group=_NONE,
    scheduler_role_arn=_NONE,
    payload_bucket=_NONE,
)


@dataclass(kw_only=True, slots=True)
class Asked:
    """What a run has asked AWS for."""

    requests: Counter[str] = field(default_factory=Counter)
    """Made by the functions and by those who start and signal the run, such as `dynamodb.PutItem`."""
    write_units: int = 0
    read_units: int = 0
    sends: int = 0
    """SQS's requests to send, as it charges for them."""
    messages: int = 0
    """Given to functions: how many come in one receive, and are one invocation, and are deleted at once, is not the
    run's to decide.
    """
    tasks: int = 0
    """Of these messages those to the step executor, of which `StepBatchSize` may come together."""
    timers: int = 0
    """Of these messages those that the orchestrator passes on when they are due, without a turn."""
    starts: int = 0
    ends: int = 0
    """Turns in which a run starts, or ends, which the log has a line of."""
    more_chunks: int = 0
    """Of messages that are large: SQS charges for each 64 KB that a receive brings."""
    schedules: int = 0
    """That have come due, with EventBridge Scheduler."""
    status_events: int = 0
    """On a bus of EventBridge."""
    ledger_bytes: int = 0
    """Of outcomes of steps, which are kept for `OUTCOME_DAYS`."""
    kept_bytes: int = 0
    """Of the history and the record with its index entries, which are kept until the run is archived."""
    estimated: list[str] = field(default_factory=list)
    """What of this is not known exactly, and why."""

    def receives(self, batch: int, step_batch: int | None = None) -> float:
        return self.invocations(batch, step_batch) + self.more_chunks

    def deletes(self, batch: int, step_batch: int | None = None) -> float:
        return self.invocations(batch, step_batch)

    def invocations(self, batch: int, step_batch: int | None = None) -> float:
        """
        batch: number of messages to runs, or timers, that arrive together.
        step_batch: number of step tasks that arrive together. Default: the same.
        """
        return (self.messages - self.tasks) / batch + self.tasks / (step_batch or batch)


class MeteredWorld(AWSWorld):
    """Of one run. `moment` is the time in it."""

    def __init__(self, *, event_bus: bool = False) -> None:
        """
        event_bus: whether status events go to one.
        """
        settings = _SETTINGS.model_copy(update={"event_bus": _NONE if event_bus else None})
        self.asked = Asked()
        self.moment = UNRECORDED
        self.sent: list[tuple[datetime, Message | Delayed]] = []
        """Messages, and when they can be received."""
        self.scheduled: dict[str, tuple[datetime, Delayed]] = {}
        self.copied: dict[str, Sequence[Event]] = {}
        """Histories that a fork has copied, by run. It reads its own to write the streams again."""
        super().__init__(settings)

    def _connect(self, settings: Settings | None, session: boto3.Session | None) -> AWSAccess:
        return _MeteredAccess(self, settings)

    def load_history(self, run_id: str, after: int = 0, commits: int | None = None) -> list[Event]:
        super().load_history(run_id, after, commits)  # counted
        return [event for event in self.copied.get(run_id, ()) if event.seq > after]

    def remember(self, record: RunRecord) -> None:
        """Has a record that was not written at this run's cost."""
        self.access.dynamodb._keep(as_attributes(record_item(record)), 1)
        self.access.dynamodb.runs[record.run_id] = as_attributes(record_item(record))

    def remember_commit(self, run_id: str, events: Sequence[Any]) -> None:
        """Has a commit that was not written at this run's cost."""
        self.access.dynamodb.is_silent = True
        self.append(run_id, events)
        self.access.dynamodb.is_silent = False

    def forget_commits(self, run_id: str) -> None:
        """Has no history of this id."""
        self.access.dynamodb.forget_commits(run_id)

    def delivered(self, message: Message | Delayed) -> None:
        """Counts what a message costs that a function is given."""
        self.asked.messages += 1
        self.asked.tasks += isinstance(message, StepTask)
        self.asked.timers += isinstance(message, Delayed)
        self.asked.more_chunks += _chunks(len(message.dump().encode())) - 1


class _MeteredAccess(AWSAccess):
    def __init__(self, world: MeteredWorld, settings: Settings | None) -> None:
        super().__init__(settings, session=cast(boto3.Session, object()))  # no request leaves this process
        self._world = world

    def now(self) -> datetime:
        return self._world.moment

    def client(self, service: str) -> Any:
        return _CLIENTS[service](self._world)


class _Client:
    """In place of one of boto3."""

    service = ""

    def __init__(self, world: MeteredWorld) -> None:
        self.world = world
        self.asked = world.asked

    def _count(self, operation: str, times: int = 1) -> None:
        self.asked.requests[f"{self.service}.{operation}"] += times


class _DynamoDB(_Client):
    service = "dynamodb"

    class exceptions:
        class ConditionalCheckFailedException(Exception):
            pass

    def __init__(self, world: MeteredWorld) -> None:
        super().__init__(world)
        self.runs: dict[str, dict[str, Any]] = {}
        self._commits: dict[str, list[tuple[int, int]]] = {}
        """Of each history and stream: the number of the first event, and bytes."""
        self.is_silent = False
        """Commits are kept, and not counted."""

    def forget_commits(self, run_id: str) -> None:
        self._commits.pop(run_id, None)

    def put_item(self, TableName: str, Item: dict[str, Any], **_: Any) -> None:
        if TableName == _SETTINGS.events_table:
            self._commits.setdefault(Item["run_id"]["S"], []).append((int(Item["seq"]["N"]), item_size(Item)))
        if self.is_silent:
            return
        self._count("PutItem")
        if TableName == _SETTINGS.events_table:
            self.asked.write_units += _write_units(item_size(Item))
            if not is_of_limit(Item["run_id"]["S"]):  # whose histories are removed soon
                self.asked.kept_bytes += item_size(Item) + ITEM_OVERHEAD
        else:
            self._write(Item["run_id"]["S"], Item)

    def update_item(self, Key: dict[str, Any], ExpressionAttributeValues: dict[str, Any], **_: Any) -> dict[str, Any]:
        self._count("UpdateItem")
        before = self.runs.get(Key["run_id"]["S"], {})
        item = {**before, **Key, **{name.lstrip(":"): value for name, value in ExpressionAttributeValues.items()}}
        self._write(Key["run_id"]["S"], item)
        return {"Attributes": item}

    def delete_item(self, Key: dict[str, Any], **_: Any) -> None:
        self._count("DeleteItem")
        self._write(Key["run_id"]["S"], {})

    def get_item(self, Key: dict[str, Any], **_: Any) -> dict[str, Any]:
        self._count("GetItem")
        item = self.runs.get(Key["run_id"]["S"])
        self.asked.read_units += _read_units(item_size(item or {}))
        return {"Item": item} if item else {}

    def batch_get_item(self, RequestItems: Mapping[str, Any]) -> dict[str, Any]:
        self._count("BatchGetItem")
        ((table, wanted),) = RequestItems.items()
        items = [self.runs.get(key["run_id"]["S"], {}) for key in wanted["Keys"]]
        self.asked.read_units += sum(_read_units(item_size(item)) for item in items)
        return {"Responses": {table: [item for item in items if item]}}

    def query(self, ExpressionAttributeValues: dict[str, Any], **_: Any) -> dict[str, Any]:
        # Of a history. Who asks knows it, and is interested in the price.
        self._count("Query")
        asked = values_of(ExpressionAttributeValues)
        commits = self._commits.get(asked[":run"], ())
        self.asked.read_units += _read_units(sum(size for first, size in commits if first > asked[":after"]))
        return {"Items": []}

    def _write(self, key: str, item: dict[str, Any]) -> None:
        before = self.runs.get(key, {})
        self.asked.write_units += _write_units(max(item_size(before), item_size(item)))
        for names in INDEXES.values():
            self.asked.write_units += _index_units(_entry(before, names), _entry(item, names), names)
        self.runs[key] = item
        self._keep(before, -1)
        self._keep(item, 1)

    def _keep(self, item: Mapping[str, Any], sign: int) -> None:
        """Counts the bytes in which an item is kept, or is no longer."""
        if not item:
            return
        size = item_size(item) + ITEM_OVERHEAD
        if "expires_at" in item:
            self.asked.ledger_bytes += sign * size
            return
        entries = (_entry(item, names) for names in INDEXES.values())
        size += sum(item_size(entry) + ITEM_OVERHEAD for entry in entries if entry)
        self.asked.kept_bytes += sign * size


class _SQS(_Client):
    service = "sqs"

    def send_message_batch(self, Entries: Sequence[Mapping[str, Any]], **_: Any) -> dict[str, Any]:
        self._count("SendMessageBatch")
        self.asked.sends += _chunks(sum(len(entry["MessageBody"].encode()) for entry in Entries))
        for entry in Entries:
            at = datetime.fromtimestamp(self.world.moment.timestamp() + entry.get("DelaySeconds", 0), UTC)
            self.world.sent.append((at, load_message(entry["MessageBody"])))
        return {}


class _Scheduler(_Client):
    service = "scheduler"

    class exceptions:
        class ResourceNotFoundException(Exception):
            pass

    def create_schedule(self, Name: str, ScheduleExpression: str, Target: Mapping[str, Any], **_: Any) -> None:
        self._count("CreateSchedule")
        at = datetime.strptime(ScheduleExpression, "at(%Y-%m-%dT%H:%M:%S)").replace(tzinfo=UTC)
        message = load_message(Target["Input"])
        assert isinstance(message, Delayed)
        self.world.scheduled[Name] = at, message

    def delete_schedule(self, Name: str, **_: Any) -> None:
        self._count("DeleteSchedule")
        self.world.scheduled.pop(Name, None)


class _EventBridge(_Client):
    service = "eventbridge"  # by its own name; boto3 has its clients under another

    def put_events(self, Entries: Sequence[Mapping[str, Any]], **_: Any) -> dict[str, Any]:
        self._count("PutEvents")
        self.asked.status_events += sum(_chunks(len(entry["Detail"].encode())) for entry in Entries)
        return {"FailedEntryCount": 0}


class _S3(_Client):
    service = "s3"

    def put_object(self, **_: Any) -> None:
        self._count("PutObject")

    def get_object(self, **_: Any) -> None:
        self._count("GetObject")

    def copy_object(self, **_: Any) -> None:
        self._count("CopyObject")


_CLIENTS = {client.service: client for client in (_DynamoDB, _SQS, _Scheduler, _S3)} | {"events": _EventBridge}


def _write_units(size: int) -> int:
    return max(1, math.ceil(size / 1024))


def _read_units(size: int) -> int:
    """Of a consistent read."""
    return max(1, math.ceil(size / 4096))


def _chunks(size: int) -> int:
    return max(1, math.ceil(size / SQS_CHUNK))


def _entry(item: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """What an index has of an item; nothing where the item lacks the index's key."""
    if not all(name in item for name in names):
        return {}
    return {name: item[name] for name in ("run_id", *names, *LISTED) if name in item}


def _index_units(before: Mapping[str, Any], after: Mapping[str, Any], names: Sequence[str]) -> int:
    """Write units of a change in an index: where the key changes, one entry is deleted and another one put."""
    if before and after and all(before[name] == after[name] for name in names):
        return _write_units(max(item_size(before), item_size(after)))
    return sum(_write_units(item_size(entry)) for entry in (before, after) if entry)
