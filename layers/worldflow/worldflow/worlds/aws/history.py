"""Histories in DynamoDB: an item is one commit, with the number of its first event as its sort key."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import chain, islice, pairwise
from typing import Any

from worldflow.engine.errors import ConflictError
from worldflow.engine.history import Event, StepScheduled, dump_events, load_events
from worldflow.worlds.aws.access import AWSAccess, as_attributes
from worldflow.worlds.aws.payloads import AWSPayloads

ITEM_LIMIT = 350_000
"""Bytes of a commit that DynamoDB is given; an item may have 400 KB."""

PARALLEL_PARTS = 4
"""What a history has beyond its first page is read in this many parts at once: a page ends at 1 MB, and says where the
next one begins only when it is there.
"""


class AWSHistory:
    """The events table."""

    def __init__(self, access: AWSAccess, payloads: AWSPayloads) -> None:
        self._access = access
        self._payloads = payloads

    def load(self, run_id: str, after: int, commits: int | None) -> list[Event]:
        if commits is not None:
            asked = self._query(run_id, "seq > :after", {":after": after}, Limit=commits)
            return self.events_of(islice(asked, commits))
        events = self.events_of(self._items(run_id, after))
        if after and (not events or events[0].seq != after + 1):
            # `after` may lie within a commit, which then begins before it. Turns ask for a number of commits, and from
            # the end of one.
            before = self.events_of(islice(self._newest(run_id, after), 1))
            events = [event for event in before if event.seq > after] + events
        return events

    def commits(self, run_id: str) -> list[list[Event]]:
        return [self.events_of([item]) for item in self._items(run_id, 0)]

    def append(self, run_id: str, events: Sequence[Event]) -> None:
        first, text = events[0].seq, dump_events(events)
        item: dict[str, Any] = {"run_id": run_id, "seq": first}
        data = text.encode()
        if len(data) <= ITEM_LIMIT:
            item["events"] = text
        else:
            item["payload"] = f"{run_id}/commit-{first}-{hashlib.sha256(data).hexdigest()}"
            self._payloads.put(item["payload"], data)
        condition, values = "attribute_not_exists(run_id)", dict[str, Any]()
        if any(map(_begins_for_good, events)):
            # Tells this commit from that of another process, where the client makes the request again whose answer was
            # lost.
            item["writer"] = values[":writer"] = uuid.uuid4().hex
            condition += " OR writer = :writer"
        if not self._access.put(self._access.settings.events_table, item, condition, values):
            raise ConflictError(f"run {run_id!r} already has an event {first}")

    # --- reading ---

    def _items(self, run_id: str, after: int) -> Iterator[dict[str, Any]]:
        """The commits that begin after an event, in order."""
        first, more = next(self._pages(run_id, "seq > :after", {":after": after}))
        if not more:
            return iter(first)
        begin = int(first[-1]["seq"])
        (newest,) = islice(self._newest(run_id), 1)
        span = int(newest["seq"]) - begin
        bounds = [begin + span * part // PARALLEL_PARTS for part in range(PARALLEL_PARTS)]
        conditions = [
            ("seq BETWEEN :first AND :last", {":first": before + 1, ":last": last})
            for before, last in pairwise(bounds)
            if before < last
        ]
        # The last part has no end: a commit that is being made belongs to it.
        conditions.append(("seq > :after", {":after": bounds[-1]}))
        parts = self._threads.map(lambda part: list(self._query(run_id, *part)), conditions)
        return chain(first, chain.from_iterable(parts))

    def _newest(self, run_id: str, up_to: int | None = None) -> Iterator[dict[str, Any]]:
        """The commits that begin no later than an event, the newest first, one to a request."""
        condition, values = ("seq <= :last", {":last": up_to}) if up_to is not None else ("seq > :zero", {":zero": 0})
        return self._query(run_id, condition, values, Limit=1, ScanIndexForward=False)

    def _query(self, run_id: str, condition: str, values: dict[str, Any], **request: Any) -> Iterator[dict[str, Any]]:
        return chain.from_iterable(items for items, _ in self._pages(run_id, condition, values, **request))

    def _pages(
        self, run_id: str, condition: str, values: dict[str, Any], **request: Any
    ) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        return self._access.pages(
            TableName=self._access.settings.events_table,
            KeyConditionExpression=f"run_id = :run AND {condition}",
            ExpressionAttributeValues=as_attributes({":run": run_id, **values}),
            ConsistentRead=True,
            **request,
        )

    def events_of(self, items: Iterable[dict[str, Any]]) -> list[Event]:
        """The events of stored commits."""
        events: list[Event] = []
        for item in items:
            events += load_events(self._payloads.get(item["payload"]) if "payload" in item else item["events"])
        return events

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(2 * PARALLEL_PARTS, thread_name_prefix="worldflow-read")


def _begins_for_good(event: Event) -> bool:
    """Whether an event says of an attempt that it has begun and may not begin again: only who wrote it may run it."""
    return isinstance(event, StepScheduled) and bool(event.inline and event.at_most_once)
