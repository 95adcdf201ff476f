"""The status events of an `AWSWorld`: on the EventBridge bus that `WORLDFLOW_EVENT_BUS` names.

What passes by itself (EventBridge throttles, or does not answer) is raised, so that the turn is taken again. What will
fail each time (there is no such bus, the role may not use it) is logged and counted, and stops no run.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from typing import Any

from botocore.exceptions import ClientError

from worldflow.worlds.aws.access import AWSAccess
from worldflow.worlds.outages import is_outage, is_passing_code
from worldflow.worlds.status_events import StatusEvent, StatusKind

SOURCE = "worldflow"

DETAIL_TYPES: Mapping[StatusKind, str] = {
    "started": "Run Started",
    "completed": "Run Completed",
    "failed": "Run Failed",
    "cancelled": "Run Cancelled",
    "continued": "Run Continued",
    "blocked": "Run Blocked",
}

ENTRIES = 10
"""In one request, at most. An entry has the attributes of a run, 16 KB at most, and 10 of them are below 256 KB."""

_LARGEST = 2**63 - 1
"""Of the integers that EventBridge reads."""

_log = logging.getLogger("worldflow")


class AWSStatusEvents:
    def __init__(self, access: AWSAccess, lost: Callable[[int], None]) -> None:
        """
        lost: called with the number of events that a bus refuses for good.
        """
        self._access = access
        self._lost = lost

    def announce(self, events: Sequence[StatusEvent]) -> None:
        bus = self._access.settings.event_bus
        assert bus is not None
        entries = [self._entry(event, bus) for event in events]
        for start in range(0, len(entries), ENTRIES):
            self._put(entries[start : start + ENTRIES], bus)

    def _entry(self, event: StatusEvent, bus: str) -> dict[str, Any]:
        detail = {
            "version": 1,
            "id": event.id,
            "runs_table": self._access.settings.runs_table,
            "run_id": event.run_id,
            "workflow_name": event.workflow_name,
            "status": "running" if event.kind == "started" else event.kind,
            "at": _text(event.at),
            "created_at": _text(event.created_at),
            "attributes": {name: _readable(value) for name, value in event.attributes.items()},
        }
        for name in ("parent_run_id", "next_run_id", "error_type"):
            if (value := getattr(event, name)) is not None:
                detail[name] = value
        return {
            "EventBusName": bus,
            "Source": SOURCE,
            "DetailType": DETAIL_TYPES[event.kind],
            "Time": event.at,
            "Detail": json.dumps(detail, ensure_ascii=False, separators=(",", ":")),
        }

    def _put(self, entries: Sequence[dict[str, Any]], bus: str) -> None:
        try:
            answer = self._access.eventbridge.put_events(Entries=entries)
        except ClientError as error:
            if is_outage(error):
                raise
            details = error.response["Error"]
            self._lose(entries, bus, details["Code"], details.get("Message", ""))
            return
        if not answer.get("FailedEntryCount"):
            return
        # A request that fails in part answers 200. Sending all of it again is harmless: copies have one id.
        failed = [
            (entry, told) for entry, told in zip(entries, answer["Entries"], strict=True) if told.get("ErrorCode")
        ]
        for _, told in failed:
            if is_passing_code(told["ErrorCode"]):
                raise _as_error(told)
        for entry, told in failed:
            self._lose([entry], bus, told["ErrorCode"], told.get("ErrorMessage", ""))

    def _lose(self, entries: Sequence[dict[str, Any]], bus: str, code: str, message: str) -> None:
        kinds = ", ".join(f"{entry['DetailType']} ({json.loads(entry['Detail'])['id']})" for entry in entries)
        _log.error(
            "lost status events: EventBridge rejects %s on the bus %r (WORLDFLOW_EVENT_BUS): %s: %s",
            kinds,
            bus,
            code,
            message,
        )
        self._lost(len(entries))


def _as_error(entry: Mapping[str, Any]) -> ClientError:
    """What a request would have raised for this reason."""
    return ClientError({"Error": {"Code": entry["ErrorCode"], "Message": entry.get("ErrorMessage", "")}}, "PutEvents")


def _text(at: Any) -> str:
    return str(at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"))


def _readable(value: Any) -> Any:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_whole and abs(value) > _LARGEST else value
