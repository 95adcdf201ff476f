"""What a benchmark has found: a section of `results.md`, and the same in a terminal.

A part of `python -m benchmarks` is a module with a function `sections()`, which yields them.
"""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One table. Its first column has words, and the others have numbers."""

    title: str
    command: str
    """Makes it again."""
    how: str
    """How it was measured, and what it does not say."""
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def shown(self) -> Group:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for number, name in enumerate(self.columns):
            table.add_column(name, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*row)
        return Group(Text(f"\n{self.title}", style="bold"), table, Text(self.how, style="dim"))

    def markdown(self) -> str:
        rule = ["---", *["---:"] * (len(self.columns) - 1)]
        lines = [f"| {' | '.join(cells)} |" for cells in (self.columns, rule, *self.rows)]
        return "\n".join([f"## {self.title}", "", f"`{self.command}`", "", self.how, "", *lines, ""])


def report(sections: Iterable[Section]) -> str:
    """The text of `results.md`."""
    head = f"# Measured\n\nWritten by `make bench` on {datetime.now(UTC):%Y-%m-%d}, on {machine()}.\n"
    return "\n".join([head, *(section.markdown() for section in sections)])


def machine() -> str:
    """This machine, and what runs on it."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("boto3", "pydantic", "ministack"))
    return f"{os.cpu_count()} processors ({_processor()}), {_system()}, Python {platform.python_version()}, {versions}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        name = platform.system()
    return f"{name} ({platform.system()} {platform.release()})"


def sections_of(part: str) -> list[Section]:
    """Measures a part, which is a module of this package."""
    return list(importlib.import_module(f"benchmarks.{part}").sections())
