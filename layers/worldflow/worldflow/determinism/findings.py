"""What the check of a module has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["workflow", "step"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a workflow does and must not. `line` and `column` count from 1."""

    path: str
    line: int
    column: int
    what: str
    why: str
    instead: str
    """What to write in its place. Empty for a syntax error."""
    function: str
    """The function that does it. Empty for an option of a step, and for a name."""
    workflow: str
    """The workflow that it is, or that uses it. Empty for an option of a step, and for a name."""
    is_hint: bool = False
    """Whether the replay is right all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A workflow or a step that a module defines when it is imported."""

    kind: Kind
    name: str
    version: int
    path: str
    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is known of a module by its text: its workflows, what is wrong in them, and the names that it defines."""

    workflows: tuple[str, ...]
    findings: tuple[Finding, ...]
    definitions: tuple[Definition, ...] = ()
