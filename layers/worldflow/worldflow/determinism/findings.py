"""What the check of a module has found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a workflow does and must not. `line` and `column` count from 1."""

    path: str
    line: int
    column: int
    what: str
    why: str
    instead: str
    function: str
    """The function that does it. Empty for an option of a step."""
    workflow: str
    """The workflow that it is, or that uses it. Empty for an option of a step."""
    is_hint: bool = False
    """Whether the replay is right all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is known of a module by its text: its workflows, and what is wrong in them."""

    workflows: tuple[str, ...]
    findings: tuple[Finding, ...]
