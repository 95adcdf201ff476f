"""The items of an `AWSWorld`'s table of runs."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from worldflow.worlds.records import RunRecord, time_text

SHARDS = 8
"""Index keys that the runs are spread over: DynamoDB takes some 1,000 writes a second for one key."""

INDEXES = {"by_time": ("shard", "created_at"), "by_status": ("status_shard", "created_at")}
"""The indexes of the table, and their keys."""

LISTED = ("workflow_name", "status", "updated_at", "ended_at", "record_seq", "status_text", "attributes")
"""What the indexes have of a record besides."""

_LISTED = ("run_id", "workflow_name", "status", "updated_at", "ended_at", "status_text")


def record_item(record: RunRecord) -> dict[str, Any]:
    """The item of a run's record."""
    shard = str(zlib.crc32(record.run_id.encode()) % SHARDS)
    item = {
        "run_id": record.run_id,
        "record": record.model_dump_json(exclude_none=True),
        "record_seq": record.seq,
        "shard": shard,
        "status_shard": f"{record.status}#{shard}",
        # With the id behind it the key is unique, and so a place to go on from.
        "created_at": f"{time_text(record.created_at)}#{record.run_id}",
        "workflow_name": record.workflow_name,
        "status": record.status,
        "updated_at": time_text(record.updated_at),
    }
    if record.ended_at:
        item["ended_at"] = time_text(record.ended_at)
    if record.archived_at:
        item["archived"] = 1
    if record.status_text is not None:
        item["status_text"] = record.status_text
    if record.attributes:
        item["attributes"] = {name: json.dumps(value) for name, value in record.attributes.items()}
    return item


def listed(item: dict[str, Any]) -> RunRecord:
    """What an index has of a record."""
    created_at = item["created_at"].partition("#")[0]
    known = {key: item[key] for key in _LISTED if key in item}
    attributes = {name: json.loads(value) for name, value in item.get("attributes", {}).items()}
    return RunRecord.model_validate(
        {**known, "created_at": created_at, "seq": item["record_seq"], "attributes": attributes}
    )


def item_size(attributes: Mapping[str, Any]) -> int:
    """Bytes that DynamoDB counts for an item, which is given in DynamoDB's JSON."""
    return sum(len(name.encode()) + _attribute_size(value) for name, value in attributes.items())


def _attribute_size(attribute: Mapping[str, Any]) -> int:
    if "M" in attribute:
        return 3 + sum(1 + len(name.encode()) + _attribute_size(value) for name, value in attribute["M"].items())
    if "N" in attribute:
        number: str = attribute["N"]
        digits = len(number.strip("-").strip("0")) or 1  # of whole numbers, which ours all are
        return (digits + 1) // 2 + 1 + number.startswith("-")
    text: str = attribute["S"]
    return len(text.encode())
