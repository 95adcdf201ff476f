"""How a check ends that does not pass."""

from __future__ import annotations


class Failed(Exception):
    """A check failed; the message says what was seen."""


class Skipped(Exception):
    """A check does not apply to this stack; the message says why, and how to run it."""


class Undecided(Exception):
    """A check could not see what would decide it; the message says why."""
