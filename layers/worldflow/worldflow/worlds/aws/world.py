"""Runs on AWS: DynamoDB for histories and records, SQS FIFO for messages, a delay line for timers, S3 for large data.

What is asked of AWS, and how, is in `access.py`; the queues and the delay line are in `messages.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Unpack

import boto3

from worldflow.engine.errors import RunArchivedError
from worldflow.engine.history import Event
from worldflow.settings import Settings
from worldflow.worlds.archives import Archive
from worldflow.worlds.aws.access import AWSAccess
from worldflow.worlds.aws.history import AWSHistory
from worldflow.worlds.aws.items import record_item
from worldflow.worlds.aws.messages import AWSMessages
from worldflow.worlds.aws.payloads import AWSPayloads
from worldflow.worlds.aws.schedules import AWSSchedules
from worldflow.worlds.aws.store import AWSItems
from worldflow.worlds.aws.webhook_keys import AWSWebhooks
from worldflow.worlds.base import World
from worldflow.worlds.codec import PayloadCodec, load_codec
from worldflow.worlds.items import Expected, Item
from worldflow.worlds.messages import Delayed, Message
from worldflow.worlds.records import Redriven, RunPage, RunRecord, Status
from worldflow.worlds.schedule_records import ScheduleRecord
from worldflow.worlds.status_events import StatusEvent

if TYPE_CHECKING:
    from worldflow.worlds.aws.dead_letters import AWSDeadLetters
    from worldflow.worlds.aws.deaths import AWSDeaths
    from worldflow.worlds.aws.listing import AWSListing
    from worldflow.worlds.aws.status_events import AWSStatusEvents
    from worldflow.worlds.filters import Filters, Selection


class AWSWorld(World):
    """A World in one AWS account. May be used from several threads.

    settings: names and URLs of the resources. Default: read from the `WORLDFLOW_*` environment variables.
    session: boto3 session with credentials and region. Default: `AWS_REGION` and boto3's default credentials.
    codec: encodes the user's data. Default: the codec named in the settings, if any.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        session: boto3.Session | None = None,
        codec: PayloadCodec | None = None,
    ) -> None:
        self.access = self._connect(settings, session)
        self.codec = codec or load_codec(self.settings.payload_codec)
        self.step_queues = self.settings.step_queues
        self._when_lost: Callable[[int], None] = lambda number: None

    def _connect(self, settings: Settings | None, session: boto3.Session | None) -> AWSAccess:
        return AWSAccess(settings, session=session)

    @property
    def settings(self) -> Settings:
        """The names and addresses of the resources."""
        return self.access.settings

    def now(self) -> datetime:
        return self.access.now()

    # --- history ---

    def load_history(self, run_id: str, after: int = 0, commits: int | None = None) -> list[Event]:
        return self._history.load(run_id, after, commits)

    def load_commits(self, run_id: str) -> list[list[Event]]:
        return self._history.commits(run_id)

    def append(self, run_id: str, events: Sequence[Event]) -> None:
        self._history.append(run_id, events)

    @cached_property
    def _history(self) -> AWSHistory:
        return AWSHistory(self.access, self._payloads)

    # --- records ---

    def create_run(self, record: RunRecord) -> RunRecord | None:
        while not self.access.put(self.settings.runs_table, record_item(record), "attribute_not_exists(run_id)"):
            item = self.access.get(record.run_id)
            if item and "record" not in item:
                raise RunArchivedError(
                    f"the run that {record.run_id!r} would continue is being archived", record.run_id
                )
            if item:
                existing = RunRecord.model_validate_json(item["record"])
                # A request whose answer was lost is repeated by the client, and finds what it has written itself.
                return None if existing == record else existing
            # Between the two it was archived.
        return None

    def get_run(self, run_id: str) -> RunRecord | None:
        item = self.access.get(run_id)
        return RunRecord.model_validate_json(item["record"]) if item and "record" in item else None

    def get_run_and_item(self, run_id: str, key: str) -> tuple[RunRecord | None, Item | None]:
        item, other = self.access.get_all((run_id, key))
        return RunRecord.model_validate_json(item["record"]) if item and "record" in item else None, other

    def update_run(self, record: RunRecord) -> None:
        condition = "record_seq <= :seq AND attribute_not_exists(archived)"
        self.access.put(self.settings.runs_table, record_item(record), condition, {":seq": record.seq})

    def page_of_runs(self, selection: Selection, limit: int, cursor: str | None) -> RunPage:
        return self._listing.page(selection, limit, cursor)

    def count_runs(self, *, at_most: int | None = None, **filters: Unpack[Filters]) -> int:
        if filters.get("parent") is not None:
            return super().count_runs(at_most=at_most, **filters)
        return self._listing.count(filters, at_most)

    def walk_runs(self, status: Status, created_before: datetime | None = None) -> Iterator[RunRecord]:
        yield from self._listing.walk(status, created_before)

    @cached_property
    def _listing(self) -> AWSListing:
        from worldflow.worlds.aws.listing import AWSListing  # which no turn and no step needs

        return AWSListing(self.access)

    # --- items ---

    @cached_property
    def _items(self) -> AWSItems:
        return AWSItems(self.access)

    def get_item(self, key: str) -> Item | None:
        return self._items.get(key)

    def put_item(self, key: str, item: Item | None, expected: Expected | None = None) -> bool:
        return self._items.put(key, item, expected)

    def update_item(self, key: str, fields: Item, defaults: Item) -> Item:
        return self._items.update(key, fields, defaults)

    def list_items(self, prefix: str, limit: int, after: str) -> Sequence[Item]:
        return self._items.list(prefix, limit, after)

    @cached_property
    def webhooks(self) -> AWSWebhooks:  # type: ignore[override]
        return AWSWebhooks(self.access)

    # --- messages ---

    @cached_property
    def _messages(self) -> AWSMessages:
        return AWSMessages(self.access)

    def send(self, messages: Sequence[Message | Delayed]) -> None:
        self._messages.send(messages)

    def cancel_delayed(self, message: Message, deliver_at: datetime, sent_at: datetime) -> None:
        self._messages.cancel(message, deliver_at, sent_at)

    def announce(self, events: Sequence[StatusEvent]) -> None:
        if self.settings.event_bus:
            self._status_events.announce(events)

    def when_status_events_are_lost(self, call: Callable[[int], None]) -> None:
        """Calls with the number of events that a bus refuses for good."""
        self._when_lost = call

    @cached_property
    def _status_events(self) -> AWSStatusEvents:
        from worldflow.worlds.aws.status_events import AWSStatusEvents  # which a stack without a bus does not need

        return AWSStatusEvents(self.access, lambda number: self._when_lost(number))

    def acknowledge(self, queue_arn: str, receipts: Sequence[str]) -> None:
        """Deletes up to ten messages, by their receipt handles, before the function that received them answers.

        Those of other queues than runs' and timers' wait for the answer.
        """
        self._messages.acknowledge(queue_arn, receipts)

    def postpone(self, queue_arn: str, waits: Mapping[str, int]) -> None:
        """Sets in how many seconds up to ten messages, by their receipt handles, become visible again."""
        self._messages.postpone(queue_arn, waits)

    @cached_property
    def deaths(self) -> AWSDeaths:
        """Tells the deaths of functions from outages, for messages that were received before."""
        from worldflow.worlds.aws.deaths import AWSDeaths  # rarely wanted

        return AWSDeaths(self.access)

    def set_aside(self, queue_arn: str, body: str, id: str) -> bool:
        """Puts a body that is no message into the dead-letter queue of the queue of runs that it came from.

        Returns whether it is there: from other queues, whose messages hold up no other, nothing is set aside.
        """
        return self._dead_letters.set_aside(queue_arn, body, id)

    def redrive(self, *, discard: bool = False) -> Redriven:
        return self._dead_letters.redrive(discard=discard)

    @cached_property
    def _dead_letters(self) -> AWSDeadLetters:
        from worldflow.worlds.aws.dead_letters import AWSDeadLetters  # rarely wanted

        return AWSDeadLetters(self.access)

    # --- payloads ---

    @cached_property
    def _payloads(self) -> AWSPayloads:
        return AWSPayloads(self.access)

    def put_payload(self, key: str, data: bytes) -> None:
        self._payloads.put(key, data)

    def get_payload(self, key: str) -> bytes:
        return self._payloads.get(key)

    def copy_payload(self, key: str, new_key: str) -> None:
        self._payloads.copy(key, new_key)

    @property
    def archive(self) -> Archive:
        return self._archive

    @cached_property
    def _archive(self) -> Archive:
        from worldflow.worlds.aws.archive import AWSArchive  # which hardly any process needs

        return AWSArchive(self.access)

    # --- schedules ---

    @cached_property
    def _schedules(self) -> AWSSchedules:
        return AWSSchedules(self.access)

    def arm_schedule(self, record: ScheduleRecord) -> None:
        self._schedules.arm(record)

    def disarm_schedule(self, schedule_id: str) -> None:
        self._schedules.disarm(schedule_id)
