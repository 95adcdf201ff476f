"""Histories as files: the events as a World stores them, and what was known of the run when they were recorded.

The first line is a `Header`; each further line is one event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from worldflow.engine.history import Event, Failure, dump_events, load_events
from worldflow.worlds import LocalWorld, RunRecord
from worldflow.worlds.payloads import fetch, fetch_event

PLACE = Path(__file__).parent


class Header(BaseModel):
    release: str
    run_id: str
    workflow: str
    status: str
    result: Any = None
    error: Failure | None = None
    payloads: dict[str, str] = {}
    """What references in the events lead to."""


@dataclass(frozen=True)
class StoredHistory:
    header: Header
    events: list[Event]
    """As they are stored, with references to large values."""

    def fetched(self, events: list[Event] | None = None) -> list[Event]:
        """The events with their values, as a workflow sees them."""
        world = self._world()
        try:
            return [fetch_event(world, event) for event in (self.events if events is None else events)]
        finally:
            world.close()

    def _world(self) -> LocalWorld:
        world = LocalWorld()
        for key, text in self.header.payloads.items():
            world.put_payload(key, text.encode())
        return world

    def dump(self) -> str:
        lines = [self.header.model_dump_json(exclude_defaults=True)]
        lines += [dump_events([event])[1:-1] for event in self.events]
        return "".join(f"{line}\n" for line in lines)


def load(path: Path) -> StoredHistory:
    first, *lines = path.read_text().splitlines()
    return StoredHistory(Header.model_validate_json(first), load_events(f"[{','.join(lines)}]"))


def describe(release: str, record: RunRecord, world: LocalWorld, payloads: Mapping[str, str]) -> Header:
    """The header of a run's history."""
    return Header(
        release=release,
        run_id=record.run_id,
        workflow=record.workflow_name,
        status=record.status,
        result=fetch(world, record.result),
        error=record.error,
        payloads=dict(payloads),
    )


def files() -> dict[str, Path]:
    """All recorded histories, by release and name."""
    return {f"{path.parent.name}/{path.stem}": path for path in sorted(PLACE.glob("*/*.jsonl"))}
