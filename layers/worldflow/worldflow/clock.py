"""The machine's clock. Nothing else in the package reads it, so that a test can put another one in its place."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The time, in UTC. Import the module, not this function: `clock.now()`."""
    return datetime.now(UTC)
