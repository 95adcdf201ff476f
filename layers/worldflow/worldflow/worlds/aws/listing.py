"""The lists of an `AWSWorld`'s runs: those of all shards of an index, newest first.

A status and the time of start are keys of the indexes. With no other filter, each shard is asked for as many runs as
the page holds. With another that would not do: DynamoDB counts what it reads and filters afterwards, so each request
reads what it may, 1 MB. A page makes a limited number of requests however rare the matches are; it holds what they
found, perhaps nothing, and its cursor continues where they ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from worldflow.worlds.aws.access import AWSAccess, as_attributes, values_of
from worldflow.worlds.aws.items import SHARDS, listed
from worldflow.worlds.filters import Filters, Selection
from worldflow.worlds.records import RunPage, RunRecord, Status, time_text

REQUESTS = 40
"""The most requests of one page. They read some tens of thousands of runs, in a third of an API function's time."""

NEWEST = "9"
"""Later than the `created_at` of any run."""


class AWSListing:
    def __init__(self, access: AWSAccess) -> None:
        self._access = access

    def page(self, selection: Selection, limit: int, cursor: str | None) -> RunPage:
        requests = _requests(selection, cursor)
        # One more where the run of the cursor is read again.
        limited = {} if selection.reads_more_than_it_lists else {"Limit": limit + (2 if selection.started_after else 1)}
        shards = [_Shard(self._access, request | limited, cursor) for request in requests]
        for shard in shards:
            shard.read()
        for _ in range(REQUESTS - SHARDS if shards else 0):
            behind = max(shards, key=lambda shard: shard.reached)
            if not behind.reached or sum(shard.count(behind.reached) for shard in shards) > limit:
                break
            behind.read()
        # What one shard has of a time that another was not read up to may not be all that there is of it.
        reached = max((shard.reached for shard in shards), default="")
        found = [item for shard in shards for item in shard.items if item["created_at"] >= reached]
        found.sort(key=lambda item: str(item["created_at"]), reverse=True)
        more = found[limit - 1]["created_at"] if len(found) > limit else reached
        return RunPage([listed(item) for item in found[:limit]], more or None)

    def count(self, filters: Filters, at_most: int | None) -> int:
        """How many runs match. Reads all that may, a request for each megabyte, and shard after shard."""
        number, table = 0, self._access.settings.runs_table
        for request in _requests(Selection.of(filters), None):
            last: Any = {}
            while last is not None and (at_most is None or number < at_most):
                place = {"ExclusiveStartKey": last} if last else {}
                answer = self._access.dynamodb.query(TableName=table, Select="COUNT", **request, **place)
                number, last = number + answer["Count"], answer.get("LastEvaluatedKey")
        return number if at_most is None else min(number, at_most)

    def walk(self, status: Status, created_before: datetime | None) -> Iterator[RunRecord]:
        before = time_text(created_before) if created_before else NEWEST
        first = _first_shard(self._access.now())
        for shard in (*range(first, SHARDS), *range(first)):
            request = _request(str(shard), Selection(status=status), before)
            items = self._access.query(TableName=self._access.settings.runs_table, ScanIndexForward=True, **request)
            yield from map(listed, items)

    def oldest(self, status: Status) -> RunRecord | None:
        """The run of a status that was created first. A small request for each shard."""
        table, found = self._access.settings.runs_table, []
        for shard in range(SHARDS):
            request = _request(str(shard), Selection(status=status), NEWEST) | {"Limit": 1}
            found += self._access.dynamodb.query(TableName=table, ScanIndexForward=True, **request)["Items"]
        runs = map(listed, map(values_of, found))
        return min(runs, key=lambda run: run.created_at, default=None)


def _first_shard(now: datetime) -> int:
    """Where a walk begins: a caller that never has time for all shards starts each hour with another one. At the
    same hour of the next day it is another, too, since some look for different runs at each hour.
    """
    return (now.toordinal() + now.hour) % SHARDS


class _Shard:
    """What was read of one shard, newest first. `reached` is the `created_at` of the oldest item that DynamoDB looked
    at; empty when it has looked at all.
    """

    def __init__(self, access: AWSAccess, request: dict[str, Any], cursor: str | None) -> None:
        self.items: list[dict[str, Any]] = []
        self.reached = NEWEST
        self._access = access
        self._request = request
        self._cursor = cursor

    def read(self) -> None:
        """Makes one request."""
        table = self._access.settings.runs_table
        answer = self._access.dynamodb.query(TableName=table, ScanIndexForward=False, **self._request)
        items = map(values_of, answer["Items"])
        self.items += [item for item in items if item["created_at"] != self._cursor]
        last = answer.get("LastEvaluatedKey")
        self.reached = last["created_at"]["S"] if last else ""
        self._request["ExclusiveStartKey"] = last

    def count(self, since: str) -> int:
        return sum(item["created_at"] >= since for item in self.items)


def _requests(selection: Selection, cursor: str | None) -> list[dict[str, Any]]:
    """A request for each shard; none where no run can match."""
    before = min(cursor or NEWEST, time_text(selection.before) if selection.before else NEWEST)
    if selection.started_after and time_text(selection.started_after) > before:
        return []
    return [_request(str(shard), selection, before) for shard in range(SHARDS)]


def _request(shard: str, selection: Selection, before: str) -> dict[str, Any]:
    status = selection.status
    index, key = ("by_status", "status_shard") if status else ("by_time", "shard")
    names = {"#key": key}  # `shard` is a reserved word
    values = {":key": f"{status}#{shard}" if status else shard, ":before": before}
    reach = "created_at < :before"
    if selection.started_after:
        # A key has one condition. This one includes `:before`: no key is a time alone, but the cursor's run is read.
        reach = "created_at BETWEEN :after AND :before"
        values[":after"] = time_text(selection.started_after)
    filters = []
    if selection.workflow:
        values[":workflow"] = selection.workflow
        filters.append("workflow_name = :workflow")
    if selection.id_prefix:
        values[":prefix"] = selection.id_prefix
        filters.append("begins_with(run_id, :prefix)")
    if selection.status_text:
        values[":text"] = selection.status_text
        filters.append("contains(status_text, :text)")
    if selection.ended_after:
        values[":ended_after"] = time_text(selection.ended_after)
        filters.append("ended_at >= :ended_after")
    if selection.ended_before:
        values[":ended_before"] = time_text(selection.ended_before)
        filters.append("ended_at < :ended_before")
    for n, (name, value) in enumerate(selection.attributes.items()):
        names |= {"#attributes": "attributes", f"#a{n}": name}
        values[f":a{n}"] = json.dumps(value)
        filters.append(f"#attributes.#a{n} = :a{n}")
    return {
        "IndexName": index,
        "KeyConditionExpression": f"#key = :key AND {reach}",
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": as_attributes(values),
        **({"FilterExpression": " AND ".join(filters)} if filters else {}),
    }
