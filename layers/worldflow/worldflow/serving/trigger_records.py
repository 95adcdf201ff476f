"""The records of other AWS services that start runs: from which source, under which id, with which value.

An id is the same for each delivery of a record, so that a redelivery starts nothing twice.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import unquote_plus

from worldflow.engine.errors import InvalidInputError

Raw = Mapping[str, Any]

After = Literal["group", "rest", "nothing"]
"""What comes again with a record that has failed: those after it in its group, all after it, or it alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TriggerRecord:
    """A record, or an event of EventBridge."""

    sources: tuple[str, ...]
    """What a line of WORLDFLOW_TRIGGERS may name it by."""
    run_id: str
    read: Callable[[], Any]
    """Its value, in Python. Raises `ValueError` for what cannot be read."""
    raw: Raw
    item: str | None
    """What Lambda's answer names it by; None where an invocation fails as a whole."""
    after: After
    group: str = ""


def read_records(event: Raw) -> list[TriggerRecord]:
    """The records of an event. Raises `InvalidInputError` for an event of a service that is not known."""
    if "detail-type" in event and "source" in event:
        return [_of_event_bridge(event)]
    records = event.get("Records", ())
    kinds = {record.get("eventSource") for record in records}
    if len(kinds) != 1 or (kind := kinds.pop()) not in _KINDS:
        known = ", ".join(["EventBridge", *_KINDS])
        raise InvalidInputError(f"a trigger takes events of {known}; this one has the keys {', '.join(sorted(event))}")
    return [_KINDS[kind](record) for record in records]


def _of_event_bridge(event: Raw) -> TriggerRecord:
    source, kind = str(event["source"]), str(event["detail-type"])
    return TriggerRecord(
        sources=(source, f"{source}/{kind}"),
        run_id=_id("event", event["id"]),
        read=lambda: event["detail"],
        raw=event,
        item=None,
        after="nothing",
    )


def _of_sqs(record: Raw) -> TriggerRecord:
    group = record["attributes"].get("MessageGroupId")
    return TriggerRecord(
        sources=(record["eventSourceARN"].rpartition(":")[2],),
        run_id=_id("sqs", record["messageId"]),
        read=lambda: _text(record["body"]),
        raw=record,
        item=record["messageId"],
        after="group" if record["eventSourceARN"].endswith(".fifo") else "nothing",
        group=group or "",
    )


def _of_kinesis(record: Raw) -> TriggerRecord:
    stream = record["eventSourceARN"].rpartition("/")[2]
    return TriggerRecord(
        sources=(stream,),
        run_id=_id("kinesis", _hash(stream, record["eventID"])),
        read=lambda: _text(b64decode(record["kinesis"]["data"]).decode()),
        raw=record,
        item=record["kinesis"]["sequenceNumber"],
        after="rest",
    )


def _of_dynamodb(record: Raw) -> TriggerRecord:
    table = record["eventSourceARN"].partition(":table/")[2].partition("/")[0]
    return TriggerRecord(
        sources=(table, f"{table}/{record['eventName']}"),
        run_id=_id("dynamodb", record["eventID"]),
        read=lambda: _change(record),
        raw=record,
        item=record["dynamodb"]["SequenceNumber"],
        after="rest",
    )


def _of_s3(record: Raw) -> TriggerRecord:
    bucket, stored = record["s3"]["bucket"]["name"], record["s3"]["object"]
    value = {
        "event": record["eventName"],
        "bucket": bucket,
        "key": unquote_plus(stored["key"]),
        "size": stored.get("size"),
        "version_id": stored.get("versionId"),
    }
    return TriggerRecord(
        sources=(bucket, f"{bucket}/{record['eventName']}"),
        run_id=_id("s3", _hash(bucket, stored["key"], record["eventName"], stored.get("sequencer", ""))),
        read=lambda: value,
        raw=record,
        item=None,
        after="nothing",
    )


_KINDS: Mapping[str, Callable[[Raw], TriggerRecord]] = {
    "aws:sqs": _of_sqs,
    "aws:kinesis": _of_kinesis,
    "aws:dynamodb": _of_dynamodb,
    "aws:s3": _of_s3,
}


def _id(kind: str, id: str) -> str:
    return f"{kind}-{id}"


def _hash(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _text(text: str) -> Any:
    """JSON, or text that is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _change(record: Raw) -> dict[str, Any]:
    """A change of an item, with Python's values for DynamoDB's."""
    change = record["dynamodb"]
    images = {"keys": change.get("Keys"), "new": change.get("NewImage"), "old": change.get("OldImage")}
    return {"event": record["eventName"]} | {name: _item(image) for name, image in images.items()}


def _item(image: Mapping[str, Any] | None) -> dict[str, Any] | None:
    from boto3.dynamodb.types import TypeDeserializer  # which no other function needs

    read = TypeDeserializer().deserialize
    return None if image is None else {name: _plain(read(value)) for name, value in image.items()}


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            # A number that a float would change stays text, which `Decimal` in an annotation reads.
            number = int(value) if value == value.to_integral_value() else float(value)
            return number if Decimal(str(number)) == value else str(value)
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list() | set():
            return [_plain(inner) for inner in (sorted(value, key=str) if isinstance(value, set) else value)]
        case str() | bool() | None | bytes():
            return value
    return bytes(value.value)  # boto3's Binary
