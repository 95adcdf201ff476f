"""Status events, which notify subscribers that a run has started, has ended, or is blocked.

A turn announces them after its commit, as one of its acts: so each is announced at least once, and a copy has the same
`id`. They hold no data of the run: neither input nor result, and of an error its type alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from worldflow.engine.history import Attribute

StatusKind = Literal["started", "completed", "failed", "cancelled", "continued", "blocked"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusEvent:
    """A change of a run's status."""

    kind: StatusKind
    run_id: str
    workflow_name: str
    at: datetime
    """When it happened, by the history."""
    created_at: datetime
    """When the run was asked for."""
    seq: int
    """The event of the history that says so. For `blocked`, the first that waits for code, or the last."""
    attributes: Mapping[str, Attribute]
    """Of the run, at that time or later."""
    parent_run_id: str | None = None
    next_run_id: str | None = None
    """The next generation, for `continued`."""
    error_type: str | None = None
    """For `failed`, such as `orders:CardDeclined`; for `blocked`, the class of the reason where it has one."""

    @property
    def id(self) -> str:
        """The same for copies, and for nothing else: an id of a run may be used again, after it is archived."""
        return f"{self.run_id}/{self.created_at:%Y%m%dT%H%M%S.%fZ}/{self.kind}/{self.seq}"
