"""The starts that a run gathers before it begins: a history of its own beside that of the run, a row for each start.

The first start is the run's own, and stands in its record. A last row closes the history; the run's input is then made
of what is there.
"""

from __future__ import annotations

from typing import Literal

from worldflow.engine.history.base import BaseEvent, Json

__all__ = ["StartAdded", "StartRow", "StartsClosed"]


class StartAdded(BaseEvent):
    """Another start of the same window."""

    event_type: Literal["StartAdded"] = "StartAdded"
    start_id: str
    """The run id that was asked for."""
    input: Json = None
    items: int = 0
    bytes: int = 0
    """Of all starts up to this one."""


class StartsClosed(BaseEvent):
    """The run begins: no start is added any more."""

    event_type: Literal["StartsClosed"] = "StartsClosed"


StartRow = StartAdded | StartsClosed
